"""What changed between two runs: told where both know, silent where either does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.model import Mode, Outcome, Problem, Stage, Status, Verdict, Via
from orchestrator.reports.history import History, StoredRun, build_history, compare, read_past, with_history
from orchestrator.reports.report import AccountReport, Changes, ProblemReport, RunReport, UserReport, pack_accounts
from orchestrator.reports.report_json import write_lines
from tests.builders import (
    ACCOUNT_ID,
    NOW,
    ORGANIZATION,
    days_ago,
    make_request,
    make_run_report,
    make_seen,
    make_seen_account,
    make_user,
    user_id_of,
)

SEARCH = "444455556666"
NOTICE = timedelta(days=3)
KINDS = ("newly_without_mfa", "enrolled", "newly_enforced", "enforcement_undone", "newly_exempt", "newly_released")
REFUSED = ProblemReport(stage=Stage.ASSUME_ROLE, code="AccessDenied", message="refused", remedy="")


def history_of(
    *reports: RunReport, mode: Mode = Mode.APPLY, released: frozenset[tuple[str, str]] = frozenset()
) -> History:
    """Return what a run knows after these runs, the newest first."""

    def load(report: RunReport) -> Callable[[], StoredRun]:
        return lambda: read_past(b"".join(write_lines(report)).splitlines(keepends=True))

    shelf = ((report.model_copy(update={"accounts": pack_accounts(())}), load(report)) for report in reports)
    known = build_history(shelf, mode, ORGANIZATION.id)
    released = frozenset((account_id, user_id_of(name)) for account_id, name in released)
    return replace(known, released=released).without_ended(NOW - NOTICE)


def add_history(report: RunReport, history: History) -> RunReport:
    """Return a report with what the runs before it have to do with it, as `closing` makes it."""
    request = make_request(mode=report.mode, started_at=report.started_at)
    accounts = pack_accounts(
        with_history(account, history, request, users=[make_user(user.name, id=user.id) for user in account.users])
        for account in report.accounts
    )
    return report.model_copy(update={"accounts": accounts, "changes": compare(report, history)})


def changed(before: RunReport, now: RunReport, **released: Any) -> dict[str, list[str]]:
    """Return the names of those who changed, by kind; kinds without any are left out."""
    changes = compare(now, history_of(before, mode=now.mode, **released))
    return {} if changes is None else names(changes)


def names(changes: Changes) -> dict[str, list[str]]:
    found = {kind: [user.name for user in getattr(changes, kind)] for kind in KINDS}
    found["new_accounts"] = [account.id for account in changes.new_accounts]
    found["gone_accounts"] = [account.id for account in changes.gone_accounts]
    return {kind: entries for kind, entries in found.items() if entries}


def run_of(*users: UserReport, **changes: Any) -> RunReport:
    return make_run_report(make_seen_account(*users), **changes)


def failed(account_id: str = ACCOUNT_ID, **changes: Any) -> AccountReport:
    return make_seen_account(account_id=account_id, status=Status.FAILED, error=REFUSED, alias=None, **changes)


UNKNOWN = make_seen("alice", "none", verdict=Verdict.UNKNOWN)
WITH_MFA = make_seen("alice", "none")
WITH_MFA_AND_POLICY = make_seen("alice", "none", via=Via.USER)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        # without MFA
        (None, make_seen(), ["newly_without_mfa"]),
        (WITH_MFA, make_seen(), ["newly_without_mfa"]),
        (WITH_MFA_AND_POLICY, make_seen(outcome="already_enforced"), ["newly_without_mfa"]),
        (None, make_seen(outcome="out_of_scope"), ["newly_without_mfa"]),
        (None, make_seen(outcome="in_grace"), ["newly_without_mfa"]),
        (make_seen(), make_seen(), []),
        # exempt
        (make_seen(outcome="held"), make_seen(outcome="exempt"), ["newly_exempt"]),
        (None, make_seen(outcome="exempt"), ["newly_without_mfa", "newly_exempt"]),
        (WITH_MFA, make_seen(outcome="exempt"), ["newly_without_mfa", "newly_exempt"]),
        (UNKNOWN, make_seen(outcome="exempt"), ["newly_exempt"]),
        (make_seen(outcome="exempt"), make_seen(outcome="exempt"), []),
        (make_seen(outcome="exempt"), make_seen(), []),
        # with MFA
        (make_seen(), WITH_MFA, ["enrolled"]),
        (make_seen(outcome="enforced"), WITH_MFA_AND_POLICY, ["enrolled"]),
        (make_seen(outcome="already_enforced"), WITH_MFA, ["enrolled"]),
        (make_seen(outcome="exempt"), WITH_MFA, ["enrolled"]),
        (WITH_MFA, WITH_MFA, []),
        (WITH_MFA_AND_POLICY, WITH_MFA, []),
        (None, WITH_MFA, []),
        # enforced
        (make_seen(), make_seen(outcome="enforced"), ["newly_enforced"]),
        (make_seen(), make_seen(outcome="already_enforced"), ["newly_enforced"]),
        (make_seen(outcome="failed"), make_seen(outcome="enforced"), ["newly_enforced"]),
        (None, make_seen(outcome="enforced"), ["newly_without_mfa", "newly_enforced"]),
        (WITH_MFA, make_seen(outcome="enforced"), ["newly_without_mfa", "newly_enforced"]),
        (make_seen(outcome="enforced"), make_seen(outcome="already_enforced"), []),
        (make_seen(outcome="already_enforced"), make_seen(outcome="already_enforced"), []),
        # undone
        (make_seen(outcome="enforced"), make_seen(), ["enforcement_undone"]),
        (make_seen(outcome="already_enforced"), make_seen(outcome="held"), ["enforcement_undone"]),
        (
            make_seen(outcome="already_enforced"),
            make_seen(outcome="exempt"),
            ["enforcement_undone", "newly_exempt"],
        ),
        (make_seen(outcome="already_enforced"), make_seen(outcome="failed"), ["enforcement_undone"]),
        (make_seen(outcome="already_enforced"), make_seen(outcome="enforced"), ["enforcement_undone"]),
        (WITH_MFA_AND_POLICY, make_seen(), ["newly_without_mfa", "enforcement_undone"]),
        # gone, or not known
        (make_seen(outcome="enforced"), None, []),
        (UNKNOWN, make_seen(), []),
        (make_seen(outcome="enforced"), UNKNOWN, []),
        (UNKNOWN, WITH_MFA, []),
        (UNKNOWN, UNKNOWN, []),
        (UNKNOWN, make_seen(outcome="enforced"), ["newly_enforced"]),
        (None, UNKNOWN, []),
    ],
)
def test_user_has_changed_as_two_runs_saw_it(
    before: UserReport | None, now: UserReport | None, expected: list[str]
) -> None:
    bystander = make_seen("zoe", "exempt")

    found = changed(run_of(*filter(None, [before, bystander])), run_of(*filter(None, [now, bystander])))

    assert found == {kind: ["alice"] for kind in expected}


@pytest.mark.parametrize(
    ("released", "expected"),
    [
        ({(ACCOUNT_ID, "alice")}, {"newly_released": ["alice"]}),
        ({(ACCOUNT_ID, "bob"), (SEARCH, "alice")}, {"enforcement_undone": ["alice"]}),
    ],
)
def test_user_freed_by_a_release_was_not_undone_by_others(
    released: set[tuple[str, str]], expected: dict[str, list[str]]
) -> None:
    before, now = run_of(make_seen(outcome="enforced")), run_of(make_seen(outcome="in_grace"))

    assert changed(before, now, released=frozenset(released)) == expected


def test_users_of_one_name_in_two_accounts_are_two() -> None:
    before = make_run_report(make_seen_account(make_seen()), make_seen_account(account_id=SEARCH))
    now = make_run_report(make_seen_account(make_seen()), make_seen_account(make_seen(), account_id=SEARCH))

    changes = compare(now, history_of(before))

    assert changes is not None
    assert [user.account_id for user in changes.newly_without_mfa] == [SEARCH]


def test_change_is_told_with_account_device_and_base() -> None:
    before = run_of(make_seen(), run_id="run-0", started_at=days_ago(1))
    enrolled = make_seen("alice", "none", mfa_device="fido", mfa_enrolled_at=days_ago(0.5))

    changes = compare(run_of(enrolled), history_of(before))

    assert changes is not None
    assert (changes.since_run_id, changes.since) == ("run-0", days_ago(1))
    (alice,) = changes.enrolled
    assert (alice.account_id, alice.account_alias, alice.account_name) == (ACCOUNT_ID, "acme-payments", "payments")
    assert (alice.device, alice.enrolled_at) == ("fido", days_ago(0.5))


# -- what is not known has not changed


READ = make_seen_account(make_seen("alice", "enforced"), make_seen("bob", "none"))
OTHER = make_seen_account(make_seen("alice"), make_seen("bob"), make_seen("carol"))
UNREAD = [
    failed(),
    make_seen_account(status=Status.NOT_REACHED, alias=None),
    make_seen_account(status=Status.SKIPPED, alias=None),
]


@pytest.mark.parametrize("unread", UNREAD)
def test_account_that_was_not_read_in_one_of_the_runs_yields_no_change(unread: AccountReport) -> None:
    assert changed(make_run_report(unread), make_run_report(OTHER)) == {}
    assert changed(make_run_report(READ), make_run_report(unread)) == {}
    assert changed(make_run_report(READ), make_run_report(OTHER)) != {}


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_REACHED])
def test_account_that_broke_off_among_the_writes_was_read(status: Status) -> None:
    before = run_of(make_seen("alice"), make_seen("bob"))
    users = (make_seen("alice", "enforced"), make_seen("bob", "failed"))

    assert changed(before, make_run_report(make_seen_account(*users, status=status, error=REFUSED))) == {
        "newly_enforced": ["alice"]
    }


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_REACHED])
def test_base_that_broke_off_among_the_writes_was_read_also_where_nobody_of_it_was_open(status: Status) -> None:
    before = make_run_report(make_seen_account(make_seen("alice", "none"), status=status, error=REFUSED))

    assert changed(before, run_of(make_seen("alice"))) == {"newly_without_mfa": ["alice"]}


def test_empty_account_was_read() -> None:
    before = make_run_report(make_seen_account())

    assert changed(before, run_of(make_seen())) == {"newly_without_mfa": ["alice"]}


def test_without_a_base_or_in_a_release_there_is_nothing_to_compare() -> None:
    before = run_of(make_seen())

    assert compare(run_of(), History()) is None
    assert compare(run_of(mode=Mode.RELEASE), history_of(before)) is None
    assert add_history(run_of(mode=Mode.RELEASE), history_of(before)) == run_of(mode=Mode.RELEASE)


# -- accounts


PAYMENTS_ONLY = make_run_report(make_seen_account())
BOTH = make_run_report(make_seen_account(), make_seen_account(make_seen(), account_id=SEARCH))


def test_accounts_that_came_or_went_are_told() -> None:
    assert changed(PAYMENTS_ONLY, BOTH) == {"new_accounts": [SEARCH], "newly_without_mfa": ["alice"]}
    assert changed(BOTH, PAYMENTS_ONLY) == {"gone_accounts": [SEARCH]}


@pytest.mark.parametrize("update", [{"complete": False}, {"narrowed": True}])
def test_run_that_did_not_list_all_accounts_tells_of_none_that_came_or_went(update: dict[str, bool]) -> None:
    assert changed(BOTH, PAYMENTS_ONLY.model_copy(update=update)) == {}
    assert changed(PAYMENTS_ONLY, BOTH.model_copy(update=update)) == {"newly_without_mfa": ["alice"]}


@pytest.mark.parametrize("status", [Status.SKIPPED, Status.FAILED, Status.NOT_REACHED])
def test_account_that_is_listed_is_not_gone_whatever_happened_to_it(status: Status) -> None:
    listed = make_run_report(make_seen_account(), make_seen_account(account_id=SEARCH, status=status))

    assert changed(BOTH, listed) == {}
    assert changed(listed, BOTH) == {}


def test_narrowed_run_neither_hides_nor_fakes_changes_of_the_others() -> None:
    before = make_run_report(
        make_seen_account(make_seen("alice")), make_seen_account(make_seen("bob"), account_id=SEARCH)
    )
    narrowed = make_run_report(make_seen_account(make_seen("alice", "enforced")), narrowed=True, run_id="run-2")
    now = make_run_report(
        make_seen_account(make_seen("alice", "already_enforced")),
        make_seen_account(make_seen("bob", "enforced"), account_id=SEARCH),
    )

    assert changed(before, narrowed) == {"newly_enforced": ["alice"]}
    after = compare(now, history_of(narrowed, before))
    assert after is not None
    assert names(after) == {"newly_enforced": ["alice", "bob"]}
    assert after.since_run_id == "run-1"


# -- since when


def dated(report: RunReport, history: History) -> dict[str, float | None]:
    """Return for how many days each user of a report has been open."""
    found = add_history(report, history)
    return {
        user.name: None if user.open_since is None else (NOW - user.open_since) / timedelta(days=1)
        for account in found.accounts
        for user in account.users
    }


def open_run(days: float, *accounts: AccountReport, **changes: Any) -> RunReport:
    return make_run_report(*accounts, started_at=days_ago(days), **changes)


def open_user(name: str, days: float, outcome: str = "planned") -> UserReport:
    return make_seen(name, outcome, open_since=days_ago(days))


def test_user_is_open_since_a_run_first_saw_it() -> None:
    before = open_run(3, make_seen_account(open_user("alice", 10), open_user("bob", 3), make_seen("carol", "none")))
    now = run_of(*(make_seen(name) for name in ("alice", "bob", "carol", "dave")), make_seen("erin", "none"))

    assert dated(now, history_of(before)) == {"alice": 10, "bob": 3, "carol": 0, "dave": 0, "erin": None}


def test_either_mode_has_seen_a_user() -> None:
    before = open_run(3, make_seen_account(open_user("alice", 10)), mode=Mode.PLAN)

    assert dated(run_of(make_seen()), history_of(before)) == {"alice": 10}


def test_report_of_a_run_that_gave_no_dates_saw_its_users_when_it_started() -> None:
    before = open_run(3, make_seen_account(make_seen()))

    assert dated(run_of(make_seen()), history_of(before)) == {"alice": 3}


@pytest.mark.parametrize(("enrolled", "expected"), [(5, 0), (3, 0), (2.9, 9), (1, 9)])
def test_user_who_had_mfa_in_between_begins_anew_where_that_was_as_long_as_the_notice(
    enrolled: float, expected: float
) -> None:
    first = open_run(9, make_seen_account(open_user("alice", 9)))
    second = add_history(open_run(enrolled, make_seen_account(make_seen("alice", "none"))), history_of(first))

    assert dated(run_of(make_seen()), history_of(second, first)) == {"alice": expected}
    assert second.accounts[0].unread_open_since == {}


@pytest.mark.parametrize("unread", [*UNREAD, make_seen_account(UNKNOWN)])
def test_user_stays_open_through_runs_that_could_not_read_it(unread: AccountReport) -> None:
    runs = [open_run(9, make_seen_account(open_user("alice", 9)))]
    for days in range(8, 0, -1):
        runs.insert(0, add_history(open_run(days, unread), history_of(*runs)))

    assert dated(run_of(make_seen()), history_of(*runs)) == {"alice": 9}
    assert runs[0].accounts[0].unread_open_since == {"alice": days_ago(9)}
    assert [user.open_since for user in runs[0].accounts[0].users] == [None] * len(unread.users)


def test_user_who_is_gone_from_an_account_that_was_read_is_forgotten() -> None:
    first = open_run(9, make_seen_account(open_user("alice", 9)))
    second = add_history(open_run(5, make_seen_account(make_seen("bob"))), history_of(first))

    assert second.accounts[0].unread_open_since == {}
    assert dated(run_of(make_seen()), history_of(second, first)) == {"alice": 0}


def test_user_is_open_since_a_narrowed_run_where_that_is_the_newest_sight() -> None:
    whole = open_run(9, make_seen_account(make_seen("alice", "none")), make_seen_account(account_id=SEARCH))
    narrowed = add_history(open_run(5, make_seen_account(make_seen()), narrowed=True), history_of(whole))

    assert dated(run_of(make_seen()), history_of(narrowed, whole)) == {"alice": 5}


def test_run_that_knows_no_earlier_ones_gives_no_dates_and_is_no_sighting() -> None:
    problem = Problem(Stage.ARCHIVE, "history_unreadable", "the archive: refused", "")
    first = open_run(9, make_seen_account(open_user("alice", 9)))
    blind = add_history(
        open_run(5, make_seen_account(make_seen("alice"), make_seen("bob")), errors=(report_of(problem),)),
        History(problem=problem),
    )

    assert [user.open_since for user in blind.accounts[0].users] == [None, None]
    assert dated(run_of(make_seen("alice"), make_seen("bob")), history_of(blind, first)) == {"alice": 9, "bob": 0}
    assert history_of(blind, first).base is not None


def report_of(problem: Problem) -> ProblemReport:
    return ProblemReport(stage=problem.stage, code=problem.code, message=problem.message, remedy=problem.remedy)


# -- failing accounts


@pytest.mark.parametrize(
    ("statuses", "failing_runs"),
    [
        ("f", 1),
        ("ff", 2),
        ("fff", 3),
        ("if", 1),
        ("ffif", 1),
        ("ffi", 0),
        ("ffn", 2),
        ("ffnf", 3),
        ("ffs", 0),
        ("n", 0),
    ],
)
def test_failures_in_a_row_are_counted(statuses: str, failing_runs: int) -> None:
    made = {"f": failed(), "i": make_seen_account(), "n": UNREAD[1], "s": UNREAD[2]}
    runs: list[RunReport] = []
    for days, status in zip(range(len(statuses), 0, -1), statuses, strict=True):
        runs.insert(0, add_history(open_run(days, made[status]), history_of(*runs)))

    assert runs[0].accounts[0].failing_runs == failing_runs


def test_account_that_was_read_before_the_run_ended_did_not_fail() -> None:
    first = add_history(open_run(2, failed()), History())
    cut_off = make_seen_account(make_seen(), status=Status.NOT_REACHED, error=REFUSED)

    assert add_history(make_run_report(cut_off), history_of(first)).accounts[0].failing_runs == 0


def test_account_that_fails_among_the_writes_fails() -> None:
    broken_off = make_seen_account(make_seen(outcome="failed"), status=Status.FAILED, error=REFUSED)
    first = add_history(open_run(2, broken_off), History())

    assert add_history(make_run_report(broken_off), history_of(first)).accounts[0].failing_runs == 2


# -- for any report

OUTCOMES = [outcome.value for outcome in Outcome if outcome is not Outcome.RELEASED]
USERS = st.lists(
    st.builds(
        lambda name, outcome, verdict, via: make_seen(
            name, outcome, **({"verdict": verdict, "via": via} if outcome == "none" else {})
        ),
        st.sampled_from("abcdefgh"),
        st.sampled_from(OUTCOMES),
        st.sampled_from([Verdict.COMPLIANT, Verdict.UNKNOWN]),
        st.sampled_from([None, Via.USER, Via.GROUP]),
    ),
    max_size=6,
    unique_by=lambda user: user.name,
)
ACCOUNTS = st.lists(
    st.builds(
        lambda number, status, users: make_seen_account(
            *(users if status is not Status.SKIPPED else ()), account_id=f"{number:012}", status=status
        ),
        st.integers(1, 6),
        st.sampled_from(Status),
        USERS,
    ),
    max_size=5,
    unique_by=lambda account: account.id,
)
REPORTS = st.builds(
    lambda accounts, mode, narrowed, complete: make_run_report(
        *accounts, mode=mode, narrowed=narrowed, complete=complete
    ),
    ACCOUNTS,
    st.sampled_from([Mode.PLAN, Mode.APPLY]),
    st.booleans(),
    st.booleans(),
)


def settled(user: UserReport) -> UserReport:
    """Return a user as the next run sees it: what was enforced is already."""
    is_enforced = user.outcome is Outcome.ENFORCED
    return user.model_copy(update={"outcome": Outcome.ALREADY_ENFORCED}) if is_enforced else user


@given(report=REPORTS)
@settings(deadline=None)
def test_report_compared_with_itself_has_no_change(report: RunReport) -> None:
    whole = report.model_copy(update={"narrowed": False, "complete": True})
    accounts = (account.model_copy(update={"users": tuple(map(settled, account.users))}) for account in report.accounts)

    again = report.model_copy(update={"accounts": pack_accounts(accounts)})

    assert changed(whole, again) == {}


@given(before=REPORTS, now=REPORTS, data=st.data())
@settings(deadline=None)
def test_order_of_accounts_and_users_changes_nothing(before: RunReport, now: RunReport, data: st.DataObject) -> None:
    def shuffled(report: RunReport) -> RunReport:
        accounts = [
            account.model_copy(update={"users": tuple(data.draw(st.permutations(account.users)))})
            for account in report.accounts
        ]
        return report.model_copy(update={"accounts": pack_accounts(data.draw(st.permutations(accounts)))})

    assert compare(shuffled(now), history_of(shuffled(before), mode=now.mode)) == compare(
        now, history_of(before, mode=now.mode)
    )


@given(before=REPORTS, now=REPORTS)
@settings(deadline=None)
def test_history_adds_and_takes_nothing_away(before: RunReport, now: RunReport) -> None:
    added = add_history(now, history_of(before, mode=now.mode))

    for account, known in zip(now.accounts, added.accounts, strict=True):
        added_fields = {"users": account.users, "failing_runs": 0, "unread_open_since": {}, "first_sights": ()}
        assert known.model_copy(update=added_fields) == account
        for user, seen in zip(account.users, known.users, strict=True):
            assert seen.model_copy(update={"open_since": None}) == user
            assert (seen.open_since is not None) == (user.verdict is Verdict.NON_COMPLIANT)
