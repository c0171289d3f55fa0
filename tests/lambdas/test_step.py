"""A run in steps, from the events of the state machine to its report, against a served AWS and a fake Slack.

`Machine` does what the state machine does: it calls the steps one after the other and passes on what they return. The
state machine itself runs in tests/e2e.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.capacity import BATCH_GETS, BATCH_PUTS, FIXED_GETS, FIXED_PUTS
from orchestrator.aws.file_store import BucketStore, Store
from orchestrator.domain.errors import ArchiveError, ConfigError, RunUnderWay, StartError
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.run import lambda_handler as handle
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.lambdas.step import lambda_handler as step
from orchestrator.pipeline.lease import LEASE_FILE
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport
from tests.aws_server import Answer, AwsServer, Call, xml_error
from tests.fake_slack import FakeSlack, Say
from tests.lambdas.test_run import FakeContext
from tests.organization import SampleOrganization
from tests.reports.bombs import BOMBS

STARTED = "2026-03-02T12:00:00.123Z"
SCHEDULE = {"trigger": "schedule", "scheduled_time": "2026-03-02T12:00:00Z"}
BUCKET = "acme-orgmfa"
FEWER = {"run_id", "trigger", "started_at", "finished_at"}


@dataclass
class Machine:
    """The state machine, its organization and its archive; `lost` are steps whose invocation never ends well."""

    organization: SampleOrganization
    aws: AwsServer
    folder: Path
    accounts: list[str]
    lost: set[tuple[str, int]] = field(default_factory=set)

    def configure(self, **sections: Any) -> None:
        """Write the configuration, and let the next invocation start cold."""
        invocation._warm.clear()
        settings = {"archive": {"location": f"s3://{BUCKET}/archive"}} | sections
        (self.folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def step(self, name: str, **fields: Any) -> dict[str, Any]:
        result = step({"step": name} | fields, FakeContext())
        return json.loads(json.dumps(result))  # type: ignore[no-any-return] # what Lambda makes of a result

    def select(self, execution: str = "daily-1", **asked: Any) -> dict[str, Any]:
        return self.step("select", execution=execution, started=STARTED, input=asked)

    def map(self, name: str, selected: dict[str, Any]) -> None:
        """Do a step for every item, as a Distributed Map does that tolerates all failures."""
        content = self.aws.client("s3").get_object(Bucket=selected["bucket"], Key=selected["batches"])["Body"].read()
        for item in json.loads(content):
            if (name, item["batch"]) not in self.lost:
                self.step(name, **item)

    def run(self, execution: str = "daily-1", **asked: Any) -> dict[str, Any]:
        selected = self.select(execution, **asked)
        if selected["repeated"]:
            return selected
        self.map("plan", selected)
        gated = self.step("gate", run_id=selected["run_id"])
        if gated["go"]:
            self.map("apply", gated)
        return self.step("merge", run_id=selected["run_id"])

    @property
    def store(self) -> Store:
        return BucketStore(f"s3://{BUCKET}/archive", self.aws.client("s3"))

    def report(self) -> RunReport:
        """Return the newest report."""
        return RunArchive(self.store, timedelta(days=400)).load()

    def enforced(self) -> list[str]:
        """Return who has EnforceMFA in IAM."""
        names = [("alice", 0), ("bob", 1), ("carol", 2), ("dave", 3)]
        return [name for name, at in names if "EnforceMFA" in self.organization.attached(self.accounts[at], name)]

    def files(self, prefix: str = "work/") -> list[str]:
        return [file.name for file in self.store.list_files(prefix)]


@pytest.fixture(autouse=True)
def cold_start() -> Iterator[None]:
    invocation._warm.clear()
    yield
    invocation._warm.clear()


@pytest.fixture
def machine(aws: AwsServer, slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A state machine with batches of two accounts.

    root
    +-- management     nobody
    +-- team-0         alice, who has no MFA
    +-- team-1         bob, who has no MFA
    +-- team-2         carol, who has no MFA; erin, who has
    +-- team-3         dave, who has no MFA
    """
    organization, accounts = aws.prepare(build_teams)
    monkeypatch.setenv("ORGMFA_CONFIG", str(tmp_path / "config.yaml"))
    monkeypatch.setenv("ORGMFA_BATCH_SIZE", "2")
    monkeypatch.setenv("ORGMFA_SLACK_WEBHOOK_URL", slack.webhook_url)
    made = Machine(organization, aws, tmp_path, list(accounts))
    made.configure()
    return made


