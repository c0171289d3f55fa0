"""Runs in a row against an organization in memory, with things changing in between: what each tells of the last."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.aws.file_store import StoredFile
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.errors import AccessDenied, ArchiveError, AssumeRoleDenied, NotFound, StartError, Throttled
from orchestrator.domain.model import AccountState, LiveUser, MfaDevice, Mode
from orchestrator.output.slack.channel import SlackChannel
from orchestrator.pipeline.run import run
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import AccountReport, Changes, RunReport, UserReport, exit_code
from tests.builders import NOW, days_ago, make_config, make_request, make_user
from tests.fakes import FakeAws, FakeSlackClient, MemoryStore, fail, make_context

PAYMENTS, SEARCH, LAB = "000000000001", "000000000002", "000000000003"
FIDO = MfaDevice("fido", days_ago(-1.5))


@dataclass
class DatedStore(MemoryStore):
    """A store that knows when each of its files was written."""

    dates: dict[str, datetime] = field(default_factory=dict)

    def write(self, name: str, content: bytes) -> None:
        super().write(name, content)
        self.dates[name] = self.written_at

    def list_files(self, prefix: str) -> Iterator[StoredFile]:
        for file in super().list_files(prefix):
            yield replace(file, written_at=self.dates.get(file.name, NOW))


@dataclass
class Days:
    """An organization from day to day: `play` carries out a run on a day, `aws` changes in between."""

    aws: FakeAws = field(default_factory=FakeAws)
    store: DatedStore = field(default_factory=DatedStore)
    slack: FakeSlackClient = field(default_factory=FakeSlackClient)
    cancellation: Cancellation = field(default_factory=Cancellation)
    answers: bool = True
    runs: int = 0

    def play(
        self, day: float, mode: str = "apply", config: Config | None = None, *, stop: bool = False, **request: Any
    ) -> RunReport:
        self.runs += 1
        now = self.store.written_at = NOW + timedelta(days=day)
        config = config or Config()
        archive = RunArchive(self.store, config.archive.keep)
        self.aws.asked_at = now
        context = make_context(
            self.aws,
            request=make_request(mode=Mode(mode), run_id=f"run-{self.runs:02}", started_at=now, **request),
            config=config,
            rules=Rules(config, archive.released_until(now)),
            now=lambda: now,
            stop_reason=lambda: "because" if stop else None,
            cancellation=self.cancellation,
            archive=archive,
            notifiers=(SlackChannel(self.slack, config),),
            confirm=lambda _: self.answers,
        )
        return run(context).report

    def change(self, account_id: str, name: str, **changes: Any) -> None:
        """Have a user be otherwise from now on."""
        users = self.aws.accounts[account_id].users
        users[name] = replace(users[name], **changes)

    def refuse(self, *account_ids: str) -> None:
        """Have the role be refused in these accounts from now on, and in no other."""

        def before(action: str, account_id: str, subject: str) -> None:
            if action == "enter" and account_id in account_ids:
                raise fail(AssumeRoleDenied, "AccessDenied", "AssumeRole")

        self.aws.before = before

    def archived(self) -> RunReport:
        """Return the report of the last run as the archive has it."""
        return RunArchive(self.store, timedelta(days=400)).load(f"run-{self.runs:02}")


@pytest.fixture
def days() -> Days:
    """Two accounts: `payments` with alice (no MFA) and bob (MFA), `search` with carol (no MFA)."""
    days = Days()
    days.aws.add(make_user("alice"), make_user("bob", has_mfa=True))
    days.aws.add(make_user("carol"))
    return days


def told(report: RunReport) -> dict[str, list[str]]:
    """Return who changed, by kind of change; kinds without any are left out."""
    changes = changes_of(report)
    users = {
        kind: [user.name for user in getattr(changes, kind)]
        for kind in ("newly_without_mfa", "enrolled", "newly_enforced", "enforcement_undone")
    }
    accounts = {kind: [each.id for each in getattr(changes, kind)] for kind in ("new_accounts", "gone_accounts")}
    return {kind: names for kind, names in (users | accounts).items() if names}


def changes_of(report: RunReport) -> Changes:
    assert report.changes is not None
    return report.changes


def account_of(report: RunReport, account_id: str = PAYMENTS) -> AccountReport:
    return next(account for account in report.accounts if account.id == account_id)


def user_of(report: RunReport, name: str = "alice") -> UserReport:
    (found,) = [user for account in report.accounts for user in account.users if user.name == name]
    return found


def outcomes(report: RunReport) -> dict[str, str]:
    return {user.name: user.outcome.value for account in report.accounts for user in account.users}


def opened_on(report: RunReport, name: str = "alice") -> float:
    """Return on which day a user was first seen without MFA."""
    since = user_of(report, name).open_since
    assert since is not None
    return (since - NOW) / timedelta(days=1)


# -- what changed


def test_first_run_has_nothing_to_compare_with(days: Days) -> None:
    report = days.play(0)

    assert report.changes is None
    assert days.archived() == report
    assert opened_on(report) == 0


def test_second_run_right_after_the_first_tells_of_no_change(days: Days) -> None:
    days.play(0)

    report = days.play(0.01)

    assert told(report) == {}
    assert changes_of(report).since_run_id == "run-01"


def test_run_tells_what_happened_since_the_last(days: Days) -> None:
    days.aws.add(make_user("dave"))
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True, mfa_device=MfaDevice("virtual", days_ago(-0.5)))
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.change(SEARCH, "carol", attached_policy_arns=frozenset())
    days.aws.accounts[SEARCH].users["erin"] = make_user("erin")
    del days.aws.accounts[LAB]
    days.aws.add(make_user("fay"), account_id="000000000009")

    report = days.play(1)

    assert told(report) == {
        "newly_without_mfa": ["bob", "erin", "fay"],
        "enrolled": ["alice"],
        "newly_enforced": ["bob", "erin", "fay"],
        "enforcement_undone": ["carol"],
        "new_accounts": ["000000000009"],
        "gone_accounts": [LAB],
    }
    (alice,) = changes_of(report).enrolled
    assert (alice.device, alice.enrolled_at) == ("virtual", days_ago(-0.5))
    assert days.archived() == report


def test_plans_are_compared_with_plans_and_applies_with_applies(days: Days) -> None:
    days.play(0, "plan")
    applied = days.play(1)
    planned = days.play(2, "plan")
    again = days.play(3)

    assert applied.changes is None
    assert changes_of(planned).since_run_id == "run-01"
    assert told(planned) == {"newly_enforced": ["alice", "carol"]}
    assert changes_of(again).since_run_id == "run-02"
    assert told(again) == {}


def test_person_is_shown_the_plan_with_what_changed(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.answers = False

    report = days.play(1)

    assert told(report) == {"newly_without_mfa": ["bob"]}


# -- enforcement undone


def test_enforcement_undone_by_others_is_told_and_made_good(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", attached_policy_arns=frozenset())

    undone = days.play(1)
    after = days.play(2)

    assert (told(undone), outcomes(undone)["alice"]) == ({"enforcement_undone": ["alice"]}, "enforced")
    assert told(after) == {}


def test_released_user_was_not_undone_by_others(days: Days) -> None:
    days.play(0)
    released = days.play(0.5, "release", user_names=frozenset({"alice"}))
    days.change(SEARCH, "carol", attached_policy_arns=frozenset())

    report = days.play(1)

    assert released.changes is None
    assert outcomes(report)["alice"] == "in_grace"
    assert told(report) == {"enforcement_undone": ["carol"]}


def test_release_of_long_ago_does_not_hide_what_others_undid(days: Days) -> None:
    days.play(0)
    days.play(0.5, "release", user_names=frozenset({"alice"}), release_for=timedelta(hours=6))
    enforced_again = days.play(1)
    days.change(PAYMENTS, "alice", attached_policy_arns=frozenset())

    report = days.play(2)

    assert told(enforced_again) == {}
    assert told(report) == {"enforcement_undone": ["alice"]}


# -- what could not be read


def test_account_that_failed_yields_no_change_and_is_counted_until_it_is_read_again(days: Days) -> None:
    days.play(0)
    days.refuse(PAYMENTS)
    failing = [days.play(day) for day in (1, 2, 3)]
    days.refuse()

    mended = days.play(4)

    assert [told(report) for report in (*failing, mended)] == [{}] * 4
    assert [account_of(report).failing_runs for report in failing] == [1, 2, 3]
    assert account_of(mended).failing_runs == 0
    assert account_of(failing[-1]).unread_open_since == {"alice": NOW}
    assert opened_on(mended) == 0


def test_user_lost_and_found_while_an_account_failed_is_told_the_run_after(days: Days) -> None:
    days.play(0)
    days.refuse(PAYMENTS)
    days.play(1)
    days.refuse()
    days.play(2)
    days.change(PAYMENTS, "bob", has_mfa=False)

    assert told(days.play(3)) == {"newly_without_mfa": ["bob"], "newly_enforced": ["bob"]}


def test_user_who_could_not_be_looked_at_has_neither_changed_nor_begun_anew(days: Days) -> None:
    days.play(0, "plan")

    def unreadable(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("look", "alice"):
            raise fail(Throttled, "Throttling")

    days.aws.before = unreadable
    unknown = days.play(1, "plan")
    days.refuse()
    after = days.play(2, "plan")

    assert user_of(unknown).verdict == "unknown"
    assert user_of(unknown).open_since is None
    assert told(unknown) == told(after) == {}
    assert opened_on(after) == 0


def test_interrupted_run_is_not_what_the_next_is_compared_with(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.cancellation.event.set()
    interrupted = days.play(1)
    days.cancellation = Cancellation()

    report = days.play(2)

    assert interrupted.totals.not_reached == interrupted.totals.accounts
    assert changes_of(report).since_run_id == "run-01"
    assert told(report) == {"newly_without_mfa": ["bob"], "newly_enforced": ["bob"]}
    assert opened_on(report) == 0


def test_run_whose_listing_broke_off_is_not_what_the_next_is_compared_with(days: Days) -> None:
    days.play(0)

    def break_off(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("list", SEARCH):
            raise fail(Throttled, "TooManyRequestsException", "ListAccounts")

    days.aws.before = break_off
    cut_short = days.play(1)
    days.refuse()

    report = days.play(2)

    assert not cut_short.complete
    assert told(cut_short) == told(report) == {}
    assert changes_of(report).since_run_id == "run-01"
    assert opened_on(report, "carol") == 0


def test_suspended_account_is_not_gone_and_its_users_are_remembered(days: Days) -> None:
    days.play(0)
    account = days.aws.accounts[PAYMENTS]
    opened = account.account
    account.account = replace(opened, state=AccountState.SUSPENDED)
    suspended = days.play(1)
    account.account = opened

    reopened = days.play(2)

    assert told(suspended) == told(reopened) == {}
    assert opened_on(reopened) == 0


# -- narrowed runs


@pytest.mark.parametrize("narrowing", [{"targets": (PAYMENTS,)}, {"targets": ("account-01",)}, {"ou_ids": ("ou-1",)}])
def test_narrowed_run_tells_of_its_accounts_alone_and_is_no_base(days: Days, narrowing: dict[str, Any]) -> None:
    account = days.aws.accounts[PAYMENTS]
    account.account = replace(account.account, ou_ids=frozenset({"ou-1"}))
    days.play(0, stop=True)
    narrowed = days.play(1, **narrowing)
    days.change(SEARCH, "carol", has_mfa=True)

    report = days.play(2)

    assert narrowed.narrowed
    assert not report.narrowed
    assert told(narrowed) == {"newly_enforced": ["alice"]}
    assert told(report) == {"newly_enforced": ["alice"], "enrolled": ["carol"]}
    assert changes_of(report).since_run_id == "run-01"


def test_user_first_seen_by_a_narrowed_run_is_open_since_then(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "bob", has_mfa=False)
    narrowed = days.play(1, targets=(PAYMENTS,))
    days.play(2, targets=(SEARCH,))

    report = days.play(3)

    assert [opened_on(narrowed, name) for name in ("alice", "bob")] == [0, 1]
    assert [opened_on(report, name) for name in ("alice", "bob", "carol")] == [0, 1, 0]


def test_narrowed_run_knows_since_when_its_users_are_open_though_the_last_run_had_another_account(days: Days) -> None:
    days.play(0)
    days.play(1, targets=(PAYMENTS,))

    assert opened_on(days.play(2, targets=(SEARCH,)), "carol") == 0


# -- new devices


def test_new_device_that_the_bulk_reads_do_not_tell_is_looked_at_once(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True)
    days.aws.accounts[PAYMENTS].live["alice"] = LiveUser(has_mfa=True, mfa_device=FIDO)
    days.aws.calls.clear()

    enrolled = days.play(1)
    looks = [call for call in days.aws.calls if call[0] == "look"]
    days.aws.calls.clear()
    after = days.play(2)

    (alice,) = changes_of(enrolled).enrolled
    assert (alice.device, alice.enrolled_at) == ("fido", FIDO.enrolled_at)
    assert looks == [("look", PAYMENTS, "alice")]
    assert told(after) == {}
    assert not [call for call in days.aws.calls if call[0] == "look"]


def test_no_look_is_made_where_the_bulk_reads_tell_the_device(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True, mfa_device=MfaDevice("virtual", NOW))
    days.aws.calls.clear()

    days.play(1)

    assert not [call for call in days.aws.calls if call[0] == "look"]


@pytest.mark.parametrize("error", [AccessDenied, NotFound, Throttled])
def test_device_that_cannot_be_looked_at_is_unknown_and_the_user_enrolled_all_the_same(
    days: Days, error: type[AccessDenied | NotFound | Throttled]
) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True)

    def refuse(action: str, account_id: str, subject: str) -> None:
        if action == "look":
            raise fail(error)

    days.aws.before = refuse

    report = days.play(1)

    assert [(user.name, user.device) for user in changes_of(report).enrolled] == [("alice", None)]
    assert exit_code(report) == 0


def test_look_at_a_new_device_that_finds_none_outweighs_the_older_report(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True, attached_policy_arns=frozenset())
    days.aws.accounts[PAYMENTS].live["alice"] = LiveUser(False, True, 0, None)

    report = days.play(1)

    assert outcomes(report)["alice"] == "enforced"
    assert told(report) == {"enforcement_undone": ["alice"]}


def test_of_very_many_new_devices_a_few_are_looked_at(days: Days) -> None:
    users = [make_user(f"user-{number:02}") for number in range(30)]
    days.aws.add(*users, account_id=LAB)
    days.play(0)
    for user in users:
        days.change(LAB, user.name, has_mfa=True)
        days.aws.accounts[LAB].live[user.name] = LiveUser(has_mfa=True, mfa_device=FIDO)
    days.aws.calls.clear()

    report = days.play(1)

    assert [user.device for user in changes_of(report).enrolled] == ["fido"] * 10 + [None] * 20
    assert len([call for call in days.aws.calls if call[0] == "look"]) == 10


# -- notice

NOTICE = make_config(enforcement={"notice": "7d"})


def test_user_is_enforced_when_the_notice_has_run_out_and_not_before(days: Days) -> None:
    reports = [days.play(day, config=NOTICE) for day in (0, 1, 6.99, 7, 8)]

    assert [outcomes(report)["alice"] for report in reports] == [
        *["in_grace"] * 3,
        "enforced",
        "already_enforced",
    ]
    assert user_of(reports[1]).reason == "seen without MFA since 2026-03-02; 6 days of notice left, then enforced"
    assert user_of(reports[1]).grace_ends == NOW + timedelta(days=7)
    assert [opened_on(report) for report in reports] == [0] * 5
    assert exit_code(reports[0]) == 0


def test_plan_and_apply_both_count_as_sightings(days: Days) -> None:
    days.play(0, "plan", NOTICE)
    days.play(5, config=NOTICE)

    assert outcomes(days.play(7, config=NOTICE))["alice"] == "enforced"


def test_release_is_no_sighting(days: Days) -> None:
    days.play(0, "release", NOTICE)

    assert outcomes(days.play(7, config=NOTICE))["alice"] == "in_grace"


def test_sighting_of_a_run_without_notice_counts(days: Days) -> None:
    days.play(0, stop=True)

    assert outcomes(days.play(7, config=NOTICE))["alice"] == "enforced"


def test_notice_goes_on_through_runs_in_which_the_account_failed(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.refuse(PAYMENTS)
    for day in (1, 3, 5):
        days.play(day, config=NOTICE)
    days.refuse()

    assert outcomes(days.play(6, config=NOTICE))["alice"] == "in_grace"
    assert outcomes(days.play(7, config=NOTICE))["alice"] == "enforced"


def test_notice_begins_anew_for_one_who_had_mfa_in_between(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.change(PAYMENTS, "alice", has_mfa=True)
    days.play(3, config=NOTICE)
    days.change(PAYMENTS, "alice", has_mfa=False)
    days.play(5, config=NOTICE)

    assert outcomes(days.play(7, config=NOTICE))["alice"] == "in_grace"
    assert outcomes(days.play(12, config=NOTICE))["alice"] == "enforced"


def test_narrowed_run_goes_by_the_sightings_of_all_runs(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.play(5, config=NOTICE, targets=(SEARCH,))

    assert outcomes(days.play(7, config=NOTICE, targets=(PAYMENTS,)))["alice"] == "enforced"


def test_released_user_is_enforced_when_release_and_notice_are_over(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.play(8, config=NOTICE)
    days.play(9, "release", config=NOTICE, user_names=frozenset({"alice"}), release_for=timedelta(days=2))

    assert outcomes(days.play(10, config=NOTICE))["alice"] == "in_grace"
    assert outcomes(days.play(12, config=NOTICE))["alice"] == "enforced"


def test_digest_tells_who_is_given_notice_and_the_days_left(days: Days) -> None:
    sent: list[Any] = []
    days.slack.send = lambda text, blocks: sent.append(str(blocks))  # type: ignore[method-assign]
    days.play(0, config=NOTICE)
    days.play(4, config=NOTICE)

    assert "in grace: `alice` (7 days left)" in sent[0]
    assert "in grace: `alice` (3 days left)" in sent[1]


# -- an archive that fails


@pytest.mark.parametrize("operation", ["list_files", "read_start", "read"])
def test_with_notice_an_archive_that_cannot_be_read_starts_nothing(days: Days, operation: str) -> None:
    days.play(0, config=NOTICE)
    works = getattr(days.store, operation)

    def refuse(name: str, *size: int) -> Any:
        if name.startswith("runs/"):
            raise ArchiveError("the archive: refused")
        return works(name, *size)

    setattr(days.store, operation, refuse)

    with pytest.raises(StartError, match=r"refused\. With enforcement\.notice"):
        days.play(7, config=NOTICE)

    assert days.aws.writes() == []


def test_without_notice_an_archive_that_cannot_be_read_fails_the_run_and_hides_nothing(days: Days) -> None:
    days.play(0)
    whole = days.store.read_start

    def refuse(name: str, size: int) -> bytes:
        raise ArchiveError("the archive: refused")

    days.store.read_start = refuse  # type: ignore[method-assign]
    blind = days.play(1)
    days.store.read_start = whole  # type: ignore[method-assign]
    after = days.play(2)

    assert [(error.stage, error.code) for error in blind.errors] == [("archive", "history_unreadable")]
    assert exit_code(blind) == 1
    assert blind.changes is None
    assert user_of(blind).open_since is None
    assert outcomes(blind)["alice"] == "already_enforced"
    assert opened_on(after) == 0
    assert told(after) == {}


def test_release_needs_no_earlier_run(days: Days) -> None:
    days.play(0)

    def refuse(name: str, size: int) -> bytes:
        raise ArchiveError("the archive: refused")

    days.store.read_start = refuse  # type: ignore[method-assign]

    report = days.play(1, "release", NOTICE)

    assert outcomes(report)["alice"] == "released"
    assert report.errors == ()
    assert account_of(report).failing_runs == 0


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b\x08broken"])
def test_broken_run_in_the_archive_is_passed_over(days: Days, content: bytes) -> None:
    days.play(0, config=NOTICE)
    days.play(1, config=NOTICE)
    days.store.files["runs/2026/03/03/run-02.json.gz"] = content

    report = days.play(2, config=NOTICE)

    assert changes_of(report).since_run_id == "run-01"
    assert opened_on(report) == 0


def test_runs_of_another_organization_are_passed_over(days: Days) -> None:
    days.play(0, config=NOTICE)
    name = "runs/2026/03/02/run-01.json.gz"
    archive = RunArchive(days.store, timedelta(days=400))
    foreign = archive.load("run-01").model_copy(update={"organization_id": "o-someoneelse1"})
    archive.save(foreign)

    report = days.play(7, config=NOTICE)

    assert name in days.store.files
    assert report.changes is None
    assert outcomes(report)["alice"] == "in_grace"


def test_lost_run_costs_its_own_sightings_alone(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.play(1, config=NOTICE)
    del days.store.files["runs/2026/03/03/run-02.json.gz"]

    report = days.play(2, config=NOTICE)

    assert [opened_on(report, name) for name in ("alice", "bob")] == [0, 2]
