import pytest

from orchestrator.domain.model import Gate, Mode, Outcome, Status, Verdict
from orchestrator.output.html.coverage import list_ous, list_owners
from orchestrator.output.html.page import MAX_NAMED, MAX_TASKS
from orchestrator.output.story import Story
from orchestrator.reports.report import (
    ChangedUser,
    Changes,
    ReasonReport,
    RunReport,
)
from tests.browser.samples import (
    PROBLEM,
    changed,
    make_account_report,
    make_failed_account,
    make_run_report,
    make_user_report,
)
from tests.builders import days_ago
from tests.output.html.page_reader import ROOT_OPEN, SMALL, SMALL_PAGE, page_of, users_of


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (SMALL, "5 accounts, 3 users without MFA, 1 enforced today, 1 user to fix, 1 account failed"),
        (make_run_report(), "0 accounts, 0 users without MFA"),
        (make_run_report(make_account_report("1", *users_of(Outcome.NONE, 3))), "1 account, every user has MFA"),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.NONE, 3)), make_failed_account()),
            "2 accounts, 0 users without MFA, 1 account failed",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.NONE, 3)), complete=False),
            "1 account, 0 users without MFA",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.PLANNED, 17)), mode=Mode.PLAN),
            "1 account, 17 users without MFA, 17 would be enforced",
        ),
        (
            make_run_report(
                make_account_report("1", *users_of(Outcome.ENFORCED, 1200), *users_of(Outcome.PLANNED, 1)),
                make_failed_account(status=Status.NOT_REACHED),
            ),
            "2 accounts, 1,201 users without MFA, 1,200 enforced today, 1 not yet enforced, 1 account not reached",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.RELEASED, 2)), mode=Mode.RELEASE),
            "1 account, 2 released today",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.NONE, 2, verdict=Verdict.UNKNOWN))),
            "1 account, 0 users without MFA, 2 users to fix",
        ),
    ],
)
def test_sentence_says_what_a_run_came_to(report: RunReport, sentence: str) -> None:
    page = page_of(report)

    assert ", ".join(Story(report, blocks_access_keys=True).sentence) == sentence
    assert page.texts["h1"] == [sentence]
    assert page.texts["title"][0].startswith(sentence)


def test_head_tells_which_run_of_which_organization_it_was() -> None:
    for words in ("orgmfa apply", "o-exampleorg1", "2 March 2026, 12:00 UTC", "run-1", "the schedule", "2 minutes 5 s"):
        assert words in SMALL_PAGE.readable


def test_plan_says_that_nothing_was_written() -> None:
    assert "nothing was written" in page_of(make_run_report(mode=Mode.PLAN)).readable
    assert "nothing was written" not in SMALL_PAGE.readable


def test_coverage_counts_accounts_that_could_be_entered_and_users_with_mfa_or_enforced() -> None:
    assert [meter["value"] for meter in SMALL_PAGE.all("meter")] == ["3", "3", "2"]
    assert [meter["max"] for meter in SMALL_PAGE.all("meter")] == ["4", "5", "5"]
    assert "none left out" not in SMALL_PAGE.readable
    assert "1 failed; 1 more skipped" in SMALL_PAGE.readable
    assert "2 with MFA, 1 enforced" in SMALL_PAGE.readable
    assert "1 held, 1 exempt" in SMALL_PAGE.readable


def test_user_who_would_be_enforced_is_counted_among_those_without_both() -> None:
    users = [*users_of(Outcome.NONE, 1), *users_of(Outcome.PLANNED, 3)]
    page = page_of(make_run_report(make_account_report("1", *users), mode=Mode.PLAN))

    assert [meter["value"] for meter in page.all("meter")] == ["1", "1", "3"]
    assert "3 would be enforced" in page.readable


def test_release_covers_nobody() -> None:
    page = page_of(make_run_report(make_account_report("1", make_user_report(), ou="Root/A"), mode=Mode.RELEASE))

    assert [meter["aria-label"] for meter in page.all("meter")] == ["Accounts inspected"]
    assert "By OU" not in page.readable
    assert "Without MFA" not in page.readable


