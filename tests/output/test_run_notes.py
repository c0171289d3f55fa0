from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from orchestrator.domain.config import Exemption, SlackConfig
from orchestrator.domain.model import AccountResult, Decision, Mode, Outcome, Reason, Status, Trigger, Verdict
from orchestrator.output.run_notes import exemption_notes, run_notes, show_sample
from orchestrator.output.slack.digest import render_digest
from orchestrator.reports.build import build_report, report_account
from orchestrator.reports.report import RunReport, pack_accounts
from tests.builders import (
    NOW,
    make_account,
    make_config,
    make_request,
    make_run_report,
    make_seen,
    make_seen_account,
    make_user,
)

PAYMENTS, SEARCH = "111122223333", "444455556666"


def make_exemption(user: str = "ci-*", *, ends_in: int | None = 3, **changes: Any) -> Exemption:
    values: dict[str, Any] = {"accounts": ("*",), "reason": "build robots", "until": ends(ends_in)}
    return Exemption.model_validate({"user": user} | values | changes)


def ends(days: int | None) -> date | None:
    return None if days is None else NOW.date() + timedelta(days=days)


def make_report(
    exempt: dict[str, list[str]], *, alias: str | None = "acme-payments", mode: Mode = Mode.APPLY
) -> RunReport:
    """Return a report with exempt users by account ID, and in each account one user who is not exempt."""
    accounts = [
        AccountResult(
            make_account(account_id, name=f"account-{account_id[:4]}"),
            Status.INSPECTED,
            alias=alias if account_id == PAYMENTS else None,
            decisions=(
                Decision(make_user("ci-enrolled"), Verdict.COMPLIANT, Outcome.NONE),
                *(
                    Decision(make_user(name), Verdict.NON_COMPLIANT, Outcome.EXEMPT, reason=Reason("exempt", "robots"))
                    for name in names
                ),
            ),
        )
        for account_id, names in exempt.items()
    ]
    request = make_request(mode=mode)
    reports = map(report_account, accounts)
    return build_report(request, "o-exampleorg1", reports, errors=(), is_complete=True, finished_at=NOW)


@pytest.mark.parametrize(("days", "is_announced"), [(0, True), (1, True), (14, True), (15, False), (None, False)])
def test_exemption_is_announced_two_weeks_before_its_end(days: int | None, is_announced: bool) -> None:
    exemption = make_exemption("robot", ends_in=days, accounts=(PAYMENTS,))

    notes = exemption_notes((exemption,), make_report({PAYMENTS: ["robot"]}), NOW)

    assert bool(notes) == is_announced
    if days is not None and is_announced:
        assert notes == (
            f"exemption robot ends on {ends(days)} (build robots); in this run it matched robot (acme-payments)",
        )


@pytest.mark.parametrize(("days", "is_told"), [(-1, True), (-14, True), (-15, False), (-400, False)])
def test_exemption_that_has_lately_ended_is_to_be_removed(days: int, is_told: bool) -> None:
    notes = exemption_notes((make_exemption(ends_in=days),), make_report({PAYMENTS: []}), NOW)

    told = f"exemption ci-* ended on {ends(days)} and no longer counts: remove it"
    assert notes == ((told,) if is_told else ())


def test_day_of_the_end_is_a_day_in_utc() -> None:
    exemption = make_exemption(ends_in=0)
    still_today = datetime(2026, 3, 3, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    (before,) = exemption_notes((exemption,), make_report({PAYMENTS: []}), still_today)
    (after,) = exemption_notes((exemption,), make_report({PAYMENTS: []}), datetime(2026, 3, 3, tzinfo=UTC))

    assert "ends on 2026-03-02" in before
    assert "ended on 2026-03-02" in after


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "it matched nobody"),
        (1, "it matched ci-1 (acme-payments)"),
        (5, "ci-4 (acme-payments), ci-5 (acme-payments)"),
        (6, "ci-5 (acme-payments) and 1 more"),
        (20, "ci-5 (acme-payments) and 15 more"),
    ],
)
def test_note_names_five_users_and_counts_the_rest(count: int, shown: str) -> None:
    report = make_report({PAYMENTS: [f"ci-{number}" for number in range(1, count + 1)]})

    (note,) = exemption_notes((make_exemption(),), report, NOW)

    assert note.endswith(shown)


@pytest.mark.parametrize(("count", "shown"), [(0, "0 users"), (1, "1 user"), (6, "6 users")])
def test_note_that_must_name_nobody_counts(count: int, shown: str) -> None:
    report = make_report({PAYMENTS: [f"ci-{number}" for number in range(count)]})
    far = make_exemption(user="someone", until=date(2027, 1, 1))

    (note,) = exemption_notes((far, make_exemption()), report, NOW, names=False)

    assert note.startswith("exemption 2 of the configuration ends on ")
    assert note.endswith(f"in this run it matched {shown}")


