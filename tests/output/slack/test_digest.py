import re
from typing import Any

import pytest

from orchestrator.domain.model import Gate, Mode, Outcome, PolicyChange, Stage, Status, Verdict
from orchestrator.output.slack import render_text
from orchestrator.output.slack.text import MAX_NAMES
from orchestrator.reports.report import (
    AccountReport,
    ReasonReport,
    RunReport,
)
from tests.output.slack.digest_samples import (
    LINK,
    ROOT_WITHOUT_MFA,
    SAMPLE,
    enforced,
    held,
    line_with,
    make_account_report,
    make_failed,
    make_odd,
    make_organization,
    make_problem,
    make_run,
    make_skipped,
    make_user_report,
    render,
    show,
    texts,
)


def test_what_is_worst_stands_first() -> None:
    shown = show(SAMPLE, link=LINK, notes=("exemption ci-* ends on 2026-03-09",))

    order = [
        "orgmfa apply: 1 account failed, 1 account not reached, 4 users to fix, 1 root user without MFA",
        "11 accounts: 8 inspected, 1 failed, 1 not reached, 1 skipped.",
        "1 account failed, assuming the role (AccessDenied)",
        "acme-00001 (000000000001)",
        "1 account not reached, writing to IAM (interrupted)",
        "acme-00002 (000000000002)",
        "MFA unknown: 1 user in 1 account",
        "• acme-00003 (000000000003): una",
        "Over quota: 1 user in 1 account",
        "• acme-00004 (000000000004): max",
        "Held (active_key): 2 users in 1 account",
        "• acme-00005 (000000000005): ci, etl",
        "Root user without MFA: 1 account",
        "acme-00006 (000000000006)",
        "• exemption ci-",
        "Changes and findings: 2 accounts",
        "• acme-00008 (000000000008): enforced: bea, cem",
        "• acme-00007 (000000000007): in grace: eva; already enforced: dan",
        "2 accounts clean: every user has MFA or is left alone (1 out of scope).",
        "1 account skipped: 1 suspended",
        f"whole report: {LINK}",
    ]
    found = [shown.index(words) for words in order]
    assert found == sorted(found)


def test_the_same_run_reads_the_same_whatever_came_in_first() -> None:
    assert render(make_run(*reversed(SAMPLE.accounts))) == render(SAMPLE)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "acme-00001 (000000000001)"),
        ({"alias": None}, "Team 1 (000000000001)"),
        ({"alias": None, "name": ""}, "000000000001"),
        ({"alias": "", "name": "\N{RIGHT-TO-LEFT MARK}\n"}, "000000000001"),
        ({"alias": None, "name": "R&D <Berlin>"}, "R&D <Berlin> (000000000001)"),
    ],
)
def test_an_account_goes_by_its_alias_then_its_name_and_always_by_its_id(changes: dict[str, Any], label: str) -> None:
    shown = show(make_run(make_account_report(1, *enforced("ana"), **changes)))

    assert line_with("enforced: ana", shown) == f"• {label}: enforced: ana"


@pytest.mark.parametrize("mode", list(Mode))
def test_an_all_clean_run_takes_three_lines(mode: Mode) -> None:
    report = make_run(make_account_report(1, make_user_report()), make_account_report(2), make_skipped(3), mode=mode)

    digest = render(report, link=LINK)

    assert not digest.has_findings
    assert len(digest.blocks) == 3
    assert not any("\n" in text for text in texts(digest))
    assert "2 inspected" in digest.text
    assert f"whole report: {LINK}" in show(report, link=LINK)


@pytest.mark.parametrize(
    "accounts",
    [
        [make_account_report(1, *enforced("ana"))],
        [make_account_report(1, make_user_report("ana", Outcome.PLANNED))],
        [make_account_report(1, make_user_report("ana", Outcome.ALREADY_ENFORCED))],
        [make_account_report(1, make_user_report("ana", Outcome.IN_GRACE))],
        [make_account_report(1, held("ana"))],
        [make_account_report(1, make_user_report("ana", Outcome.FAILED))],
        [make_account_report(1, make_user_report("ana", Outcome.QUOTA_EXCEEDED))],
        [make_account_report(1, make_user_report("ana", verdict=Verdict.UNKNOWN))],
        [make_account_report(1, make_user_report("ana", verdict=Verdict.NON_COMPLIANT))],
        [make_account_report(1, root_user=ROOT_WITHOUT_MFA)],
        [make_account_report(1, policy_changes=(PolicyChange.UPDATE_POLICY,))],
        [make_account_report(1), make_failed(2)],
        [make_account_report(1), make_account_report(2, status=Status.NOT_REACHED, root_user=None)],
        [make_skipped(1)],
        [],
    ],
)
def test_whatever_is_not_clean_is_a_finding(accounts: list[AccountReport]) -> None:
    digest = render(make_run(*accounts))

    assert digest.has_findings
    assert "all clean" not in digest.text