def build_teams(aws: AwsServer) -> tuple[SampleOrganization, list[str]]:
    organization = SampleOrganization(aws)
    accounts = [organization.add_account(f"team-{number}", alias=f"acme-{number}") for number in range(4)]
    for account_id, name in zip(accounts, ("alice", "bob", "carol", "dave"), strict=True):
        organization.add_user(account_id, name)
    organization.add_user(accounts[2], "erin", mfa="virtual")
    aws.client("s3").create_bucket(Bucket=BUCKET)
    return organization, accounts


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


def comparable(report: RunReport) -> dict[str, Any]:
    """Return a report without what differs between two runs that find and do the same."""
    told = report.model_dump(mode="json", exclude=FEWER)
    for account in told["accounts"]:
        for user in account["users"]:
            user["open_since"] = bool(user["open_since"])
    return told


def outcomes(report: RunReport) -> dict[str, str]:
    return {user.name: user.outcome.value for account in report.accounts for user in account.users}


# -- the same run


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_run_in_steps_gives_the_report_of_a_run_in_one(machine: Machine, mode: str) -> None:
    machine.aws.missing_roles.add((machine.accounts[1], "orgmfa-member"))
    machine.configure(enforcement={"mode": mode})
    handle(SCHEDULE, FakeContext())
    whole = machine.report()
    for account_id, name in zip(machine.accounts, ("alice", "bob", "carol", "dave"), strict=True):
        if "EnforceMFA" in machine.organization.attached(account_id, name):
            machine.aws.client("iam", account_id).detach_user_policy(
                UserName=name, PolicyArn=f"arn:aws:iam::{account_id}:policy/EnforceMFA"
            )
    for file in machine.files("runs/"):
        machine.store.delete(file)

    machine.run(**SCHEDULE | {"scheduled_time": "2026-03-03T12:00:00Z"})

    assert comparable(machine.report()) == comparable(whole)
    assert machine.report().trigger == "map"


def test_steps_enforce_report_and_tell_once_and_leave_nothing_behind(machine: Machine, slack: FakeSlack) -> None:
    machine.configure(enforcement={"mode": "apply"})

    result = machine.run(**SCHEDULE)

    assert machine.enforced() == ["alice", "bob", "carol", "dave"]
    assert (result["totals"]["enforced"], result["totals"]["accounts"]) == (4, 5)
    assert machine.report().run_id == result["run_id"]
    assert len(slack.messages) == 1
    assert (machine.files(), LEASE_FILE in machine.files("locks/")) == ([], False)


def test_what_earlier_runs_knew_reaches_every_batch(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "notice": "3d"})
    machine.run(**SCHEDULE)
    first = machine.report()
    machine.organization.enrol(machine.accounts[1], "bob", "fido")

    machine.run("daily-2", **SCHEDULE | {"scheduled_time": "2026-03-03T12:00:00Z"})

    second = machine.report()
    assert outcomes(first) == {
        "alice": "in_grace",
        "bob": "in_grace",
        "carol": "in_grace",
        "dave": "in_grace",
        "erin": "none",
    }
    assert second.changes is not None
    assert [(user.name, user.device) for user in second.changes.enrolled] == [("bob", "fido")]
    seen = {user.name: user.open_since for account in second.accounts for user in account.users}
    assert seen["alice"] == first.started_at


# -- what is lost