def test_coverage_is_told_by_ou_with_those_below_and_by_owner_each_linked_to_its_accounts() -> None:
    users = [*users_of(Outcome.NONE, 3), *users_of(Outcome.HELD, 1)]
    report = make_run_report(
        make_account_report("1", *users, ou="Root/A & B/C", owner="team <1>"),
        make_account_report("2", make_user_report(), ou="Root/A & B"),
        make_failed_account("3"),
    )

    ous, owners = list_ous(report.accounts), list_owners(report.accounts)

    assert [(row.name, row.accounts, row.unread, row.users, row.covered, row.to_fix) for row in ous] == [
        ("Root", 2, 0, 5, 4, 1),
        ("A & B", 2, 0, 5, 4, 1),
        ("A & B/C", 1, 0, 4, 3, 1),
        ("not known", 1, 1, 0, 0, 0),
    ]
    assert [(row.name, row.link, row.accounts) for row in owners] == [
        ("team <1>", "#owner=team+%3C1%3E", 1),
        ("not known", "#owner=", 2),
    ]
    page = page_of(report)
    assert {row.link for row in (*ous, *owners)} <= {str(link["href"]) for link in page.all("a")}
    assert [row.link for row in ous if row.is_deep] == ["#ou=Root%2FA+%26+B%2FC"]


def test_coverage_by_ou_and_owner_is_left_out_where_none_is_known() -> None:
    text = page_of(make_run_report(make_account_report("1", make_user_report()))).readable

    assert "By OU" not in text
    assert "By owner" not in text


def test_what_to_do_stands_at_the_top_once_for_all_accounts_and_links_to_them() -> None:
    failed = [make_failed_account(str(number), name=f"A{number}") for number in range(40)]
    held = make_account_report("99", *users_of(Outcome.HELD, 2, error=ReasonReport(code="active_key", message="used")))
    page = page_of(make_run_report(*failed, held, make_account_report("98", root_user=ROOT_OPEN)))

    top = page.readable.partition("Coverage")[0]
    assert top.count("Check the StackSet.") == 1
    assert "40 accounts failed, assuming the role (AccessDenied)A0, A1, A10 and 37 more" in top
    assert "Held (active_key): 2 users in 1 account" in top
    assert "Root user without MFA: 1 account" in top
    links = [str(link["href"]) for link in page.all("a") if "cause=" in str(link["href"])]
    assert links == ["#cause=1", "#cause=2&outcome=held", "#cause=3"]
    assert [account[10] for account in page.data["accounts"]].count([0]) == 40


def test_causes_without_end_are_cut_and_counted() -> None:
    codes = [ReasonReport(code=f"code-{number}", message="why") for number in range(MAX_TASKS + 2)]
    users = [make_user_report(f"u{number}", Outcome.HELD, error=code) for number, code in enumerate(codes)]

    page = page_of(make_run_report(make_account_report("1", *users)))

    assert "and 2 more causes" in page.readable
    assert len([link for link in page.all("a") if "cause=" in str(link["href"])]) == MAX_TASKS


def test_clean_run_has_nothing_to_do() -> None:
    assert "What to do" not in page_of(make_run_report(make_account_report("1", make_user_report()))).texts["h2"]


def test_nearly_all_is_never_said_to_be_all() -> None:
    users = [*users_of(Outcome.NONE, 1999), *users_of(Outcome.HELD, 1)]

    text = page_of(make_run_report(make_account_report("1", *users))).readable

    assert "99.9 % 1,999 of 2,000" in text.replace("%1", "% 1")


