"""The Lambda from its event to its result, against a served AWS and a fake Slack."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto.backends import get_backend

from orchestrator.aws.file_store import make_store
from orchestrator.domain.errors import ArchiveError, ConfigError, StartError
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.run import lambda_handler
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, json_error
from tests.fake_slack import FakeSlack, Say
from tests.onboarding_events import batch, stack_set_event
from tests.organization import SampleOrganization

SCHEDULE = {"trigger": "schedule", "scheduled_time": "2026-03-02T12:00:00Z"}
RULE: dict[str, Any] = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": MANAGEMENT,
    "time": "2026-03-02T12:00:00Z",
    "region": "eu-central-1",
    "resources": [f"arn:aws:events:eu-central-1:{MANAGEMENT}:rule/orgmfa-daily"],
    "detail": {},
}


@dataclass
class FakeContext:
    """The Lambda context of an invocation that may still last so long."""

    remaining_seconds: int = 900
    invoked_function_arn: str = f"arn:aws:lambda:eu-central-1:{MANAGEMENT}:function:orgmfa"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_seconds * 1000


@dataclass(frozen=True)
class Function:
    """The deployed function: its configuration, its archive, and the organization it works on."""

    organization: SampleOrganization
    aws: AwsServer
    folder: Path
    payments: str
    search: str

    def configure(self, **sections: Any) -> None:
        """Write the configuration, and let the next invocation start cold."""
        invocation._warm.clear()
        settings = {"archive": {"location": str(self.folder / "runs")}} | sections
        (self.folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def invoke(self, event: object, *, remaining_seconds: int = 900) -> dict[str, Any]:
        self.aws.forget_calls()
        result = lambda_handler(event, FakeContext(remaining_seconds))
        return json.loads(json.dumps(result))  # type: ignore[no-any-return]  # what Lambda makes of a result

    def reports(self) -> list[RunReport]:
        """Return the archived reports, the newest first."""
        store = make_store(str(self.folder / "runs"), lambda: self.aws.client("s3"))
        archive = RunArchive(store, timedelta(days=400))
        return [archive.load(run.run_id) for run in archive.list_runs()]

    def enforced(self, account_id: str, name: str) -> bool:
        return "EnforceMFA" in self.organization.attached(account_id, name)


@pytest.fixture(autouse=True)
def cold_start() -> Iterator[None]:
    invocation._warm.clear()
    yield
    invocation._warm.clear()


@pytest.fixture
def function(aws: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Function:
    """A function in an organization of three accounts.

    root
    +-- management        nobody
    +-- payments          alice, who has no MFA; bob, who has
    +-- search            carol, who has no MFA
    """
    organization, payments, search = aws.prepare(build_accounts)
    monkeypatch.setenv("ORGMFA_CONFIG", str(tmp_path / "config.yaml"))
    made = Function(organization, aws, tmp_path, payments, search)
    made.configure()
    return made


def build_accounts(aws: AwsServer) -> tuple[SampleOrganization, str, str]:
    organization = SampleOrganization(aws)
    payments, search = organization.add_account("payments", alias="acme-payments"), organization.add_account("search")
    organization.add_user(payments, "alice")
    organization.add_user(payments, "bob", mfa="virtual")
    organization.add_user(search, "carol")
    return organization, payments, search


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        monkeypatch.setenv("ORGMFA_SLACK_WEBHOOK_URL", slack.webhook_url)
        yield slack


def deny_second_page(call: Call) -> Answer | None:
    """Give one account and the promise of more, and deny the rest."""
    if call.action != "ListAccounts":
        return None
    if "NextToken" in call.parameters:
        return json_error("AccessDeniedException", "no more for you")
    accounts = [{"Id": MANAGEMENT, "Name": "management", "State": "ACTIVE"}]
    return Answer(200, json.dumps({"Accounts": accounts, "NextToken": "2"}), "application/x-amz-json-1.1")


# -- scheduled runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("$NOT_SET/stop", "the variable NOT_SET is not set"),
        ("$NOT_SET", "the variable NOT_SET is not set"),
        ("~nobody-of-this-name/stop", "no such user"),
        ("/nowhere/stop", "/nowhere/stop cannot be read"),
    ],
)
def test_stop_switch_that_cannot_be_used_holds_the_run_and_is_told(function: Function, switch: str, words: str) -> None:
    function.configure(enforcement={"mode": "apply", "stop": switch})

    result = function.invoke(SCHEDULE)

    assert result["totals"]["held"] == 2
    assert function.aws.writes() == []
    errors = [user.error for account in function.reports()[0].accounts for user in account.users if user.error]
    assert {error.code for error in errors} == {"stopped"}
    assert all(words in error.message for error in errors)


@pytest.mark.parametrize("event", [RULE, SCHEDULE])
def test_scheduled_run_is_over_every_account_in_the_mode_of_the_configuration(
    function: Function, event: dict[str, Any]
) -> None:
    plan = function.invoke(event)
    writes_of_plan = function.aws.writes()
    function.configure(enforcement={"mode": "apply"})
    again = {"id": "another", "scheduled_time": "2026-03-03T12:00:00Z"}
    apply = function.invoke({key: again.get(key, value) for key, value in event.items()})

    assert (plan["mode"], apply["mode"]) == ("plan", "apply")
    assert writes_of_plan == []
    assert sorted(call.parameters["UserName"] for call in function.aws.writes()) == ["alice", "carol"]
    assert function.enforced(function.payments, "alice")
    assert not function.enforced(function.payments, "bob")


def test_result_is_the_totals_and_where_the_report_is(function: Function) -> None:
    result = function.invoke(SCHEDULE)

    (report,) = function.reports()
    assert result["run_id"] == report.run_id
    assert result["complete"] is True
    assert result["totals"] == report.totals.model_dump()
    assert {key: result["totals"][key] for key in ("accounts", "inspected", "users", "planned", "compliant")} == {
        "accounts": 3,
        "inspected": 3,
        "users": 3,
        "planned": 2,
        "compliant": 1,
    }
    assert Path(result["report"]).is_file()
    assert (report.trigger, report.mode) == ("schedule", "plan")


@pytest.mark.parametrize(("event", "key"), [(RULE, f"rule-{RULE['id']}"), (SCHEDULE, "schedule-2026-03-02T12:00:00Z")])
@pytest.mark.parametrize("is_warm", [True, False])
def test_same_event_twice_gives_one_run(function: Function, event: dict[str, Any], key: str, is_warm: bool) -> None:
    function.invoke(event)
    if not is_warm:
        invocation._warm.clear()

    second = function.invoke(event)

    assert second == {"repeated": True, "event": key}
    assert len(function.reports()) == 1
    assert function.aws.calls == []


def test_page_of_the_run_stands_beside_its_report(function: Function) -> None:
    function.invoke(SCHEDULE)

    (report,) = function.reports()
    folder = function.folder / "runs" / "runs" / f"{report.started_at:%Y/%m/%d}"
    assert sorted(path.name for path in folder.iterdir()) == [f"{report.run_id}.html", f"{report.run_id}.json.gz"]
    assert "<!doctype html>" in (folder / f"{report.run_id}.html").read_text(encoding="utf-8").lower()


def test_event_whose_run_could_not_start_gives_a_run_when_it_comes_again(function: Function) -> None:
    function.aws.faults.append(
        lambda call: json_error("AccessDeniedException") if call.action == "DescribeOrganization" else None
    )
    with pytest.raises(StartError):
        function.invoke(SCHEDULE)
    function.aws.faults.clear()

    function.invoke(SCHEDULE)

    assert len(function.reports()) == 1


def test_warm_function_keeps_its_clients_and_its_configuration(function: Function) -> None:
    function.invoke(SCHEDULE)
    warm = invocation._warm["hub"]
    (function.folder / "config.yaml").write_text("not: usable", encoding="utf-8")

    function.invoke(SCHEDULE | {"scheduled_time": "2026-03-03T12:00:00Z"})

    assert invocation._warm["hub"] is warm
    assert len(function.reports()) == 2


# -- on demand -------------------------------------------------------------------------------------------------------


def test_run_on_demand_is_over_the_accounts_named_and_no_other(function: Function) -> None:
    result = function.invoke({"accounts": [function.payments]})

    (report,) = function.reports()
    assert [account.id for account in report.accounts] == [function.payments]
    assert (report.trigger, report.mode) == ("on_demand", "plan")
    assert result["totals"]["accounts"] == 1
    assert function.aws.actions(function.search) == []


@pytest.mark.parametrize(
    ("configured", "asked", "mode", "is_enforced"),
    [
        ("plan", {}, "plan", False),
        ("plan", {"mode": "apply"}, "apply", True),
        ("apply", {}, "apply", True),
        ("apply", {"mode": "plan"}, "plan", False),
    ],
)
def test_mode_of_the_event_wins_over_that_of_the_configuration(
    function: Function, configured: str, asked: dict[str, str], mode: str, is_enforced: bool
) -> None:
    function.configure(enforcement={"mode": configured})

    result = function.invoke({"accounts": [function.payments]} | asked)

    assert result["mode"] == mode
    assert function.enforced(function.payments, "alice") is is_enforced


@pytest.mark.parametrize(
    ("limit", "max_changes", "outcome"),
    [
        (100, 0, "held"),
        (100, 1, "enforced"),
        (0, None, "held"),
        (0, 1, "enforced"),
        (0, "none", "enforced"),
    ],
)
def test_limit_of_the_event_replaces_those_of_the_configuration_for_one_run(
    function: Function, limit: int, max_changes: object, outcome: str
) -> None:
    limits = {"max_changes_per_account": limit, "max_changes_per_run": limit}
    function.configure(enforcement={"mode": "apply"}, limits=limits)
    event = {"accounts": [function.payments]}

    result = function.invoke(event if max_changes is None else event | {"max_changes": max_changes})

    assert result["totals"][outcome] == 1
    assert invocation._warm["hub"].config.limits.max_changes_per_run == limit


def test_same_event_on_demand_is_meant_each_time(function: Function) -> None:
    function.invoke({"accounts": [function.payments]})
    function.invoke({"accounts": [function.payments]})

    assert len(function.reports()) == 2


def test_second_apply_changes_nothing(function: Function) -> None:
    event = {"accounts": [function.payments, function.search], "mode": "apply"}
    first = function.invoke(event)
    second = function.invoke(event)

    assert first["totals"]["enforced"] == 2
    assert (second["totals"]["enforced"], second["totals"]["already_enforced"]) == (0, 2)
    assert function.aws.writes() == []


def test_account_that_is_not_in_the_organization_is_an_error(function: Function) -> None:
    with pytest.raises(ConfigError, match="000000000000"):
        function.invoke({"accounts": ["000000000000"], "mode": "apply"})

    assert function.reports() == []


# -- events that are no run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        {},
        None,
        [],
        {"mode": "apply"},
        {"accounts": []},
        {"accounts": [111122223333]},
        SCHEDULE | {"mode": "apply"},
        RULE | {"source": "com.example"},
        RULE | {"account": "111122223333"},
        {"Records": []},
    ],
)
def test_unknown_event_is_an_error_and_not_a_sweep(function: Function, event: object) -> None:
    function.configure(enforcement={"mode": "apply"})

    with pytest.raises(ConfigError):
        function.invoke(event)

    assert function.aws.calls == []
    assert function.reports() == []


def test_unusable_configuration_is_an_error(function: Function) -> None:
    function.configure(enforcement={"mode": "aply"})

    with pytest.raises(ConfigError, match=r"config\.yaml: enforcement\.mode"):
        function.invoke(SCHEDULE)


def test_configuration_of_the_package_is_the_file_at_its_root() -> None:
    assert Path(__file__).parents[2] / "config.yaml" == invocation.PACKAGED_CONFIG


# -- what fails the invocation ---------------------------------------------------------------------------------------


def test_failed_account_alone_does_not_fail_the_invocation(function: Function) -> None:
    function.aws.missing_roles.add((function.search, "orgmfa-member"))

    result = function.invoke(SCHEDULE)

    assert (result["totals"]["failed"], result["totals"]["inspected"]) == (1, 2)
    assert result["complete"] is True


def test_failed_user_alone_does_not_fail_the_invocation(function: Function) -> None:
    def refuse(call: Call) -> Answer | None:
        is_write = call.action == "AttachUserPolicy"
        return (
            Answer(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>") if is_write else None
        )

    function.aws.faults.append(refuse)

    result = function.invoke({"accounts": [function.payments], "mode": "apply"})

    assert result["totals"]["failed_users"] == 1


def test_listing_that_breaks_off_fails_the_invocation_after_the_report(function: Function, slack: FakeSlack) -> None:
    function.aws.faults.append(deny_second_page)

    with pytest.raises(RunFailed, match="select: no more for you"):
        function.invoke(SCHEDULE)

    (report,) = function.reports()
    assert report.complete is False
    assert report.totals.inspected == 1
    assert len(slack.messages) == 1


def test_listing_that_never_begins_fails_the_invocation(function: Function) -> None:
    function.aws.faults.append(
        lambda call: json_error("AccessDeniedException") if call.action == "ListAccounts" else None
    )

    with pytest.raises(StartError, match="cannot list the accounts"):
        function.invoke(SCHEDULE)

    assert function.reports() == []


def test_report_that_cannot_be_archived_fails_the_invocation_after_the_digest(
    function: Function, slack: FakeSlack
) -> None:
    (function.folder / "runs").mkdir()
    (function.folder / "runs" / "runs").write_text("a file where a folder should be", encoding="utf-8")

    with pytest.raises(RunFailed, match="archive: "):
        function.invoke(SCHEDULE)

    assert len(slack.messages) == 1


def test_archive_that_cannot_note_the_event_starts_no_run(function: Function) -> None:
    (function.folder / "runs").write_text("a file where a folder should be", encoding="utf-8")

    with pytest.raises(ArchiveError):
        function.invoke(SCHEDULE)

    assert function.aws.calls == []


def test_digest_that_is_refused_fails_the_invocation_after_the_report(function: Function, slack: FakeSlack) -> None:
    slack.next(Say("no_service", status=404))

    with pytest.raises(RunFailed, match="digest: ") as caught:
        function.invoke(SCHEDULE)

    assert len(function.reports()) == 1
    assert slack.messages == []
    assert not any(secret in str(caught.value) for secret in slack.secret_texts)


def test_findings_that_cannot_be_imported_fail_the_invocation_after_report_and_digest(
    function: Function, slack: FakeSlack
) -> None:
    function.configure(securityhub={"enabled": True})
    function.aws.faults.append(
        lambda call: json_error("InvalidAccessException", "not subscribed") if call.service == "securityhub" else None
    )

    with pytest.raises(RunFailed, match="findings: Security Hub: not subscribed"):
        function.invoke(SCHEDULE)

    assert len(function.reports()) == 1
    assert len(slack.messages) == 1


def test_function_near_its_end_starts_nothing_and_fails(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"})

    with pytest.raises(RunFailed, match="could not be listed to the end"):
        function.invoke(SCHEDULE, remaining_seconds=30)

    assert "AssumeRole" not in function.aws.actions()
    assert all(report.totals.inspected == 0 for report in function.reports())


# -- digest, metrics, logs -------------------------------------------------------------------------------------------


def test_each_run_sends_one_digest(function: Function, slack: FakeSlack) -> None:
    function.invoke(SCHEDULE)
    function.invoke(SCHEDULE)
    function.invoke({"accounts": [function.payments]})

    assert slack.requests == len(slack.messages) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_each_run_writes_its_metrics_once(function: Function, capsys: pytest.CaptureFixture[str], fails: bool) -> None:
    if fails:
        function.aws.faults.append(deny_second_page)
        with pytest.raises(RunFailed):
            function.invoke(SCHEDULE)
    else:
        function.invoke(SCHEDULE)

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["RunsFailed"] == [int(fails)]


def test_every_log_line_of_a_run_is_json_and_carries_its_run_id_alone(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    first = function.invoke(SCHEDULE)
    second = function.invoke({"accounts": [function.payments]})

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    ids = [line["run_id"] for line in lines if "run_id" in line]
    assert list(dict.fromkeys(ids)) == [first["run_id"], second["run_id"]]
    assert {line["event"] for line in lines} >= {"run_started", "account_inspected", "run_finished"}


def test_line_of_a_later_invocation_does_not_carry_the_run_id_of_an_earlier_one(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.invoke(SCHEDULE)
    capsys.readouterr()

    function.invoke(SCHEDULE)

    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], "run_id" in line) == ("event_repeated", False)


# -- onboarding ------------------------------------------------------------------------------------------------------


def test_new_accounts_of_a_batch_are_one_run(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"})

    result = function.invoke(batch(stack_set_event(function.payments), stack_set_event(function.search)))

    (report,) = function.reports()
    assert {account.id for account in report.accounts} == {function.payments, function.search}
    assert (report.trigger, report.mode) == ("onboarding", "apply")
    assert result["totals"]["enforced"] == 2


def test_batch_that_is_delivered_again_gives_no_second_run(function: Function) -> None:
    event = batch(stack_set_event(function.payments))
    function.invoke(event)
    invocation._warm.clear()

    second = function.invoke(event)

    assert second["accounts"] == 0
    assert len(function.reports()) == 1


def test_batch_whose_run_failed_is_run_when_it_is_delivered_again(function: Function, slack: FakeSlack) -> None:
    event = batch(stack_set_event(function.payments))
    slack.next(Say("no_service", status=404))
    with pytest.raises(RunFailed):
        function.invoke(event)

    again = function.invoke(event)

    assert again["totals"]["accounts"] == 1
    assert len(slack.messages) == 1


@pytest.mark.parametrize("event_id", ["\ud800", " ", "", "a b", 7, None, ["x"], {}])
def test_event_with_an_odd_id_is_refused_and_those_beside_it_are_run_and_noted(
    function: Function, capsys: pytest.CaptureFixture[str], event_id: object
) -> None:
    event = batch(stack_set_event(function.search) | {"id": event_id}, stack_set_event(function.payments))

    first = function.invoke(event)
    second = function.invoke(event)

    (report,) = function.reports()
    assert {account.id for account in report.accounts} == {function.payments}
    assert first["totals"]["accounts"] == 1
    assert second == {"accounts": 0, "passed_over": 0, "refused": 1}
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines].count("event_refused") == 2


@pytest.mark.parametrize(
    ("event", "passed_over", "refused"),
    [
        (batch("no event at all"), 0, 1),
        (batch(stack_set_event("444455556666", account="666677778888")), 0, 1),
        (batch(stack_set_event("444455556666", action="DELETE")), 1, 0),
        (batch(stack_set_event("444455556666", stack_set="somebody-elses"), "{"), 1, 1),
    ],
)
def test_batch_without_news_is_no_run(
    function: Function, event: dict[str, Any], passed_over: int, refused: int
) -> None:
    result = function.invoke(event)

    assert result == {"accounts": 0, "passed_over": passed_over, "refused": refused}
    assert function.reports() == []


def test_account_that_has_left_the_organization_meanwhile_is_not_asked_for_again(function: Function) -> None:
    event = batch(stack_set_event("444455556666"))

    first, second = function.invoke(event), function.invoke(event)

    assert (first["accounts"], second["accounts"]) == (0, 0)
    assert "DescribeAccount" not in function.aws.actions()
    assert function.reports() == []


def test_account_that_is_new_runs_though_another_of_the_batch_is_unknown(function: Function) -> None:
    result = function.invoke(batch(stack_set_event("444455556666"), stack_set_event(function.payments)))

    assert result["totals"]["accounts"] == 1


def test_stack_set_of_another_name_may_be_ours(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORGMFA_STACKSET_NAME", "security-mfa")

    result = function.invoke(batch(stack_set_event(function.payments, stack_set="security-mfa")))

    assert result["totals"]["accounts"] == 1


def test_onboarding_sends_a_digest_only_where_there_is_something_to_say(function: Function, slack: FakeSlack) -> None:
    clean = function.organization.add_account("clean")
    iam: Any = get_backend("iam")[clean]["aws"]
    iam.account_summary._account_mfa_enabled = 1  # no call can give the root user of moto an MFA device
    function.invoke(batch(stack_set_event(clean)))
    assert slack.messages == []

    function.invoke(batch(stack_set_event(function.payments)))

    assert len(slack.messages) == 1


def test_two_thousand_events_of_a_first_rollout_are_one_run_and_one_digest(
    function: Function, slack: FakeSlack
) -> None:
    """Two accounts of the organization are among them, most events twice, in one batch as SQS hands it over."""
    others = [stack_set_event(f"{number:012}") for number in range(700000000000, 700000000998)]
    ours = [stack_set_event(function.payments), stack_set_event(function.search)]

    function.invoke(batch(*others, *ours, *others, *ours))

    (report,) = function.reports()
    assert {account.id for account in report.accounts} == {function.payments, function.search}
    assert len(slack.messages) == 1
    assert function.aws.actions().count("DescribeAccount") == 0

    repeated = function.invoke(batch(*others, *ours))

    assert repeated["accounts"] == 0
    assert len(function.reports()) == 1
    assert len(slack.messages) == 1
