"""The embedded organization, worked on by the real core: every situation comes out as EXPECTED says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

from orchestrator.aws.credential_report import read_credential_report
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Mode, Outcome, RunRequest, Status, Trigger, Verdict, Via
from orchestrator.reports.report import AccountReport, RunReport, UserReport, exit_code
from orchestrator.sandbox import LARKSPUR, Sandbox, sandbox_config, sandbox_organization
from orchestrator.wiring import build_context, make_hub, run_once

pytestmark = pytest.mark.thorough

NON_COMPLIANT, COMPLIANT = Verdict.NON_COMPLIANT, Verdict.COMPLIANT
ORGMFA = Path(sys.executable).with_name("orgmfa")
TIMEOUT_SECONDS = 90

State = dict[tuple[str, str], tuple[list[str], list[str], list[str]]]


@dataclass(frozen=True)
class Expected:
    """What must become of a user when the sandbox is applied."""

    outcome: Outcome
    verdict: Verdict = NON_COMPLIANT
    via: Via | None = None
    code: str | None = None


EXPECTED = {
    ("Larkspur", "break-glass-1"): Expected(Outcome.EXEMPT),
    ("Larkspur", "ingrid.holm"): Expected(Outcome.NONE, COMPLIANT),
    ("Log Archive", "jonas.weber"): Expected(Outcome.NONE, COMPLIANT),
    ("Log Archive", "priya.nair"): Expected(Outcome.NONE, COMPLIANT),
    ("Security Tooling", "amara.okafor"): Expected(Outcome.NONE, COMPLIANT),
    ("Security Tooling", "soc-wallboard"): Expected(Outcome.EXEMPT),
    ("Network", "tom.becker"): Expected(Outcome.ENFORCED, via=Via.USER),
    ("Network", "lucia.ferrari"): Expected(Outcome.NONE, COMPLIANT),
    ("Shared Services", "daniel.osei"): Expected(Outcome.HELD, code="policy_drifted"),
    ("Shared Services", "hana.sato"): Expected(Outcome.HELD, code="policy_drifted"),
    ("Shared Services", "marek.novak"): Expected(Outcome.NONE, COMPLIANT),
    ("Webshop Production", "aiko.tanaka"): Expected(Outcome.ENFORCED, via=Via.USER),
    ("Webshop Production", "chen.wei"): Expected(Outcome.ENFORCED, via=Via.USER),
    ("Webshop Production", "deploy-pipeline"): Expected(Outcome.OUT_OF_SCOPE),
    ("Webshop Production", "fatima.khan"): Expected(Outcome.ALREADY_ENFORCED, via=Via.USER),
    ("Webshop Production", "liam.murphy"): Expected(Outcome.NONE, COMPLIANT, via=Via.USER),
    ("Webshop Production", "sofia.lindgren"): Expected(Outcome.NONE, COMPLIANT),
    ("Payments Production", "elena.petrova"): Expected(Outcome.HELD, code="active_key"),
    ("Payments Production", "omar.haddad"): Expected(Outcome.ENFORCED, via=Via.USER),
    ("Payments Production", "ingrid.vance"): Expected(Outcome.HELD, code="cannot_enrol"),
    ("Data Platform", "grace.mbeki"): Expected(Outcome.ENFORCED, via=Via.GROUP),
    ("Data Platform", "nils.andersen"): Expected(Outcome.QUOTA_EXCEEDED, code="quota_exceeded"),
    ("Data Platform", "rosa.delgado"): Expected(Outcome.ALREADY_ENFORCED, via=Via.GROUP),
    ("Data Platform", "yusuf.demir"): Expected(Outcome.NONE, COMPLIANT),
    ("Webshop Development", "kofi.asante"): Expected(Outcome.NONE, COMPLIANT),
    ("Webshop Development", "maya.cohen"): Expected(Outcome.IN_GRACE),
    ("Webshop Development", "ruben.vogel"): Expected(Outcome.IN_GRACE),
    ("Webshop Development", "tessa.brandt"): Expected(Outcome.ENFORCED, via=Via.USER),
    ("Mobile Development", "olga.smirnova"): Expected(Outcome.ENFORCED, via=Via.USER),
    ("Mobile Development", "pavel.horak"): Expected(Outcome.ENFORCED, via=Via.USER),
    ("Hackathon <!channel>", "@guest"): Expected(Outcome.ENFORCED, via=Via.USER),
}


class Silent:
    """Watches a run and says nothing."""

    def phase(self, name: str, total: int | None) -> None:
        pass

    def found(self, name: str, count: int) -> None:
        pass

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        pass


@dataclass(frozen=True)
class Workbench:
    """An open sandbox, and a folder for its archive."""

    sandbox: Sandbox
    folder: Path

    def run(self, mode: Mode, *, ou_ids: tuple[str, ...] = ()) -> RunReport:
        archive = self.sandbox.config.archive.model_copy(update={"location": str(self.folder)})
        config = self.sandbox.config.model_copy(update={"archive": archive})
        hub = make_hub(config, {}, prepare=self.sandbox.prepare)
        request = RunRequest(
            run_id=f"20260302T120000Z-{mode.value}",
            mode=mode,
            trigger=Trigger.CLI,
            started_at=hub.now(),
            ou_ids=ou_ids,
        )
        context = build_context(hub, request, cancellation=Cancellation(), observer=Silent(), send_digest=False)
        return run_once(context).report


@dataclass(frozen=True)
class Story:
    """Plan, apply and apply again in one embedded organization, and its users before, between and after."""

    plan: RunReport
    applied: RunReport
    again: RunReport
    states: tuple[State, State, State, State]


@dataclass(frozen=True)
class Pair:
    """Sessions of the hub and of one member account, as `prepare` takes them."""

    hub: boto3.Session
    member: boto3.Session


@contextmanager
def open_bench(folder: Path) -> Iterator[Workbench]:
    with sandbox_organization() as sandbox:
        yield Workbench(sandbox, folder)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    with open_bench(tmp_path_factory.mktemp("archive")) as bench:
        states, reports = [state_of_users()], []
        for mode in (Mode.PLAN, Mode.APPLY, Mode.APPLY):
            reports.append(bench.run(mode))
            states.append(state_of_users())
    plan, applied, again = reports
    before, planned, changed, after = states
    return Story(plan, applied, again, (before, planned, changed, after))


def state_of_users() -> State:
    """Return policies, groups and devices of every user, from moto's own books."""
    return {
        (account.name, user.name): (sorted(user.managed_policies), sorted(user.group_list), sorted(user.mfa_devices))
        for account in LARKSPUR.all_accounts()
        for user in iam_backends[account.id]["aws"].users.values()
    }