@pytest.mark.parametrize(
    ("changes", "notes"),
    [({"complete": False}, ()), ({"errors": (make_problem(Stage.ARCHIVE),)}, ()), ({}, ("ci-* ends soon",))],
)
def test_an_incomplete_run_an_error_and_a_note_are_findings(changes: dict[str, Any], notes: tuple[str, ...]) -> None:
    digest = render(make_run(make_account_report(), **changes), notes=notes)

    assert digest.has_findings


@pytest.mark.parametrize("outcome", [Outcome.EXEMPT, Outcome.OUT_OF_SCOPE])
def test_a_user_left_alone_on_purpose_is_counted_but_is_no_finding(outcome: Outcome) -> None:
    report = make_run(make_account_report(1, make_user_report("svc", outcome)))

    assert not render(report).has_findings
    assert f"1 user: 1 without MFA. 1 {outcome.replace('_', ' ')}." in show(report)


def test_run_that_was_held_says_so_in_its_title_and_in_its_first_line() -> None:
    gate = Gate(code="over_limit", planned=1442, limit=100, message="too many", remedy="Read the plan, then allow it.")
    errors = (make_problem(Stage.ARCHIVE, code="E", message="disk full"),)

    lines = show(make_run(make_account_report(), complete=False, errors=errors, gate=gate)).splitlines()

    assert lines[0].startswith("orgmfa apply: nothing was written, incomplete")
    assert lines[1].startswith("NOTHING WAS WRITTEN: 1,442 changes planned, the limit is 100.")


def test_an_incomplete_listing_and_errors_stand_before_the_totals() -> None:
    errors = tuple(make_problem(Stage.ARCHIVE, code=f"E{number}", message="disk full") for number in range(5))

    lines = show(make_run(make_account_report(), complete=False, errors=errors)).splitlines()

    assert lines[0] == "orgmfa apply: incomplete, 5 errors"
    assert lines[1] == "The organization could not be listed to its end: accounts are missing here."
    assert lines[2:4] == ["Error archiving the report (E0): disk full", "Try: Deploy the StackSet."]
    assert lines[8:10] == ["and 2 more errors", "1 account inspected."]


def test_a_plan_says_that_nothing_was_written() -> None:
    report = make_run(
        make_account_report(1, make_user_report("ana", Outcome.PLANNED, active_access_keys=2)), mode=Mode.PLAN
    )

    assert render(report).text.startswith("orgmfa plan (nothing was written): 1 user would be enforced.")
    assert "• acme-00001 (000000000001): would be enforced: ana" in show(report)
    assert "Access keys that would stop working without an MFA session: 2." in show(report)


def test_a_release_has_words_of_its_own() -> None:
    released = make_user_report("ana", Outcome.RELEASED, active_access_keys=2)
    others = [make_user_report("bob", Outcome.ALREADY_ENFORCED), make_user_report("cem", verdict=Verdict.NON_COMPLIANT)]
    report = make_run(make_account_report(1, released, *others), make_account_report(2, *others), mode=Mode.RELEASE)

    shown = show(report)

    assert shown.startswith("orgmfa release: 1 user released\n")
    assert "• acme-00001 (000000000001): released: ana; still enforced: bob" in shown
    assert "1 account with nothing to release." in shown
    assert "Access keys" not in shown


def test_an_apply_that_was_broken_off_tells_planned_from_enforced() -> None:
    left = make_user_report("bob", Outcome.PLANNED, active_access_keys=1)
    report = make_run(
        make_account_report(1, *enforced("ana", active_access_keys=1), left, status=Status.NOT_REACHED, root_user=None)
    )

    shown = show(report)

    assert "1 account not reached, no reason given" in shown
    assert "• acme-00001 (000000000001): enforced: ana; not yet enforced: bob" in shown
    assert "Access keys that stop working without an MFA session: 1." in shown


@pytest.mark.parametrize(
    ("keys", "blocks_access_keys", "words"),
    [
        ([1, 2, 0], True, "Access keys that stop working without an MFA session: 3."),
        ([1, None], True, "Access keys that stop working without an MFA session: 1, and those of 1 user that could"),
        ([0, 0], True, None),
        ([1, 2], False, None),
    ],
)
def test_the_keys_that_stop_working_are_counted(
    keys: list[int | None], blocks_access_keys: bool, words: str | None
) -> None:
    users = [user for number in keys for user in enforced("ana", active_access_keys=number)]

    shown = show(make_run(make_account_report(1, *users)), blocks_access_keys=blocks_access_keys)

    assert ("Access keys" in shown) == (words is not None)
    assert (words or "") in shown


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
def test_service_credentials_that_would_stop_are_counted_beside_the_keys(mode: Mode) -> None:
    held = make_user_report("ana", Outcome.HELD, service_credentials=("bedrock.amazonaws.com", "logs.amazonaws.com"))
    changed = make_user_report("bob", Outcome.PLANNED if mode is Mode.PLAN else Outcome.ENFORCED, active_access_keys=1)

    shown = show(make_run(make_account_report(1, held, changed), mode=mode))

    said = (
        "working without an MFA session: 1. Service credentials and SSH keys that would stop, of users held for it: 2."
    )
    assert said in " ".join(shown.split())


