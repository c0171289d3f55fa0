"""The message of a digest: what the run came to, what is to fix, whom it mentions, and the link."""

import re
from typing import Any

import pytest

from orchestrator.domain.model import Gate, Mode, Outcome, PolicyChange, Stage, Status, Verdict
from orchestrator.domain.planning import NOT_LOOKED_AT
from orchestrator.reports.report import AccountReport, ChangedUser, Changes, ReasonReport, RunReport
from tests.builders import days_ago
from tests.output.slack.digest_samples import (
    LINK,
    ROOT_WITHOUT_MFA,
    SAMPLE,
    assert_safe,
    enforced,
    held,
    make_account_report,
    make_failed,
    make_problem,
    make_run,
    make_skipped,
    make_user_report,
    render,
    show,
    show_thread,
    texts,
)


def test_message_is_what_the_run_came_to_then_what_is_to_fix_the_worst_first() -> None:
    assert (
        show(SAMPLE, link=LINK, notes=("exemption ci-robot ends on 2026-03-09",))
        == f"""\
Apply: 7 to fix · 2 users newly enforced
5 of 11 users have MFA or are enforced (was 3)
To fix
✗ acme-00001 - unread: deploy the StackSet
✗ acme-00002 - not reached: deploy the StackSet
! acme-00003 - una: MFA unknown, see the report
! acme-00004 - max: over quota, see the report
! acme-00005 - ci, etl: key in use, move its caller to a role, or exempt the user
! acme-00006 - root user without MFA: register an MFA device, or delete the root credentials
exemption ci-robot ends on 2026-03-09
Open the report: {LINK}"""
    )


def test_what_somebody_need_not_read_at_once_is_in_the_thread_and_not_in_the_message() -> None:
    message = "User: arn:aws:iam::000000000001:user/u may not do that"
    quiet = [Outcome.ALREADY_ENFORCED, Outcome.IN_GRACE, Outcome.EXEMPT, Outcome.OUT_OF_SCOPE, Outcome.ENFORCED]
    users = [make_user_report(f"user-{outcome.value}", outcome) for outcome in quiet]
    report = make_run(
        make_account_report(1, *users, held("ci", message=message)),
        make_failed(2, error=make_problem(message=message)),
        make_account_report(3, make_user_report("clean-user")),
        make_skipped(4),
    )

    message_text, thread = show(report), show_thread(report)

    assert not re.search(r"\d{12}|arn:|may not do|run-1|user-|skipped|clean-user", message_text)
    assert all(user.name in thread for user in users)
    assert all(words in thread for words in ("000000000002", "may not do that", "Run run-1", "Skipped: 1 suspended"))


def test_the_same_run_reads_the_same_whatever_came_in_first() -> None:
    assert render(make_run(*reversed(SAMPLE.accounts))) == render(SAMPLE)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "acme-00001"),
        ({"alias": None}, "Team 1"),
        ({"alias": None, "name": ""}, "000000000001"),
        ({"alias": "", "name": "\n"}, "000000000001"),
        ({"alias": None, "name": "R&D <Berlin>"}, "R&D <Berlin>"),
    ],
)
def test_an_account_goes_by_its_alias_then_its_name_then_its_id(changes: dict[str, Any], label: str) -> None:
    report = make_run(make_account_report(1, held("ana"), **changes))

    assert f"! {label} - ana" in show(report)
    assert f"• {label.replace('&', '&')} ID: 000000000001; To fix" in show_thread(report)


@pytest.mark.parametrize("mode", list(Mode))
def test_an_all_clean_run_is_a_headline_a_line_and_the_link(mode: Mode) -> None:
    report = make_run(make_account_report(1, make_user_report()), make_account_report(2), make_skipped(3), mode=mode)

    digest = render(report, link=LINK)

    assert not digest.has_findings
    assert digest.thread == ()
    assert show(report, link=LINK).splitlines() == [
        *(
            [
                "Release: nobody to release",
                "3 accounts: 2 inspected, 1 skipped. 1 user, whose MFA a release does not look at",
            ]
            if mode is Mode.RELEASE
            else [f"{mode.capitalize()}: all clean", "1 of 1 users have MFA or are enforced (100 %)"]
        ),
        f"Open the report: {LINK}",
    ]
    assert "2 inspected" in digest.text


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
def test_a_user_left_alone_on_purpose_is_no_finding(outcome: Outcome) -> None:
    assert not render(make_run(make_account_report(1, make_user_report("svc", outcome)))).has_findings