def test_of_two_equal_exemptions_each_goes_by_its_own_place() -> None:
    twice = (make_exemption(), make_exemption())

    notes = exemption_notes(twice, make_report({PAYMENTS: ["ci-1"]}), NOW, names=False)

    assert [note.split()[1] for note in notes] == ["1", "2"]


def test_exemption_of_one_user_that_has_ended_does_not_name_the_user_either() -> None:
    ended = make_exemption(user="aurelia", until=date(2026, 3, 1))

    (note,) = exemption_notes((ended,), make_report({}), NOW, names=False)

    assert note == "exemption 1 of the configuration ended on 2026-03-01 and no longer counts: remove it"


def test_account_without_an_alias_is_shown_by_its_name() -> None:
    (note,) = exemption_notes((make_exemption(),), make_report({PAYMENTS: ["ci-1"]}, alias=None), NOW)

    assert note.endswith("it matched ci-1 (account-1111)")


def test_user_counts_for_the_first_exemption_that_matches_in_its_account() -> None:
    in_search = make_exemption("ci-*", accounts=(SEARCH,), reason="moving")
    everywhere = make_exemption("ci-*")
    report = make_report({PAYMENTS: ["ci-1"], SEARCH: ["CI-2"]})

    first, second = exemption_notes((in_search, everywhere), report, NOW)

    assert first.endswith("(moving); in this run it matched CI-2 (account-4444)")
    assert second.endswith("(build robots); in this run it matched ci-1 (acme-payments)")


def test_protected_user_is_not_matched_by_an_exemption_of_somebody_else() -> None:
    (note,) = exemption_notes((make_exemption(),), make_report({PAYMENTS: ["break-glass"]}), NOW)

    assert note.endswith("it matched nobody")


@pytest.mark.parametrize("days", [-1, 3])
def test_release_judges_nobody_and_so_says_nothing(days: int) -> None:
    report = make_report({PAYMENTS: ["ci-1"]}, mode=Mode.RELEASE)

    assert exemption_notes((make_exemption(ends_in=days),), report, NOW) == ()


@pytest.mark.parametrize("trigger", list(Trigger))
@pytest.mark.parametrize("days", [-1, 3])
def test_run_that_a_new_account_or_user_started_does_not_repeat_what_the_daily_run_says(
    days: int, trigger: Trigger
) -> None:
    report = make_report({PAYMENTS: []}).model_copy(update={"trigger": trigger, "narrowed": True})

    notes = run_notes(make_config(exemptions=[make_exemption(ends_in=days).model_dump()]), report)

    is_daily = trigger not in {Trigger.ONBOARDING, Trigger.IAM_EVENT}
    assert bool(notes) is is_daily
    digest = render_digest(report, SlackConfig(), blocks_access_keys=True, notes=notes)
    assert digest.has_findings is is_daily


def test_without_exemptions_there_is_nothing_to_say() -> None:
    assert exemption_notes((), make_report({PAYMENTS: ["ci-1"]}), NOW) == ()


# -- protections without effect ----------------------------------------------------------------------------------------


def unmatched(report: RunReport, *, names: bool = True) -> tuple[str, ...]:
    return run_notes(make_config(protected_users=["zoe"]), report, names=names)


def test_protection_without_effect_is_told_of_a_whole_run_alone() -> None:
    whole = make_report({PAYMENTS: ["robot"]})

    assert unmatched(whole) == ("entry 1 of protected_users (zoe) matches no user",)
    assert unmatched(whole, names=False) == ("entry 1 of protected_users matches no user",)
    assert unmatched(whole.model_copy(update={"narrowed": True})) == ()
    assert unmatched(whole.model_copy(update={"complete": False})) == ()
    assert unmatched(make_report({PAYMENTS: []}, mode=Mode.RELEASE)) == ()


@pytest.mark.parametrize(
    ("status", "is_doubted"),
    [(Status.INSPECTED, False), (Status.SKIPPED, False), (Status.FAILED, True), (Status.NOT_REACHED, True)],
)
def test_account_that_was_not_read_leaves_a_doubt(status: Status, is_doubted: bool) -> None:
    account = report_account(AccountResult(make_account(SEARCH), status))
    report = make_report({PAYMENTS: []})

    (note,) = unmatched(report.model_copy(update={"accounts": pack_accounts([*report.accounts, account])}))

    assert note.endswith("of those read (accounts not read: 1)") == is_doubted


# -- the message that a plan shows -------------------------------------------------------------------------------------


def test_sample_of_a_report_that_somebody_wrote_acts_on_no_terminal() -> None:
    told = make_seen("ana\x1b]0;x\x07", messages=[{"kind": "first", "via": "slack"}])
    report = make_run_report(make_seen_account(told, alias="acme\x1b[2J"), mode=Mode.PLAN)

    sample = show_sample(report, make_config())

    assert sample.startswith(r"The message to ana\x1b]0;x\x07 (acme\x1b[2J) would say:")
    assert "\x1b" not in sample
