"""Entering member accounts: whose credentials sign, with which session policy, when they are renewed."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from orchestrator.aws import clients as clients_module
from orchestrator.aws.clients import Clients, make_clients
from orchestrator.aws.partitions import describe_partition
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import READ_ACTIONS, MemberSessions, _AssumedRole, get_caller
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.pool import map_unordered
from orchestrator.concurrency.work_sharing import map_shared
from orchestrator.domain.config import MemberRoleConfig
from orchestrator.domain.errors import AssumeRoleDenied, DeniedByScp, LocalFault, NoCredentials, NotFound
from orchestrator.domain.model import Access
from orchestrator.domain.policy_document import PARTITIONS
from tests.aws_server import Answer, AwsServer, Call, xml_error

ACCOUNTS = [f"{number:012}" for number in range(100000000001, 100000000065)]


def make_sessions(
    aws_clients: Clients,
    *,
    partition: str = "aws",
    now: Any = lambda: datetime.now(UTC),
    timeout_seconds: float = 0,
    sleep: Any = lambda _: None,
    cancellation: Cancellation | None = None,
) -> MemberSessions:
    return MemberSessions(
        aws_clients,
        Retrier(cancellation or Cancellation(), sleep=sleep),
        partition=partition,
        roles=MemberRoleConfig(),
        session_name="orgmfa-run-1",
        now=now,
        timeout_seconds=timeout_seconds,
    )


@pytest.fixture
def aws_clients(aws: AwsServer) -> Clients:
    return make_clients(connections=64)


def assumptions(aws: AwsServer) -> list[dict[str, str]]:
    return [call.parameters for call in aws.calls if call.action == "AssumeRole"]


def test_role_is_assumed_by_arn_with_the_run_in_the_session_name(aws: AwsServer, aws_clients: Clients) -> None:
    with make_sessions(aws_clients).enter(ACCOUNTS[0], Access.ENFORCE):
        pass

    (call,) = assumptions(aws)
    assert call["RoleArn"] == f"arn:aws:iam::{ACCOUNTS[0]}:role/orgmfa-member"
    assert call["RoleSessionName"] == "orgmfa-run-1"
    assert call["DurationSeconds"] == "3600"
    assert "Policy" not in call


def test_inspecting_narrows_the_session_to_reads(aws: AwsServer, aws_clients: Clients) -> None:
    with make_sessions(aws_clients).enter(ACCOUNTS[0], Access.INSPECT):
        pass

    policy = assumptions(aws)[0]["Policy"]
    assert all(f'"{action}"' in policy for action in READ_ACTIONS)
    assert all(action.split(":")[1].startswith(("Get", "List", "Generate", "Simulate")) for action in READ_ACTIONS)
    assert '"Effect":"Allow"' in policy
    assert "iam:*" not in policy


def test_releasing_uses_the_release_role(aws: AwsServer, aws_clients: Clients) -> None:
    with make_sessions(aws_clients).enter(ACCOUNTS[0], Access.RELEASE):
        pass

    assert assumptions(aws)[0]["RoleArn"].endswith(":role/orgmfa-release")


@pytest.mark.parametrize("partition", PARTITIONS)
def test_role_arn_is_of_the_partition(aws: AwsServer, aws_clients: Clients, partition: str) -> None:
    with make_sessions(aws_clients, partition=partition).enter(ACCOUNTS[0], Access.INSPECT):
        pass

    assert assumptions(aws)[0]["RoleArn"].startswith(f"arn:{partition}:iam::")


def calls_from_many_threads(aws_clients: Clients, aws: AwsServer) -> dict[str, set[str]]:
    """Enter 64 accounts on 64 threads that all call at the same moment; return the users each account was asked for."""
    sessions = make_sessions(aws_clients)
    at_once = Barrier(len(ACCOUNTS))
    iam, _ = aws_clients.iam, aws_clients.sts
    no_such_user = iam.exceptions.NoSuchEntityException  # threads that ask first would each make classes of their own

    def work(account_id: str) -> None:
        with sessions.enter(account_id, Access.INSPECT):
            for turn in range(3):
                at_once.wait(timeout=60)
                with pytest.raises(no_such_user):
                    iam.get_user(UserName=f"of-{account_id}-{turn}")

    with ThreadPoolExecutor(len(ACCOUNTS)) as pool:
        for future in [pool.submit(copy_context().run, work, account_id) for account_id in ACCOUNTS]:
            future.result(timeout=120)
    asked: dict[str, set[str]] = {}
    for call in aws.calls:
        if call.action == "GetUser":
            asked.setdefault(call.account_id, set()).add(call.parameters["UserName"].split("-")[1])
    return asked


def test_no_call_is_ever_signed_with_the_credentials_of_another_account(aws: AwsServer, aws_clients: Clients) -> None:
    asked = calls_from_many_threads(aws_clients, aws)

    assert asked == {account_id: {account_id} for account_id in ACCOUNTS}


def test_a_global_in_the_place_of_the_context_variable_would_mix_accounts_up(
    aws: AwsServer, aws_clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: with one variable for all threads it finds calls signed for the wrong account."""

    class GlobalVariable:
        value: Any = None

        def get(self) -> Any:
            return self.value

        def set(self, value: Any) -> Any:
            before, self.value = self.value, value
            return before

        def reset(self, token: Any) -> None:
            pass

    monkeypatch.setattr(clients_module, "_entered", GlobalVariable())

    asked = calls_from_many_threads(aws_clients, aws)

    assert asked != {account_id: {account_id} for account_id in ACCOUNTS}