def test_remarks_of_accounts_are_said_once() -> None:
    accounts = [make_account_report(number, notes=("nobody could try",)) for number in (1, 2)]

    assert show(make_run(*accounts)).count("nobody could try") == 1


def test_a_reason_and_its_remedy_are_said_once_for_all_accounts_it_holds_for() -> None:
    def denied(number: int) -> AccountReport:
        message = f"not authorized to assume arn:aws:iam::{number:012}:role/orgmfa-member"
        return make_failed(number, error=make_problem(message=message, remedy=f"Run again (--account {number:012})."))

    shown = show(make_run(denied(2), denied(1), make_failed(3, error=make_problem(Stage.INSPECT))))

    assert shown.count("Run again") == 1
    assert "2 accounts failed, assuming the role (AccessDenied)" in shown
    assert "not authorized to assume arn:aws:iam::ID:role/orgmfa-member\nTry: Run again (--account ID).\n" in shown
    assert "acme-00001 (000000000001), acme-00002 (000000000002)" in shown
    assert "1 account failed, reading IAM (AccessDenied)" in shown


def test_accounts_that_failed_stand_before_more_that_were_not_reached() -> None:
    missed = [make_account_report(number, status=Status.NOT_REACHED, root_user=None) for number in (1, 2)]

    shown = show(make_run(*missed, make_failed(3)))

    assert shown.index("1 account failed, assuming") < shown.index("2 accounts not reached, no reason")


def test_a_headline_that_would_be_too_long_ends_after_a_whole_part() -> None:
    totals = make_run().totals.model_copy(
        update=dict.fromkeys(("failed", "not_reached", "enforced", "released", "planned", "inspected"), 200_000)
    )

    title = texts(render(make_run(totals=totals, complete=False, errors=(make_problem(),))))[0]

    assert title.startswith(
        "orgmfa apply: incomplete, 1 error, 200,000 accounts failed, 200,000 accounts not reached, "
    )
    assert title.endswith("200,000 users released")
    assert len(title) <= 150


def test_a_reason_of_one_account_is_said_in_its_own_words() -> None:
    shown = show(make_run(make_failed(1, error=make_problem(message="role 000000000001 refuses"))))

    assert "role 000000000001 refuses" in shown


def test_a_reason_of_one_account_and_several_users_is_said_in_its_own_words() -> None:
    users = [held(name, "policy_drifted", "000000000001 has another policy") for name in ("ana", "bob")]

    shown = show(make_run(make_account_report(1, *users)))

    assert "Held (policy_drifted): 2 users in 1 account\n000000000001 has another policy\n" in shown


def test_many_reasons_are_summed_up_and_every_account_is_counted() -> None:
    accounts = [make_failed(number, error=make_problem(code=f"Code{number:02}")) for number in range(20)]

    shown = show(make_run(*accounts))

    assert "16 accounts not finished for other reasons" in shown
    assert all(account.id in shown for account in accounts)


def test_many_reasons_of_users_are_summed_up_and_every_user_is_named() -> None:
    users = [held(f"user{number:02}", code=f"code_{number:02}") for number in range(10)]

    shown = show(make_run(make_account_report(1, *users[:7]), make_account_report(2, *users[6:])))

    assert "Other reasons: 4 users in 2 accounts" in shown
    assert all(user.name in shown for user in users)


@pytest.mark.parametrize(
    ("messages", "code", "words"),
    [
        (["12 changes planned"] * 2, "over_limit", "12 changes planned"),
        (["used on Monday", "used on Friday"], "active_key", "An access key in use would stop working: move its"),
        (["one thing", "another"], "new_code", "For example: one thing"),
        (["000000000001 is full", "000000000002 is full"], "new_code", "ID is full"),
    ],
)
def test_what_all_users_of_a_reason_share_is_said_once(messages: list[str], code: str, words: str) -> None:
    accounts = [make_account_report(n, held("ana", code, message)) for n, message in enumerate(messages, start=1)]

    shown = show(make_run(*accounts))

    assert shown.count(words) == 1
    assert f"Held ({code}): 2 users in 2 accounts" in shown