def test_run_that_was_held_says_so_in_its_title_and_what_to_decide_in_its_first_line() -> None:
    gate = Gate(code="over_limit", planned=1442, limit=100, message="too many", remedy="Read the plan, then allow it.")
    planned = make_user_report("ana", Outcome.PLANNED, active_access_keys=161)
    report = make_run(make_account_report(1, planned), make_failed(2), gate=gate, complete=False)

    assert show(report).splitlines() == [
        "NOTHING WAS WRITTEN: 1,442 changes planned, the limit is 100",
        "Decide: Read the plan, then allow it.",
        "The organization could not be listed to its end: accounts are missing here.",
        "161 access keys would stop working without MFA: ana",
        "To fix",
        "✗ acme-00002 - unread: deploy the StackSet",
        "0 of 1 users have MFA or are enforced (0 %)",
        "Details: orgmfa report",
    ]


def test_errors_of_the_run_are_told_with_what_to_do_and_in_their_words_in_the_thread() -> None:
    errors = tuple(make_problem(Stage.ARCHIVE, code=f"E{number}", message="disk full") for number in range(5))
    report = make_run(make_account_report(), errors=errors)

    assert show(report).splitlines()[:3] == [
        "Apply: 5 errors",
        "Error archiving the report: deploy the StackSet",
        "and 4 more errors",
    ]
    assert show_thread(report).count("disk full\nTry: Deploy the StackSet.") == 5


def test_a_plan_says_what_would_be_done() -> None:
    user = make_user_report("ana", Outcome.PLANNED, active_access_keys=2)
    report = make_run(make_account_report(1, user), mode=Mode.PLAN)

    assert show(report).startswith(
        "Plan: 1 user would be enforced\n0 of 1 users have MFA or are enforced (would be 1)\n"
    )
    assert "2 access keys would stop working without MFA: ana" in show(report)
    assert "• acme-00001 ID: 000000000001; Would be done: would be enforced: ana" in show_thread(report)
    assert "Nothing was written." in show_thread(report)


def test_a_release_has_words_of_its_own() -> None:
    released = make_user_report("ana", Outcome.RELEASED, active_access_keys=2)
    others = [make_user_report("bob", Outcome.ALREADY_ENFORCED), make_user_report("cem", verdict=Verdict.NON_COMPLIANT)]
    dana = make_user_report("dana", verdict=Verdict.UNKNOWN, reason=NOT_LOOKED_AT.message)
    idle = make_account_report(2, dana)
    report = make_run(make_account_report(1, released, *others), idle, mode=Mode.RELEASE)

    assert show(report).startswith("Release: 1 user released\n")
    assert "acme-00002" not in show_thread(report)
    assert "Done: released: ana; Left alone: still enforced: bob; MFA not looked at: cem" in show_thread(report)
    assert "access key" not in show(report)


def test_an_apply_that_was_broken_off_tells_planned_from_enforced() -> None:
    left = make_user_report("bob", Outcome.PLANNED, active_access_keys=1)
    report = make_run(
        make_account_report(1, *enforced("ana", active_access_keys=1), left, status=Status.NOT_REACHED, root_user=None)
    )

    assert "Apply: 1 to fix · 1 user newly enforced · 1 user not yet enforced" in show(report)
    assert "Done: enforced: ana; not yet enforced: bob" in show_thread(report)