def users_by_place(report: RunReport) -> dict[tuple[str, str], UserReport]:
    return {(account.name, user.name): user for account in report.accounts for user in account.users}


def account_named(report: RunReport, name: str) -> AccountReport:
    return next(account for account in report.accounts if account.name == name)


def sessions_of(account_id: str, role: str = "orgmfa-member") -> Pair:
    """Return a session of the hub, and one of a member account assumed through it, before hooks are registered."""
    hub = boto3.Session()
    arn = f"arn:aws:iam::{account_id}:role/{role}"
    issued = hub.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    member = boto3.Session(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    return Pair(hub, member)


@pytest.mark.parametrize("place", EXPECTED, ids=" / ".join)
def test_each_user_comes_out_as_its_situation_demands(story: Story, place: tuple[str, str]) -> None:
    user, expected = users_by_place(story.applied)[place], EXPECTED[place]

    assert (user.verdict, user.outcome, user.via) == (expected.verdict, expected.outcome, expected.via)
    assert (user.error and user.error.code) == expected.code


def test_no_user_of_the_report_is_without_an_expectation(story: Story) -> None:
    assert users_by_place(story.applied).keys() == EXPECTED.keys()


def test_every_outcome_occurs(story: Story, tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        released = bench.run(Mode.RELEASE)

    reports = (story.plan, story.applied, released)
    seen = {user.outcome for report in reports for user in users_by_place(report).values()}
    assert seen == set(Outcome) - {Outcome.FAILED, Outcome.GUARDED}  # nothing fails, and guards are not accepted


@pytest.mark.parametrize(
    ("name", "status", "stage", "code", "remedy"),
    [
        ("Tidewater Legacy", Status.FAILED, "assume_role", "AccessDenied", "check that the StackSet"),
        ("Forensics", Status.FAILED, "inspect", "AccessDenied", "organization policy (SCP)"),
        ("Old Campaign Site", Status.SKIPPED, "select", "suspended", ""),
    ],
)
def test_an_account_that_was_not_entered_says_why(
    story: Story, *, name: str, status: Status, stage: str, code: str, remedy: str
) -> None:
    account = account_named(story.applied, name)

    assert account.error is not None
    assert (account.status, account.error.stage, account.error.code) == (status, stage, code)
    assert remedy in account.error.remedy
    assert account.users == ()


def test_all_other_accounts_are_inspected(story: Story) -> None:
    left_out = {"Tidewater Legacy", "Forensics", "Old Campaign Site"}

    inspected = {account.name for account in story.applied.accounts if account.status is Status.INSPECTED}
    assert inspected == {account.name for account in LARKSPUR.all_accounts()} - left_out


def test_every_account_of_the_sample_is_listed_with_its_id(story: Story) -> None:
    listed = {account.id: account.name for account in story.applied.accounts}

    assert listed == {account.id: account.name for account in LARKSPUR.all_accounts()}
    assert story.applied.complete


@pytest.mark.parametrize(
    ("name", "has_credentials", "has_mfa"),
    [("Larkspur", True, True), ("Network", True, False), ("Payments Production", False, False)],
)
def test_root_users_are_as_the_sample_says(story: Story, *, name: str, has_credentials: bool, has_mfa: bool) -> None:
    root = account_named(story.applied, name).root_user

    assert root is not None
    assert (root.has_credentials, root.has_mfa) == (has_credentials, has_mfa)


def test_aliases_are_read_where_there_are_any(story: Story) -> None:
    assert account_named(story.applied, "Log Archive").alias == "larkspur-logs"
    assert account_named(story.applied, "Network").alias is None


def test_run_ends_in_exit_code_1(story: Story) -> None:
    assert [exit_code(report) for report in (story.plan, story.applied, story.again)] == [1, 1, 1]


def test_plan_names_those_who_are_enforced_and_changes_nothing(story: Story) -> None:
    before, after_plan, _, _ = story.states
    planned = {place for place, user in users_by_place(story.plan).items() if user.outcome is Outcome.PLANNED}

    assert planned == {place for place, expected in EXPECTED.items() if expected.outcome is Outcome.ENFORCED}
    assert after_plan == before


def test_apply_adds_the_policy_or_the_group_and_nothing_else(story: Story) -> None:
    _, before, after, _ = story.states
    for place, (policies, groups, devices) in before.items():
        expected = EXPECTED.get(place)
        is_enforced = expected is not None and expected.outcome is Outcome.ENFORCED
        account_id = account_named(story.applied, place[0]).id
        policy = [f"arn:aws:iam::{account_id}:policy/EnforceMFA"] if is_enforced else []
        added_policy = policy if expected and expected.via is Via.USER else []
        added_group = ["EnforceMFA"] if is_enforced and expected and expected.via is Via.GROUP else []

        assert after[place] == (sorted(policies + added_policy), sorted(groups + added_group), devices)


def test_second_run_changes_nothing(story: Story) -> None:
    _, _, before, after = story.states

    assert after == before
    assert story.again.totals.enforced == 0
    assert story.again.totals.already_enforced == 2 + story.applied.totals.enforced


def test_times_of_key_use_are_relative_to_now(story: Story) -> None:
    used = users_by_place(story.applied)[("Payments Production", "elena.petrova")].keys_last_used

    assert used is not None
    assert timedelta(days=1) <= story.applied.started_at - used < timedelta(days=1, minutes=5)


def test_release_frees_who_was_enforced_before(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        report = bench.run(Mode.RELEASE)
        left = [
            place for place, (policies, groups, _) in state_of_users().items() if "EnforceMFA" in str(policies + groups)
        ]

    released = {place[1] for place, user in users_by_place(report).items() if user.outcome is Outcome.RELEASED}
    assert released == {"fatima.khan", "liam.murphy", "rosa.delgado", "hana.sato"}
    assert left == []


def test_ous_are_nested(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        organizations = boto3.client("organizations")
        root_id = organizations.list_roots()["Roots"][0]["Id"]
        units = organizations.list_organizational_units_for_parent(ParentId=root_id)["OrganizationalUnits"]
        workloads = next(unit["Id"] for unit in units if unit["Name"] == "Workloads")
        report = bench.run(Mode.PLAN, ou_ids=(workloads,))

    assert {account.name for account in report.accounts} == {
        "Webshop Production",
        "Payments Production",
        "Data Platform",
        "Webshop Development",
        "Mobile Development",
    }


def test_organization_is_the_same_each_time() -> None:
    def ids() -> list[str]:
        with sandbox_organization():
            organizations = boto3.client("organizations")
            root_id = organizations.list_roots()["Roots"][0]["Id"]
            units = organizations.list_organizational_units_for_parent(ParentId=root_id)["OrganizationalUnits"]
            accounts = organizations.list_accounts()["Accounts"]
            organization_id = organizations.describe_organization()["Organization"]["Id"]
            return [organization_id, root_id, *(unit["Id"] for unit in units), *(a["Id"] for a in accounts)]

    assert ids() == ids()


def test_program_runs_as_the_operator_of_the_management_account() -> None:
    with sandbox_organization():
        caller = boto3.client("sts").get_caller_identity()

    assert caller["Arn"] == "arn:aws:sts::210987654321:assumed-role/orgmfa-operator/sandbox"


def test_settings_of_the_environment_are_set_aside_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", "http://127.0.0.1:9")
    before = dict(os.environ)
    opened = ExitStack()
    opened.enter_context(sandbox_organization())
    inside = dict(os.environ)

    opened.__exit__(RuntimeError, RuntimeError("a run that broke off"), None)

    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM"} & inside.keys()
    assert inside["AWS_REGION"] == "us-east-1"
    assert dict(os.environ) == before


def test_configuration_is_relative_to_now() -> None:
    config = sandbox_config(datetime(2026, 3, 2, 23, 59, tzinfo=UTC))

    assert [str(exemption.until) for exemption in config.exemptions] == ["2026-03-12", "2026-02-27"]
    assert config.archive.location == "./orgmfa-sandbox-runs"


def test_role_that_does_not_exist_cannot_be_assumed() -> None:
    with sandbox_organization() as sandbox:
        pair = sessions_of(LARKSPUR.account_id("Network"))
        sandbox.prepare(pair)
        sts = pair.hub.client("sts")
        with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole") as caught:
            sts.assume_role(RoleArn="arn:aws:iam::719284650037:role/orgmfa-release", RoleSessionName="test")
        released = sts.assume_role(RoleArn="arn:aws:iam::302468135790:role/orgmfa-release", RoleSessionName="test")

    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert released["AssumedRoleUser"]["Arn"].endswith("assumed-role/orgmfa-release/test")


def test_eleventh_policy_and_eleventh_group_are_refused() -> None:
    with sandbox_organization() as sandbox:
        pair = sessions_of(LARKSPUR.account_id("Data Platform"))
        sandbox.prepare(pair)
        iam = pair.member.client("iam")
        policies = iam.list_attached_user_policies(UserName="nils.andersen")["AttachedPolicies"]
        groups = iam.list_groups_for_user(UserName="nils.andersen")["Groups"]
        arn = f"arn:aws:iam::{LARKSPUR.account_id('Data Platform')}:policy/EnforceMFA"
        with pytest.raises(ClientError, match="PoliciesPerUser: 10") as over_policies:
            iam.attach_user_policy(UserName="nils.andersen", PolicyArn=arn)
        with pytest.raises(ClientError, match="GroupsPerUser: 10") as over_groups:
            iam.add_user_to_group(UserName="nils.andersen", GroupName="EnforceMFA")
        iam.attach_user_policy(UserName="nils.andersen", PolicyArn=policies[0]["PolicyArn"])
        iam.add_user_to_group(UserName="nils.andersen", GroupName=groups[0]["GroupName"])

    codes = [caught.value.response["Error"]["Code"] for caught in (over_policies, over_groups)]
    assert codes == ["LimitExceeded", "LimitExceeded"]


def test_user_that_does_not_exist_is_moto_s_to_refuse() -> None:
    with sandbox_organization() as sandbox:
        pair = sessions_of(LARKSPUR.account_id("Network"))
        sandbox.prepare(pair)
        iam = pair.member.client("iam")
        arn = f"arn:aws:iam::{LARKSPUR.account_id('Network')}:policy/EnforceMFA"

        with pytest.raises(iam.exceptions.NoSuchEntityException):
            iam.attach_user_policy(UserName="nobody", PolicyArn=arn)
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            iam.add_user_to_group(UserName="nobody", GroupName="EnforceMFA")


def test_scp_denies_every_call() -> None:
    with sandbox_organization() as sandbox:
        pair = sessions_of(LARKSPUR.account_id("Forensics"))
        sandbox.prepare(pair)
        iam = pair.member.client("iam")

        for call in (iam.get_account_summary, iam.get_credential_report, iam.list_users):
            with pytest.raises(ClientError, match="with an explicit deny in a service control policy"):
                call()


def test_quota_can_be_raised() -> None:
    with sandbox_organization() as sandbox:
        pair = sessions_of(LARKSPUR.account_id("Mobile Development"))
        sandbox.prepare(pair)
        summary = pair.member.client("iam").get_account_summary()["SummaryMap"]

    assert (summary["AttachedPoliciesPerUserQuota"], summary["GroupsPerUserQuota"]) == (20, 10)


def test_credential_report_is_two_hours_old_and_says_what_was_true_then() -> None:
    with sandbox_organization() as sandbox:
        pair = sessions_of(LARKSPUR.account_id("Webshop Development"))
        sandbox.prepare(pair)
        iam = pair.member.client("iam")
        with pytest.raises(iam.exceptions.CredentialReportNotPresentException):
            iam.get_credential_report()
        iam.generate_credential_report()
        answer = iam.get_credential_report()
        devices = iam.list_mfa_devices(UserName="kofi.asante")["MFADevices"]
        virtual = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]

    rows = read_credential_report(answer["Content"])
    assert answer["GeneratedTime"] == sandbox.now - timedelta(hours=2)
    assert {name: row.has_mfa for name, row in rows.items()} == {
        "<root_account>": True,
        "kofi.asante": False,
        "maya.cohen": False,
        "tessa.brandt": False,
    }
    assert len(devices) == 1
    assert virtual == []


def test_command_shows_the_sandbox_whatever_the_environment_says(tmp_path: Path) -> None:
    command = [str(ORGMFA), "apply", "--sandbox", "--yes", "--output", "json"]
    environment = os.environ | {"AWS_PROFILE": "production", "HTTPS_PROXY": "http://127.0.0.1:9"}

    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
    )

    assert ended.returncode == 1
    users = users_by_place(RunReport.model_validate_json(ended.stdout))
    assert {place: user.outcome for place, user in users.items()} == {
        place: expected.outcome for place, expected in EXPECTED.items()
    }
    assert len(list((tmp_path / "orgmfa-sandbox-runs").rglob("*.json.gz"))) == 1


def test_missing_moto_is_named_with_the_way_to_install_it() -> None:
    script = (
        "import sys, json; sys.modules['moto'] = None\n"
        "from orchestrator.domain.errors import StartError\n"
        "try:\n    import orchestrator.sandbox\n"
        "except StartError as error:\n    print(json.dumps(str(error)))"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert "pip install 'orgmfa[sandbox]'" in json.loads(ended.stdout)