def test_names_are_capped_per_account_with_a_count() -> None:
    names = [f"user{number:02}" for number in range(12)]
    left_alone = [make_user_report(f"svc{number}", Outcome.EXEMPT) for number in range(3)]

    line = line_with("enforced:", show(make_run(make_account_report(1, *enforced(*names), *left_alone))))

    assert line.endswith(f"enforced: {', '.join(names[:MAX_NAMES])} and 4 more; exempt: 3 users")


def test_counts_leave_every_name_out() -> None:
    names = ["Aurelia", "Balthazar", "Cassiopeia", "Demetrius", "Esmeralda"]
    message = "User: arn:aws:iam::000000000001:user/Aurelia may not do that on resource: user Balthazar"
    outcomes = [Outcome.ENFORCED, Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED, Outcome.EXEMPT]
    reason = ReasonReport(code="quota_exceeded", message="Demetrius has 10 policies")
    users = [make_user_report(name, outcome, error=reason) for name, outcome in zip(names, outcomes, strict=True)]
    report = make_run(
        make_account_report(1, *users, held("Cassiopeia", "new_code", "Cassiopeia sleeps")),
        make_failed(2, error=make_problem(Stage.APPLY, message=message)),
        make_failed(3, error=make_problem(Stage.ASSUME_ROLE, message=message)),
        make_failed(4, error=make_problem(Stage.INSPECT, message="The user with name Esmeralda cannot be found.")),
        errors=(
            make_problem(Stage.SELECT, message=message),
            make_problem(Stage.SELECT, message="no account of this run has a user 'Balthazar'"),
        ),
    )

    shown = show(report, users="counts") + render(report, users="counts").text

    assert not [name for name in names if name in shown]
    assert "enforced: 1 user; exempt: 1 user" in shown
    assert "Failed (quota_exceeded): 1 user in 1 account\nNo further policy and no further group fits" in shown


@pytest.mark.parametrize(
    ("who", "mention"),
    [
        ("here", "<!here>"),
        ("channel", "<!channel>"),
        ("U0123456789", "<@U0123456789>"),
        ("W0123456789", "<@W0123456789>"),
        ("S0123456789", "<!subteam^S0123456789>"),
    ],
)
@pytest.mark.parametrize(
    ("report", "is_incident"),
    [
        (make_run(make_failed()), True),
        (make_run(make_account_report(1, status=Status.NOT_REACHED, root_user=None)), True),
        (make_run(make_account_report(1, make_user_report("ana", Outcome.FAILED))), True),
        (make_run(make_account_report(), errors=(make_problem(Stage.ARCHIVE),)), True),
        (make_run(make_account_report(), complete=False), True),
        (make_run(make_account_report(1, *enforced("ana"), held("ci")), make_skipped(2)), False),
        (make_run(make_account_report()), False),
    ],
)
def test_somebody_is_mentioned_only_where_something_failed(
    report: RunReport,
    is_incident: bool,
    who: str,
    mention: str,
) -> None:
    found = [word for text in texts(render(report, mention=who)) for word in re.findall(r"<[!@][^>]+>", text)]

    assert found == ([mention] if is_incident else [])
    assert not re.search(r"<[!@]", "".join(texts(render(report))))


def test_a_link_that_is_too_long_is_left_out_and_said_to_be() -> None:
    assert "its link is too long for Slack" in show(
        make_run(make_account_report()), link="https://x.example/" + "y" * 600
    )


def test_a_link_cannot_end_early() -> None:
    [*_, last] = texts(render(make_run(make_account_report()), link="https://x.example/a|b>c d?e=1&f=<2>"))

    assert last == "<https://x.example/a%7Cb%3Ec%20d?e=1&amp;f=%3C2%3E|whole report>"


def test_as_text_a_digest_reads_as_slack_shows_it() -> None:
    account = make_account_report(1, *enforced("ana", "bob"), alias=None, name="R&D <Berlin>")
    report = make_run(account, make_failed(2), make_skipped(3))

    shown = render_text(render(report, mention="here", link=LINK))

    assert (
        shown
        == f"""\
orgmfa apply: 1 account failed, 2 users enforced
================================================

@here
3 accounts: 1 inspected, 1 failed, 1 skipped.
2 users: 2 without MFA.
2 enforced.

1 account failed, assuming the role (AccessDenied)
the role refuses
Try: Deploy the StackSet.
acme-00002 (000000000002)

Changes and findings: 1 account
• R&D <Berlin> (000000000001): enforced: ana, bob

1 account skipped: 1 suspended · run run-1, schedule · whole report:
{LINK}
"""
    )


@pytest.mark.parametrize("notes", [(), ("word " * 200,)])
def test_as_text_a_digest_fits_a_terminal(notes: tuple[str, ...]) -> None:
    shown = render_text(render(make_organization(make_odd, 100), notes=notes))

    assert max(map(len, shown.splitlines())) <= 120  # names without a space
    assert not re.search(r"&(?:amp|lt|gt);|[*`]", shown)