def test_batch_that_was_never_planned_is_reported_as_not_reached(machine: Machine, slack: FakeSlack) -> None:
    machine.configure(enforcement={"mode": "apply"})
    machine.lost.add(("plan", 1))

    machine.run(**SCHEDULE)

    report = machine.report()
    assert [account.status.value for account in report.accounts] == ["inspected"] * 2 + ["not_reached"] * 2 + [
        "inspected"
    ]
    assert [error.code for error in report.errors] == ["lost"]
    assert (report.complete, machine.enforced()) == (True, ["alice", "dave"])
    assert len(slack.messages) == 1


@pytest.mark.parametrize("was_written", [True, False])
def test_of_a_batch_lost_while_it_was_applied_what_was_written_is_told(machine: Machine, was_written: bool) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.step("gate", run_id=selected["run_id"])
    machine.map("apply", gated)
    machine.store.delete(f"work/{selected['run_id']}/applied/00000.json.gz")
    if not was_written:
        machine.aws.client("iam", machine.accounts[0]).detach_user_policy(
            UserName="alice", PolicyArn=f"arn:aws:iam::{machine.accounts[0]}:policy/EnforceMFA"
        )

    machine.step("merge", run_id=selected["run_id"])

    report = machine.report()
    account = next(account for account in report.accounts if account.id == machine.accounts[0])
    assert (account.status.value, account.error and account.error.code) == ("not_reached", "lost")
    assert [(user.outcome.value) for user in account.users] == ["enforced" if was_written else "planned"]
    assert outcomes(report)["dave"] == "enforced"