def test_threads_that_help_in_an_account_sign_for_it_and_share_its_pace(aws: AwsServer, aws_clients: Clients) -> None:
    sessions, retrier = make_sessions(aws_clients), Retrier(Cancellation(), sleep=lambda _: None)
    iam, _ = aws_clients.iam, aws_clients.sts
    together = {account_id: Barrier(4) for account_id in ACCOUNTS[:3]}
    throttled: list[str] = []

    def throttle_first_account(call: Call) -> Answer | None:
        if call.action == "GetUser" and call.account_id == ACCOUNTS[0] and len(throttled) < 10:
            throttled.append(call.account_id)
            return xml_error("Throttling", "Rate exceeded")
        return None

    def work(account_id: str) -> int:
        def ask(number: int) -> None:
            if number < 4:
                together[account_id].wait(timeout=60)
            with pytest.raises(NotFound):
                retrier.call(iam.get_user, UserName=f"of-{account_id}-{number}")

        with sessions.enter(account_id, Access.INSPECT) as pace:
            map_shared(range(32), ask, pace)
            return pace.allowed

    aws.faults.append(throttle_first_account)
    done = list(map_unordered(ACCOUNTS[:3], work, workers=12, cancellation=Cancellation()))

    assert {one.item: one.result for one in done} == dict(zip(ACCOUNTS, [1, 4, 4], strict=False))
    asked = [(call.account_id, call.parameters["UserName"]) for call in aws.calls if call.action == "GetUser"]
    assert set(asked) == {(one, f"of-{one}-{number}") for one in ACCOUNTS[:3] for number in range(32)}


def test_threads_that_find_the_credentials_due_at_the_same_moment_renew_them_once() -> None:
    threads, first = 8, iter(range(8))
    together = Barrier(threads)
    old, new = datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1)
    issued: list[datetime] = [new, old]

    class Issuing:
        """Sessions whose first credentials are due at once."""

        def assume(self, account_id: str, access: Access) -> tuple[ReadOnlyCredentials, datetime]:
            ends_at = issued.pop()
            return ReadOnlyCredentials("key", f"{ends_at}", "token"), ends_at

        def is_due(self, ends_at: datetime) -> bool:
            if next(first, None) is not None:
                together.wait(timeout=60)
            return ends_at == old

    role = _AssumedRole(Issuing(), ACCOUNTS[0], Access.INSPECT)  # type: ignore[arg-type]  # fits by shape
    role.frozen()
    with ThreadPoolExecutor(threads) as pool:
        keys = [future.result(timeout=60) for future in [pool.submit(role.frozen) for _ in range(threads)]]

    assert {key.secret_key for key in keys} == {f"{new}"}
    assert issued == []


def test_member_client_outside_any_account_signs_nothing(aws: AwsServer, aws_clients: Clients) -> None:
    with pytest.raises(NoCredentials, match="outside any member account"):
        aws_clients.iam.list_users()

    assert aws.calls == []


def test_leaving_an_account_leaves_its_credentials_behind(aws: AwsServer, aws_clients: Clients) -> None:
    with make_sessions(aws_clients).enter(ACCOUNTS[0], Access.INSPECT):
        aws_clients.iam.list_users()

    with pytest.raises(NoCredentials):
        aws_clients.iam.list_users()


def test_one_client_serves_all_accounts(aws_clients: Clients) -> None:
    assert aws_clients.iam is aws_clients.iam
    assert aws_clients.sts is aws_clients.sts


def test_credentials_are_renewed_before_they_end(aws: AwsServer, aws_clients: Clients) -> None:
    moment = [datetime.now(UTC)]
    sessions = make_sessions(aws_clients, now=lambda: moment[0])
    with sessions.enter(ACCOUNTS[0], Access.ENFORCE):
        aws_clients.iam.list_users()
        moment[0] += timedelta(minutes=54)
        aws_clients.iam.list_users()
        assert len(assumptions(aws)) == 1

        moment[0] += timedelta(minutes=2)
        aws_clients.iam.list_users()

    assert len(assumptions(aws)) == 2
    keys = {call.access_key for call in aws.calls if call.action == "ListUsers"}
    assert len(keys) == 2