def test_nothing_to_cover_is_no_division_by_zero() -> None:
    assert page_of(make_run_report()).all("meter") == []


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (make_run_report(complete=False), "could not be listed to its end"),
        (make_run_report(errors=(PROBLEM,)), "Error assuming the role (AccessDenied): not authorized Try: Check the"),
        (make_run_report(errors=(PROBLEM,) * 25), "5 more errors of the run."),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.ENFORCED, 2, active_access_keys=2))),
            "4 access keys stopped working without MFA.",
        ),
        (
            make_run_report(
                make_account_report("1", *users_of(Outcome.PLANNED, 1, active_access_keys=None)), mode=Mode.PLAN
            ),
            "0 access keys would stop working without MFA, and those of 1 user that could not be read.",
        ),
    ],
)
def test_notice_is_given(report: RunReport, words: str) -> None:
    assert words in page_of(report).readable


def test_run_that_was_held_says_so_in_its_title_and_in_the_first_notice() -> None:
    gate = Gate(code="over_limit", planned=1442, limit=100, message="too many", remedy="Read the plan, then allow it.")
    account = make_account_report("1", *users_of(Outcome.PLANNED, 1), root_user=ROOT_OPEN)

    text = page_of(make_run_report(account, gate=gate, errors=(PROBLEM,), mode=Mode.APPLY)).readable

    said = "NOTHING WAS WRITTEN: 1,442 changes planned, the limit is 100. Read the plan, then allow it."
    assert text.index("nothing was written") < text.index(said)
    assert text.index(said) < text.index("not authorized")


@pytest.mark.parametrize(
    ("report", "blocks_access_keys"),
    [
        (make_run_report(make_account_report("1", *users_of(Outcome.ENFORCED, 2, active_access_keys=2))), False),
        (make_run_report(make_account_report("1", *users_of(Outcome.EXEMPT, 2, active_access_keys=2))), True),
        (make_run_report(make_account_report("1", *users_of(Outcome.ENFORCED, 2))), True),
        (
            make_run_report(
                make_account_report("1", *users_of(Outcome.RELEASED, 2, active_access_keys=1)), mode=Mode.RELEASE
            ),
            True,
        ),
    ],
)
def test_no_notice_where_there_is_nothing_to_notice(report: RunReport, blocks_access_keys: bool) -> None:
    page = page_of(report, blocks_access_keys=blocks_access_keys)

    assert "notices" not in {attributes.get("class") for attributes in page.all("ul")}


def test_changes_name_users_with_their_accounts_and_devices_with_their_dates() -> None:
    for words in (
        "2 March 2026, 12:00 UTC",
        "Newly without MFA 1",
        "bob in acme-payments 111122223333",
        "Enforcement undone by others 1",
        "alice in acme-payments 111122223333: authenticator app, 2 March 2026",
        "New accounts 1",
        "Clean 333344445555",
    ):
        assert words in SMALL_PAGE.readable
    assert "Accounts gone" not in SMALL_PAGE.readable


def test_device_that_could_not_be_read_is_said_to_be_unknown() -> None:
    values = changed("alice", make_account_report()) | {"device": None, "enrolled_at": None}
    changes = Changes.model_validate({"since_run_id": "run-0", "since": days_ago(1), "enrolled": [values]})

    assert "kind of device unknown, date unknown" in page_of(make_run_report(changes=changes)).readable


@pytest.mark.parametrize("more", [0, 1, 1200])
def test_long_list_of_changes_is_cut_and_counted(more: int) -> None:
    users = [ChangedUser(**changed(f"user-{index}", make_account_report())) for index in range(MAX_NAMED + more)]
    changes = Changes(since_run_id="run-0", since=days_ago(1), newly_enforced=tuple(users))

    text = page_of(make_run_report(changes=changes)).readable

    assert text.count("user-") == MAX_NAMED
    assert (f"and {more:,} more" in text) == bool(more)


@pytest.mark.parametrize(
    ("changes", "words"),
    [(None, "no earlier run to compare"), (Changes(since_run_id="run-0", since=days_ago(1)), "Nothing changed.")],
)
def test_no_change_is_said(changes: Changes | None, words: str) -> None:
    assert words in page_of(make_run_report(changes=changes)).readable