@pytest.mark.parametrize(
    ("found", "told"), [("the policy", ("create_policy",)), ("no policy", ()), ("no way into the account", ())]
)
def test_of_a_batch_lost_while_it_was_applied_the_policy_that_was_made_is_told(
    machine: Machine, found: str, told: tuple[str, ...]
) -> None:
    account_id = machine.accounts[0]
    iam, arn = machine.aws.client("iam", account_id), f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    iam.delete_policy(PolicyArn=arn)
    machine.configure(enforcement={"mode": "apply"}, policy={"managed_by": "orchestrator"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.step("gate", run_id=selected["run_id"])
    machine.map("apply", gated)
    machine.store.delete(f"work/{selected['run_id']}/applied/00000.json.gz")
    if found == "no policy":
        iam.detach_user_policy(UserName="alice", PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)
    elif found == "no way into the account":
        machine.aws.missing_roles.add((account_id, "orgmfa-member"))

    machine.step("merge", run_id=selected["run_id"])

    account = next(account for account in machine.report().accounts if account.id == account_id)
    assert account.status.value == "not_reached"
    assert account.policy_changes == told


def test_run_whose_gate_was_lost_writes_nothing_and_says_so(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)

    machine.step("merge", run_id=selected["run_id"])

    report = machine.report()
    assert (report.totals.planned, report.totals.not_reached, machine.aws.writes()[-1:]) != (0, 0, [])
    assert machine.enforced() == []
    assert [error.code for error in report.errors] == ["lost"]


def test_batch_that_ended_before_its_deadline_leaves_the_rest_not_reached(machine: Machine) -> None:
    selected = machine.select(**SCHEDULE)
    for number in range(3):
        step({"step": "plan", "run_id": selected["run_id"], "batch": number}, FakeContext(900 if number else 30))
    machine.step("gate", run_id=selected["run_id"])

    machine.step("merge", run_id=selected["run_id"])

    report = machine.report()
    assert [account.status.value for account in report.accounts] == ["not_reached"] * 2 + ["inspected"] * 3
    assert [error.code for error in report.errors] == ["deadline"]


# -- the gate


@pytest.mark.parametrize(("limit", "written"), [(3, 0), (4, 4)])
def test_limit_of_the_run_counts_all_batches(machine: Machine, limit: int, written: int) -> None:
    machine.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": limit})

    machine.run(**SCHEDULE)

    assert len(machine.enforced()) == written
    assert machine.report().totals.held == 4 - written


def test_limit_that_a_person_asks_for_holds_in_every_step(machine: Machine) -> None:
    machine.configure(limits={"max_changes_per_run": 1})

    result = machine.run(mode="apply", max_changes="none")

    assert (result["mode"], result["totals"]["enforced"]) == ("apply", 4)


def test_batch_is_not_applied_without_the_word_of_the_gate(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": 1})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)

    with pytest.raises(StartError, match="the gate has not let this run go"):
        machine.step("apply", run_id=selected["run_id"], batch=0)
    machine.step("gate", run_id=selected["run_id"])
    with pytest.raises(StartError, match="the gate has not let this run go"):
        machine.step("apply", run_id=selected["run_id"], batch=0)

    assert machine.enforced() == []


def test_plan_made_twice_stays_as_it_was_counted(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.step("gate", run_id=selected["run_id"])
    machine.organization.add_user(machine.accounts[0], "mallory")
    machine.map("plan", selected)

    machine.map("apply", gated)

    assert machine.organization.attached(machine.accounts[0], "mallory") == []


def forge(machine: Machine, selected: dict[str, Any], old: bytes, new: bytes) -> None:
    """Change the plans of the first batch, as somebody who can write the archive."""
    name = f"work/{selected['run_id']}/plans/00000.json.gz"
    plans = gzip.decompress(machine.store.read(name))
    assert old in plans
    machine.store.write(name, gzip.compress(plans.replace(old, new)))


@pytest.mark.parametrize("forged", [b"arn:aws:iam::aws:policy/AdministratorAccess", b"policy/Other"])
def test_forged_plan_attaches_no_other_policy(machine: Machine, forged: bytes) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    arn = f"arn:aws:iam::{machine.accounts[0]}:policy/EnforceMFA".encode()
    forge(machine, selected, b'"policy_arn":"' + arn, b'"policy_arn":"' + forged)
    gated = machine.step("gate", run_id=selected["run_id"])

    machine.map("apply", gated)
    machine.step("merge", run_id=selected["run_id"])

    assert machine.organization.attached(machine.accounts[0], "alice") == []
    assert outcomes(machine.report())["alice"] == "held"


def test_forged_plan_reaches_nobody_who_is_left_alone(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"}, protected_users=["break-*"])
    machine.organization.add_user(machine.accounts[0], "break-glass")
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    forge(machine, selected, b"alice", b"break-glass")
    gated = machine.step("gate", run_id=selected["run_id"])

    machine.map("apply", gated)

    assert machine.organization.attached(machine.accounts[0], "break-glass") == []


def test_stop_switch_set_after_the_gate_stops_the_writing(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "stop": str(machine.folder / "stop")})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.step("gate", run_id=selected["run_id"])
    (machine.folder / "stop").write_text("stop")

    machine.map("apply", gated)
    machine.step("merge", run_id=selected["run_id"])

    assert machine.enforced() == []
    assert machine.report().totals.held == 4


def test_stop_switch_that_cannot_be_used_holds_the_run(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "stop": "$NOT_SET"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)

    gated = machine.step("gate", run_id=selected["run_id"])
    machine.step("merge", run_id=selected["run_id"])

    assert gated["go"] is False
    assert machine.enforced() == []
    assert machine.report().totals.held == 4


# -- one run at a time, once


def test_same_scheduled_time_in_another_execution_is_no_second_run(machine: Machine, slack: FakeSlack) -> None:
    machine.run(**SCHEDULE)

    assert machine.run("daily-1b", **SCHEDULE)["repeated"] is True
    assert len(slack.messages) == 1


def test_first_step_tried_again_goes_on_with_the_same_run(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})

    first, again = machine.select(**SCHEDULE), machine.select(**SCHEDULE)

    assert first == again
    assert first["run_id"].startswith("20260302T120000Z-")


def test_run_that_would_write_is_refused_while_another_holds_the_lease(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)

    with pytest.raises(RunUnderWay, match=selected["run_id"]):
        machine.select("other", mode="apply")


def test_steps_write_nothing_once_another_run_has_taken_the_lease_over(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.step("gate", run_id=selected["run_id"])
    machine.store.write(LEASE_FILE, b'{"run_id": "other", "until": "2036-03-02T12:00:00Z"}')

    with pytest.raises(RunUnderWay, match="no longer that of run"):
        machine.map("apply", gated)
    machine.step("merge", run_id=selected["run_id"])

    assert machine.enforced() == []
    assert machine.report().totals.not_reached == 4
    assert b"other" in machine.store.read(LEASE_FILE)


def test_event_of_a_run_that_could_not_start_may_come_again(machine: Machine) -> None:
    def refuse(call: Call) -> Answer | None:
        return xml_error("AccessDenied", status=403) if call.action == "GetCallerIdentity" else None

    machine.aws.faults.append(refuse)
    with pytest.raises(StartError):
        machine.select(**SCHEDULE)
    machine.aws.faults.clear()

    assert machine.select("daily-2", **SCHEDULE)["repeated"] is False


# -- what cannot be used


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"step": "sweep"},
        {"step": "plan", "run_id": "x"},
        {"step": "plan", "run_id": "../x", "batch": 0},
        {"step": "merge", "run_id": "x", "batch": 0},
        {"step": "select", "execution": "x", "started": STARTED, "input": {"mode": "release"}},
        {"step": "select", "execution": "x", "started": STARTED, "input": {"accounts": ["111122223333"]}},
    ],
)
def test_event_that_is_no_step_is_refused(machine: Machine, event: dict[str, Any]) -> None:
    machine.aws.forget_calls()

    with pytest.raises(ConfigError, match="the event is no step of a run"):
        step(event, FakeContext())

    assert machine.aws.calls == []


def test_archive_in_a_folder_is_refused(machine: Machine) -> None:
    machine.configure(archive={"location": str(machine.folder / "runs")})

    with pytest.raises(StartError, match="s3://bucket/prefix"):
        machine.select(**SCHEDULE)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b broken"])
def test_broken_work_room_is_an_error_that_names_the_file(machine: Machine, content: bytes) -> None:
    selected = machine.select(**SCHEDULE)
    machine.store.write(f"work/{selected['run_id']}/outline.json", content)

    with pytest.raises(ArchiveError, match=r"outline\.json is broken"):
        machine.step("gate", run_id=selected["run_id"])


@pytest.mark.parametrize(
    "content", [BOMBS["zeros"](), gzip.compress(b"plans", mtime=0)[:-9], b"\x1f\x8b\x08" + b"\xff" * 30]
)
def test_plans_that_cannot_be_unpacked_are_an_error_that_names_the_file(machine: Machine, content: bytes) -> None:
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    machine.store.write(f"work/{selected['run_id']}/plans/00000.json.gz", content)

    with pytest.raises(ArchiveError, match=r"plans/00000\.json\.gz is broken"):
        machine.step("gate", run_id=selected["run_id"])


def test_run_whose_digest_cannot_be_sent_fails_after_its_report_is_archived(machine: Machine, slack: FakeSlack) -> None:
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    machine.step("gate", run_id=selected["run_id"])
    slack.next(*[Say("invalid_token", 403)] * 20)

    with pytest.raises(RunFailed, match="digest"):
        machine.step("merge", run_id=selected["run_id"])

    assert machine.report().run_id == selected["run_id"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_run_asks_no_more_of_the_archive_than_capacity_reckons_with(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv("ORGMFA_BATCH_SIZE", str(size))
    before = len(machine.aws.calls)

    machine.run(mode="apply")

    asked = [call.action for call in machine.aws.calls[before:] if call.service == "s3"]
    listed = asked.count(f"GET /{BUCKET}")
    written = sum(action.startswith("PUT") for action in asked)
    read = sum(action.startswith("GET") for action in asked) - listed
    batches = ceil((len(machine.accounts) + 1) / size)
    assert 0 < written + listed <= FIXED_PUTS + batches * BATCH_PUTS
    assert 0 < read <= FIXED_GETS + batches * BATCH_GETS