def test_credentials_that_aws_no_longer_takes_are_renewed_once(aws: AwsServer, aws_clients: Clients) -> None:
    refused: list[str] = []

    def expire_first(call: Call) -> Answer | None:
        if call.action == "ListUsers" and call.access_key not in refused and len(refused) < 1:
            refused.append(call.access_key)
            return xml_error("ExpiredToken", "The security token included in the request is expired", 403)
        return None

    aws.faults.append(expire_first)
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    with make_sessions(aws_clients).enter(ACCOUNTS[0], Access.INSPECT):
        retrier.call(aws_clients.iam.list_users)

    assert len(assumptions(aws)) == 2


def test_credentials_that_stay_refused_are_an_error_after_one_renewal(aws: AwsServer, aws_clients: Clients) -> None:
    aws.faults.append(lambda call: xml_error("ExpiredToken", "expired", 403) if call.action == "ListUsers" else None)
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    with make_sessions(aws_clients).enter(ACCOUNTS[0], Access.INSPECT), pytest.raises(NoCredentials):
        retrier.call(aws_clients.iam.list_users)

    assert len(assumptions(aws)) == 2


def test_missing_role_and_refusing_trust_are_told_as_such(aws: AwsServer, aws_clients: Clients) -> None:
    aws.missing_roles.add((ACCOUNTS[0], "orgmfa-member"))

    with pytest.raises(AssumeRoleDenied) as caught, make_sessions(aws_clients).enter(ACCOUNTS[0], Access.INSPECT):
        pass

    assert caught.value.operation == "AssumeRole"


def test_scp_against_assuming_is_told_apart_from_a_missing_role(aws: AwsServer, aws_clients: Clients) -> None:
    message = "User: x is not authorized to perform: sts:AssumeRole with an explicit deny in a service control policy"
    aws.faults.append(lambda call: xml_error("AccessDenied", message, 403) if call.action == "AssumeRole" else None)

    with pytest.raises(DeniedByScp), make_sessions(aws_clients).enter(ACCOUNTS[0], Access.INSPECT):
        pass


def test_inactive_region_falls_back_to_the_global_endpoint_once(aws: AwsServer, aws_clients: Clients) -> None:
    refusals: list[Call] = []

    def refuse_first(call: Call) -> Answer | None:
        if call.action == "AssumeRole" and not refusals:
            refusals.append(call)
            return xml_error("RegionDisabledException", "STS is not activated in this region", 403)
        return None

    aws.faults.append(refuse_first)
    with make_sessions(aws_clients).enter(ACCOUNTS[0], Access.INSPECT):
        pass

    assert len(assumptions(aws)) == 2


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", "sts.amazonaws.com"),
        ("aws-us-gov", "sts.us-gov-west-1.amazonaws.com"),
        ("aws-cn", "sts.cn-north-1.amazonaws.com.cn"),
        ("aws-eusc", "sts.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_global_endpoint_is_that_of_the_partition(monkeypatch: pytest.MonkeyPatch, partition: str, host: str) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    region = describe_partition(partition).global_sts_region

    assert make_clients(connections=1).connect("sts", region=region).meta.endpoint_url == f"https://{host}"


def test_sts_is_asked_at_the_regional_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert make_clients(connections=1).sts.meta.endpoint_url == "https://sts.us-east-1.amazonaws.com"


def test_caller_tells_account_and_partition(aws: AwsServer, aws_clients: Clients) -> None:
    caller = get_caller(aws_clients, Retrier(Cancellation()))

    assert caller.account_id == "123456789012"
    assert caller.partition == "aws"


def test_profile_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(LocalFault, match="profile nobody"):
        make_clients(connections=1)


def test_role_of_a_new_account_is_waited_for_where_a_run_has_the_patience(aws: AwsServer, aws_clients: Clients) -> None:
    aws.missing_roles.add((ACCOUNTS[0], "orgmfa-member"))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            aws.missing_roles.clear()

    with make_sessions(aws_clients, timeout_seconds=120, sleep=sleep).enter(ACCOUNTS[0], Access.INSPECT):
        aws_clients.iam.list_users()

    assert slept == [5.0, 5.0]
    assert len(assumptions(aws)) == 3


def test_role_of_a_new_account_is_no_longer_waited_for_once_the_run_was_told_to_end(
    aws: AwsServer, aws_clients: Clients
) -> None:
    aws.missing_roles.add((ACCOUNTS[0], "orgmfa-member"))
    cancellation = Cancellation()

    with (
        pytest.raises(AssumeRoleDenied),
        make_sessions(
            aws_clients, timeout_seconds=120, sleep=lambda _: cancellation.event.set(), cancellation=cancellation
        ).enter(ACCOUNTS[0], Access.INSPECT),
    ):
        pass

    assert len(assumptions(aws)) == 2


def test_missing_role_is_missing_at_once_in_any_other_run(aws: AwsServer, aws_clients: Clients) -> None:
    aws.missing_roles.add((ACCOUNTS[0], "orgmfa-member"))
    slept: list[float] = []

    with (
        pytest.raises(AssumeRoleDenied),
        make_sessions(aws_clients, sleep=slept.append).enter(ACCOUNTS[0], Access.INSPECT),
    ):
        pass

    assert slept == []
