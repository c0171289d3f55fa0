"""The benchmarks measure what they claim to: an endpoint that answers like AWS, signatures like botocore's, one job."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from benchmarks.aws import Aws
from benchmarks.books import Call
from benchmarks.measuring import Books, Measurement, certificates, measure, read_books, run_tool, serving
from benchmarks.organization import Scenario, account_id, has_mfa, policy_arn, user_name
from benchmarks.sigv4 import Signer
from benchmarks.tables import BEGIN, END, render_section, write_document
from benchmarks.targets import Claim, Section, check_result
from benchmarks.tools import NO_SDK, ORGMFA
from orchestrator.domain.policy_document import is_same_policy, render_enforcement_policy

pytestmark = pytest.mark.thorough

ACCOUNT = account_id(1)
SMALL = Scenario(3, latency_ms=0)
OPEN_USERS = [user_name(index) for index in range(20) if not has_mfa(index)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with certificates() as made:
        yield made


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with serving(Scenario(45, latency_ms=0, large_users=1500), folder) as number:
        yield number


def make_client(service: str, port: int, folder: Path, **keys: str) -> Any:
    address = f"https://127.0.0.1:{port}"
    return boto3.client(service, endpoint_url=address, verify=str(folder / "bundle.pem"), **keys)  # type: ignore[call-overload]


def make_iam(port: int, folder: Path, account: str = ACCOUNT) -> Any:
    sts = make_client("sts", port, folder)
    role = f"arn:aws:iam::{account}:role/orgmfa-member"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return make_client(
        "iam",
        port,
        folder,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def make_call(action: str, account: str = ACCOUNT, body: str = "") -> Call:
    return Call("iam", action, account, f"Action={action}&Version=2010-05-08{body}".encode())


def make_measurement(books: Books, **given: Any) -> Measurement:
    values: dict[str, Any] = {"tool": "orgmfa", "scenario": SMALL, "wall": 2.0, "cpu": 1.0, "peak_mb": 80.0}
    return Measurement(**{**values, **given}, books=books)


def make_books(attached: dict[str, list[str]]) -> Books:
    return Books({"999999999999": {"sts:AssumeRole": 4}}, {}, {}, attached)


class TestEndpoint:
    def test_accounts_come_in_pages_of_twenty(self, port: int, folder: Path) -> None:
        client = make_client("organizations", port, folder)

        pages = [page["Accounts"] for page in client.get_paginator("list_accounts").paginate()]

        assert [len(page) for page in pages] == [20, 20, 5]
        assert len({account["Id"] for page in pages for account in page}) == 45
        assert client.describe_organization()["Organization"]["MasterAccountId"] == account_id(0)

    def test_credentials_lead_into_the_account_they_were_made_for(self, port: int, folder: Path) -> None:
        iam = make_iam(port, folder)

        assert iam.list_account_aliases()["AccountAliases"] == [f"acme-{ACCOUNT}"]
        assert iam.get_policy(PolicyArn=policy_arn(ACCOUNT))["Policy"]["Arn"] == policy_arn(ACCOUNT)

    def test_iam_is_not_to_be_had_without_a_member_role(self, port: int, folder: Path) -> None:
        with pytest.raises(ClientError, match="InvalidAction"):
            make_client("iam", port, folder).list_users()

    def test_policy_is_the_one_that_ships(self, port: int, folder: Path) -> None:
        answer = make_iam(port, folder).get_policy_version(PolicyArn=policy_arn(ACCOUNT), VersionId="v1")

        ours = render_enforcement_policy(partition="aws", access_keys="deny")
        assert is_same_policy(ours, answer["PolicyVersion"]["Document"])

    def test_all_reads_agree_on_who_has_mfa(self, port: int, folder: Path) -> None:
        iam = make_iam(port, folder)
        iam.generate_credential_report()

        rows = iam.get_credential_report()["Content"].decode().splitlines()
        by_report = [row.split(",")[0] for row in rows[2:] if row.split(",")[7] == "false"]
        users = [user["UserName"] for user in iam.list_users()["Users"]]
        by_device = [user for user in users if not iam.list_mfa_devices(UserName=user)["MFADevices"]]
        virtual = {device["User"]["UserName"] for device in iam.list_virtual_mfa_devices()["VirtualMFADevices"]}

        assert by_report == by_device == OPEN_USERS
        assert virtual
        assert virtual <= set(users) - set(OPEN_USERS)

    def test_users_of_a_large_account_come_in_pages(self, port: int, folder: Path) -> None:
        iam = make_iam(port, folder, account_id(22))

        pages = list(iam.get_paginator("get_account_authorization_details").paginate(MaxItems=1000))

        assert [len(page["UserDetailList"]) for page in pages] == [1000, 500]
        assert [len(page["GroupDetailList"]) for page in pages] == [3, 0]
        assert len({user["Arn"] for page in pages for user in page["UserDetailList"]}) == 1500

    def test_simulator_decides_on_each_action_and_resource(self, port: int, folder: Path) -> None:
        user = f"arn:aws:iam::{ACCOUNT}:user/user-0000"

        answer = make_iam(port, folder).simulate_principal_policy(
            PolicySourceArn=user, ActionNames=["iam:A", "iam:B"], ResourceArns=[user]
        )

        decided = [(result["EvalActionName"], result["EvalDecision"]) for result in answer["EvaluationResults"]]
        assert decided == [("iam:A", "allowed"), ("iam:B", "allowed")]

    def test_attached_policy_shows_in_every_read(self, port: int, folder: Path) -> None:
        account = account_id(7)
        iam = make_iam(port, folder, account)

        iam.attach_user_policy(UserName="user-0002", PolicyArn=policy_arn(account))

        details = iam.get_account_authorization_details(Filter=["User"], MaxItems=1000)["UserDetailList"]
        enforced = [user["UserName"] for user in details if "EnforceMFA" in json.dumps(user["AttachedManagedPolicies"])]
        listed = iam.list_attached_user_policies(UserName="user-0002")["AttachedPolicies"]
        assert enforced == ["user-0002"]
        assert policy_arn(account) in {policy["PolicyArn"] for policy in listed}
        assert read_books(port, folder).attached[account] == ["user-0002"]

    def test_foreign_policy_is_not_attached(self, port: int, folder: Path) -> None:
        with pytest.raises(ClientError, match="NoSuchEntity"):
            make_iam(port, folder).attach_user_policy(UserName="user-0000", PolicyArn=policy_arn(account_id(3)))


def test_users_without_mfa_have_the_policy_from_the_start_in_a_steady_state() -> None:
    aws = Aws(Scenario(3, is_enforced=True))

    answer = aws.answer(make_call("GetAccountAuthorizationDetails", body="&MaxItems=1000")).decode()

    enforced = [user for user in answer.split("<UserName>")[1:] if policy_arn(ACCOUNT) in user.split("<Tags>")[0]]
    assert [user[: user.index("<")] for user in enforced] == OPEN_USERS


class TestThrottling:
    def test_one_seed_throttles_the_same_calls(self) -> None:
        first, second = (Aws(Scenario(3, throttled_share=0.3)) for _ in range(2))

        answers = [[aws.answer(make_call("GetAccountSummary")) for _ in range(200)] for aws in (first, second)]

        assert answers[0] == answers[1]
        assert 30 < sum(b"Throttling" in answer for answer in answers[0]) < 90

    def test_one_account_alone_is_throttled(self) -> None:
        scenario = Scenario(3, throttled_account_share=0.6)
        aws = Aws(scenario)

        for account in scenario.account_ids():
            for _ in range(50):
                aws.answer(make_call("GetAccountSummary", account))

        assert {account for account, count in aws.books.throttled.items() if count} == {scenario.special_account_id}

    def test_throttled_write_changes_nothing(self) -> None:
        aws = Aws(Scenario(3, throttled_share=1.0))

        aws.answer(make_call("AttachUserPolicy", body="&UserName=user-0000&PolicyArn=EnforceMFA"))

        assert aws.to_json()["attached"] == {}


def test_signature_is_the_one_that_botocore_makes() -> None:
    now = datetime(2026, 5, 17, 12, 30, 1, tzinfo=UTC)
    body = b"Action=GetPolicy&Version=2010-05-08"
    content_type = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    signer = Signer("ASIAEXAMPLE", "not-a-secret", "token", "iam", "us-east-1", "127.0.0.1:8443", "20260517")

    ours = signer.headers(body, now, content_type)

    theirs = SigV4Auth(Credentials("ASIAEXAMPLE", "not-a-secret", "token"), "iam", "us-east-1")
    headers = {**content_type, "X-Amz-Date": "20260517T123001Z", "X-Amz-Security-Token": "token"}
    request = AWSRequest("POST", "https://127.0.0.1:8443/", data=body, headers=headers)
    request.context["timestamp"] = "20260517T123001Z"
    text = theirs.string_to_sign(request, theirs.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={theirs.signature(text, request)}")


class TestTools:
    def test_orgmfa_and_the_client_without_an_sdk_make_the_same_calls_to_the_same_end(self, folder: Path) -> None:
        ours, least = (measure(tool, SMALL, folder) for tool in (ORGMFA, NO_SDK))

        assert ours.books.by_action() == least.books.by_action()
        assert ours.books.attached == least.books.attached == dict.fromkeys(SMALL.account_ids(), OPEN_USERS)

    def test_second_run_writes_nothing(self, folder: Path, tmp_path: Path) -> None:
        with serving(SMALL, folder) as port:
            for _ in range(2):
                run_tool(NO_SDK, port, folder, place=tmp_path, may_fail=False)
            calls = read_books(port, folder).by_action()

        assert calls["iam:AttachUserPolicy"] == len(OPEN_USERS) * SMALL.accounts


class TestResults:
    def test_result_that_misses_a_user_is_refused(self) -> None:
        check_result(make_measurement(make_books(dict.fromkeys(SMALL.account_ids(), OPEN_USERS))))

        with pytest.raises(AssertionError, match="0 users written to, not 6"):
            check_result(make_measurement(make_books({ACCOUNT: OPEN_USERS})))

    def test_account_that_is_throttled_more_may_end_otherwise(self) -> None:
        attached = dict.fromkeys(SMALL.account_ids(), OPEN_USERS)
        del attached[SMALL.special_account_id]

        check_result(make_measurement(make_books(attached)), but_for=SMALL.special_account_id)

    def test_write_in_a_steady_state_is_refused(self) -> None:
        steady = make_measurement(make_books({ACCOUNT: ["user-0000"]}), scenario=Scenario(3, is_enforced=True))

        with pytest.raises(AssertionError, match="1 users written to, not 0"):
            check_result(steady)

    def test_document_keeps_what_stands_around_the_tables(self, tmp_path: Path) -> None:
        document = tmp_path / "benchmarks.md"
        document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
        section = Section("A target", (("orgmfa", make_measurement(make_books({}))),), (Claim("at most 9", "9", True),))

        write_document(document, ["Measured.", render_section(section)])

        text = document.read_text()
        assert "old" not in text
        assert text.startswith(f"before\n{BEGIN}\n\nMeasured.\n\n### A target\n")
        assert text.endswith(f"| at most 9 | 9 | yes |\n\n{END}\nafter\n")
        assert "| orgmfa | 3 | 2.0 | 1.0 | 80 | 4 | 250.00 |" in text