@pytest.mark.parametrize(
    ("keys", "blocks_access_keys", "words"),
    [
        ([1, 2, 0], True, "3 access keys stopped working without MFA: ana, ana"),
        ([1, None], True, "1 access key stopped working without MFA, and those of 1 user that could not be read"),
        ([0, 0], True, None),
        ([1, 2], False, None),
    ],
)
def test_the_keys_that_stop_working_are_counted(
    keys: list[int | None], blocks_access_keys: bool, words: str | None
) -> None:
    users = [user for number in keys for user in enforced("ana", active_access_keys=number)]

    shown = show(make_run(make_account_report(1, *users)), blocks_access_keys=blocks_access_keys)

    assert ("access key" in shown) == (words is not None)
    assert (words or "") in shown


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
def test_service_credentials_that_would_stop_are_counted_beside_the_keys(mode: Mode) -> None:
    kept = make_user_report("ana", Outcome.HELD, service_credentials=("bedrock.amazonaws.com", "logs.amazonaws.com"))
    changed = make_user_report("bob", Outcome.PLANNED if mode is Mode.PLAN else Outcome.ENFORCED, active_access_keys=1)

    shown = show(make_run(make_account_report(1, kept, changed), mode=mode))

    assert (
        "working without MFA: bob. Service credentials and SSH keys that would stop, of users held for it: 2\n" in shown
    )


def test_a_headline_that_would_be_too_long_ends_after_a_whole_part() -> None:
    totals = make_run().totals.model_copy(
        update=dict.fromkeys(("enforced", "released", "planned", "inspected"), 10**15)
    )

    title = texts(render(make_run(totals=totals, complete=False, errors=(make_problem(),))).blocks)[0]

    assert title.startswith("Apply: incomplete · 1 error · 1,000,000")
    assert title.endswith("newly enforced · 1,000,000,000,000,000 users released")
    assert len(title) <= 150


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
    found = [word for text in texts(render(report, mention=who).blocks) for word in re.findall(r"<[!@][^>]+>", text)]

    assert found == ([mention] if is_incident else [])
    assert not re.search(r"<[!@]", "".join(texts(render(report).blocks)))


def test_a_link_that_is_too_long_is_left_out_and_said_to_be() -> None:
    accounts = [make_account_report(number, *enforced("x")) for number in range(500)]

    digest = render(make_run(*accounts), link="https://x.example/" + "y" * 4_000)

    assert_safe(digest)
    assert texts(digest.blocks)[-1] == "The link to the report is too long for Slack"
    assert "yyy" not in str(digest.thread)


def test_a_link_cannot_end_early() -> None:
    [*_, last] = texts(render(make_run(make_account_report()), link="https://x.example/a|b>c d?e=1&f=<2>").blocks)

    assert last == "*<https://x.example/a%7Cb%3Ec%20d?e=1&amp;f=%3C2%3E|Open the report>*"


def test_counts_leave_every_name_out() -> None:
    names = ["Aurelia", "Balthazar", "Cassiopeia", "Demetrius", "Esmeralda"]
    message = "User: arn:aws:iam::000000000001:user/Aurelia may not do that on resource: user Balthazar"
    outcomes = [Outcome.ENFORCED, Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED, Outcome.EXEMPT]
    reason = ReasonReport(code="quota_exceeded", message="Demetrius has 10 policies")
    users = [
        make_user_report(name, outcome, error=reason, active_access_keys=1)
        for name, outcome in zip(names, outcomes, strict=True)
    ]
    changed = tuple(
        ChangedUser(account_id=f"{1:012}", account_alias=None, account_name="Team 1", name=name) for name in names
    )
    report = make_run(
        make_account_report(1, *users, held("Cassiopeia", "new_code", "Cassiopeia sleeps")),
        make_failed(2, error=make_problem(Stage.APPLY, message=message)),
        make_failed(3, error=make_problem(Stage.ASSUME_ROLE, message=message)),
        make_failed(4, error=make_problem(Stage.INSPECT, message="The user with name Esmeralda cannot be found.")),
        errors=(
            make_problem(Stage.SELECT, message=message),
            make_problem(Stage.SELECT, message="no account of this run has a user 'Balthazar'", remedy=message),
        ),
        changes=Changes(since_run_id="run-0", since=days_ago(1), newly_without_mfa=changed, enforcement_undone=changed),
    )

    named = show(report) + show_thread(report)
    digest = render(report, users="counts")
    counted = digest.text + str([*digest.blocks, *digest.thread])

    assert all(name in named for name in names)
    assert not [name for name in names if name in counted]
    assert "quota_exceeded" in counted
