import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage, Status, Trigger, Verdict
from orchestrator.output.slack import Digest, render_digest, render_text
from orchestrator.output.slack.client import SlackClient
from orchestrator.output.slack.limits import BUDGET, fair_shares, size_of_blocks
from orchestrator.output.slack.mrkdwn import code, literal, plain, prose, size
from orchestrator.output.slack.text import MAX_NAMES
from orchestrator.reports.build import count_totals
from orchestrator.reports.report import (
    AccountReport,
    ProblemReport,
    ReasonReport,
    RootUserReport,
    RunReport,
    UserReport,
    pack_accounts,
)
from tests.builders import NOW
from tests.fake_slack import FakeSlack, find_fault

LINK = "https://runs.example.com/2026-03-02/run-1.html?a=1&b=2"
ROOT_WITHOUT_MFA = RootUserReport(has_credentials=True, has_mfa=False)


def make_user_report(name: str = "ana", outcome: Outcome = Outcome.NONE, **changes: Any) -> UserReport:
    is_compliant = outcome is Outcome.NONE
    values: dict[str, Any] = {
        "arn": f"arn:aws:iam::111122223333:user/{name}",
        "verdict": Verdict.COMPLIANT if is_compliant else Verdict.NON_COMPLIANT,
        "console_password": True,
        "active_access_keys": 0,
        "keys_last_used": None,
        "via": None,
        "error": None,
    }
    return UserReport(name=name, outcome=outcome, **(values | changes))


def make_account_report(number: int = 1, *users: UserReport, **changes: Any) -> AccountReport:
    values: dict[str, Any] = {
        "id": f"{number:012}",
        "name": f"Team {number}",
        "alias": f"acme-{number:05}",
        "status": Status.INSPECTED,
        "error": None,
        "root_user": RootUserReport(has_credentials=False, has_mfa=False),
    }
    return AccountReport(users=users, **(values | changes))


def make_problem(stage: Stage = Stage.ASSUME_ROLE, **changes: Any) -> ProblemReport:
    values = {"code": "AccessDenied", "message": "the role refuses", "remedy": "Deploy the StackSet."}
    return ProblemReport(stage=stage, **(values | changes))


def make_failed(number: int = 1, *users: UserReport, **changes: Any) -> AccountReport:
    values = {"status": Status.FAILED, "error": make_problem(), "root_user": None}
    return make_account_report(number, *users, **(values | changes))


def make_skipped(number: int, code: str = "suspended") -> AccountReport:
    error = make_problem(Stage.SELECT, code=code, message="", remedy="")
    return make_account_report(number, status=Status.SKIPPED, error=error, root_user=None)


def make_run(*accounts: AccountReport, **changes: Any) -> RunReport:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "mode": Mode.APPLY,
        "trigger": Trigger.SCHEDULE,
        "organization_id": "o-exampleorg1",
        "started_at": NOW,
        "finished_at": NOW,
        "complete": True,
        "errors": (),
        "totals": count_totals(accounts),
    }
    return RunReport(accounts=pack_accounts(accounts), **(values | changes))


def held(name: str, code: str = "active_key", message: str = "a key would stop") -> UserReport:
    return make_user_report(name, Outcome.HELD, error=ReasonReport(code=code, message=message))


def enforced(*names: str, **changes: Any) -> tuple[UserReport, ...]:
    return tuple(make_user_report(name, Outcome.ENFORCED, **changes) for name in names)


def render(
    report: RunReport,
    *,
    link: str | None = None,
    notes: tuple[str, ...] = (),
    keys_stop: bool = True,
    **slack: Any,
) -> Digest:
    return render_digest(report, SlackConfig(**slack), keys_stop=keys_stop, link=link, notes=notes)


def show(report: RunReport, **arguments: Any) -> str:
    """Return the digest of a run as text, with no line wrapped."""
    return "\n".join(plain(text) for text in texts(render(report, **arguments)))


def texts(digest: Digest) -> list[str]:
    found = []
    for block in digest.blocks:
        found += [block["text"]["text"]] if "text" in block else [element["text"] for element in block["elements"]]
    return found


def line_with(words: str, shown: str) -> str:
    [line] = [line for line in shown.splitlines() if words in line]
    return line


# The sample: ten accounts in every state that a digest tells of, worst first.
SAMPLE = make_run(
    make_account_report(10, make_user_report("zoe")),
    make_account_report(9, make_user_report("key-only", Outcome.OUT_OF_SCOPE), make_user_report("yan")),
    make_account_report(8, *enforced("bea", "cem")),
    make_account_report(
        7, make_user_report("dan", Outcome.ALREADY_ENFORCED), make_user_report("eva", Outcome.IN_GRACE)
    ),
    make_account_report(6, root_user=ROOT_WITHOUT_MFA),
    make_account_report(5, held("ci"), held("etl")),
    make_account_report(4, make_user_report("max", Outcome.QUOTA_EXCEEDED)),
    make_account_report(3, make_user_report("una", verdict=Verdict.UNKNOWN)),
    make_account_report(
        2, status=Status.NOT_REACHED, error=make_problem(Stage.APPLY, code="interrupted"), root_user=None
    ),
    make_failed(1),
    make_skipped(11),
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


def test_an_incomplete_listing_and_errors_stand_before_the_totals() -> None:
    errors = tuple(make_problem(Stage.ARCHIVE, code=f"E{number}", message="disk full") for number in range(5))

    lines = show(make_run(make_account_report(), complete=False, errors=errors)).splitlines()

    assert lines[0] == "orgmfa apply: incomplete, 5 errors"
    assert lines[1] == "The accounts could not be listed to the end: some are missing here."
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
    ("keys", "keys_stop", "words"),
    [
        ([1, 2, 0], True, "Access keys that stop working without an MFA session: 3."),
        ([1, None], True, "Access keys that stop working without an MFA session: 1, and those of 1 user that could"),
        ([0, 0], True, None),
        ([1, 2], False, None),
    ],
)
def test_the_keys_that_stop_working_are_counted(keys: list[int | None], keys_stop: bool, words: str | None) -> None:
    users = [user for number in keys for user in enforced("ana", active_access_keys=number)]

    shown = show(make_run(make_account_report(1, *users)), keys_stop=keys_stop)

    assert ("Access keys" in shown) == (words is not None)
    assert (words or "") in shown


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


HOSTILE = [
    "<!channel>",
    "<@U0123456789>",
    "<https://evil.example|whole report>",
    "&lt;!here&gt;",
    "*bold* _italic_ ~struck~ `code` ```block```",
    "\N{FULLWIDTH ASTERISK}bold\N{FULLWIDTH ASTERISK} \N{FULLWIDTH GRAVE ACCENT}x\N{FULLWIDTH GRAVE ACCENT}",
    "two\nlines\r\n• acme-prod (111122223333): enforced: nobody",
    "\N{RIGHT-TO-LEFT OVERRIDE}drowssap\N{ZERO WIDTH SPACE}\N{LINE SEPARATOR}x",
    "nul\x00tab\tbell\x07",
    ":white_check_mark: all clean :fire:",
    "&" * 200,
    "\N{GRINNING FACE}" * 200,
    'quotes " and \\ backslashes' * 20,
    " ",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["alias", "name", "user", "message", "code", "remedy", "note", "run_id", "skip"])
def test_foreign_text_neither_mentions_nor_formats_nor_forges(text: str, place: str) -> None:
    problem = make_problem().model_copy(update={place: text} if place in {"message", "code", "remedy"} else {})
    reason = ReasonReport(code=problem.code, message=problem.message)
    report = make_run(
        make_account_report(1, *enforced(text if place == "user" else "ana"), alias=text if place == "alias" else None),
        make_account_report(2, make_user_report("bob", Outcome.FAILED, error=reason)),
        make_failed(3, error=problem, **({"name": text, "alias": None} if place == "name" else {})),
        make_skipped(4, text if place == "skip" else "suspended"),
        errors=(problem,),
        **({"run_id": text} if place == "run_id" else {}),
    )

    digest = render(report, notes=(text,) if place == "note" else (), link=LINK)

    assert_safe(digest)
    assert len(digest.blocks) == len(render(report.model_copy(update={"run_id": "run-1"}), link=LINK).blocks) + (
        place == "note" and bool(text.strip())
    )


def assert_safe(digest: Digest) -> None:
    """Only our own links and mentions, every `&` an entity, no character that hides or turns, balanced formatting."""
    assert find_fault({"text": digest.text, "blocks": list(digest.blocks)}) is None
    assert size_of_blocks(digest.blocks) <= BUDGET
    mrkdwn = [text for block in digest.blocks for text in block.get("elements", [block.get("text")])]
    assert all(text.get("verbatim") for text in mrkdwn if text["type"] == "mrkdwn")
    for text in [*texts(digest), digest.text]:
        rest = re.sub(r"<(?:!here|https?://[^|<>\s]+\|whole report)>", "", text)
        assert not re.search(r"[<>]|&(?!(?:amp|lt|gt);)", rest)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", text)
        for line in rest.splitlines():
            assert line.count("`") % 2 == 0
            outside = re.sub(r"`[^`]*`", "", line)
            assert outside.count("*") % 2 == 0
            assert not re.search(r"[*`~\N{FULLWIDTH ASTERISK}]|:[\w'+-]+:", re.sub(r"\*[^*]*\*", "", outside))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("R&D", "R&amp;D"),
        ("a_b", "a_b"),
        ("_a_", "ˍaˍ"),
        ("a*b", "a\N{ASTERISK OPERATOR}b"),
        ("12:30", "12:30"),
        (":fire:", "\N{RATIO}fire:"),
        (" a \n b ", "a b"),
        ("", ""),
    ],
)
def test_a_name_is_shown_as_it_is(text: str, written: str) -> None:
    assert literal(text, 80) == written


@pytest.mark.parametrize("text", ["&lt;!here&gt;", "&amp;lt;", "R&D <Berlin>", "a_b"])
def test_read_back_as_plain_text_a_name_is_the_same(text: str) -> None:
    assert plain(literal(text, 80)) == plain(code(text, 80)) == text


def test_an_arn_in_a_sentence_is_left_whole_to_be_copied() -> None:
    text = "on resource: arn:aws-cn:iam::111122223333:role/x_* because *no* policy allows it"

    assert prose(text, 200) == (
        "on resource: `arn:aws-cn:iam::111122223333:role/x_*` because "
        "\N{ASTERISK OPERATOR}no\N{ASTERISK OPERATOR} policy allows it"
    )


@given(text=st.text(alphabet=st.sampled_from('&<>*`_~:a\N{GRINNING FACE}"\\ \n') | st.characters(), max_size=300))
def test_a_text_is_cut_between_characters_never_inside_an_escape(text: str) -> None:
    for write in (literal, prose, code):
        written = write(text, 60)
        assert size(written) <= 60
        assert not re.search(r"&(?!(?:amp|lt|gt);)", written)
        assert "\n" not in plain(written)


@given(room=st.integers(0, 10_000), wants=st.lists(st.integers(0, 20_000), max_size=20))
def test_room_is_shared_so_that_none_is_crowded_out(room: int, wants: list[int]) -> None:
    shares = fair_shares(room, wants)

    assert sum(shares) <= room
    assert all(share <= want for share, want in zip(shares, wants, strict=True))
    assert all(share == want for share, want in zip(shares, wants, strict=True) if want * len(wants) <= room)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


MANY_USERS = enforced(*(f"user.{index:02}@{'long' * 10}.example" for index in range(20)), active_access_keys=1)


def make_odd(number: int) -> AccountReport:
    """Return one account of an organization in which everything happens, with names as long and odd as they come."""
    name = f"{number} R&D <{'x' * 60}>"
    match number % 5:
        case 0:
            return make_failed(number, name=name, alias=None)
        case 1:
            return make_account_report(number, *MANY_USERS, name=name, alias=None)
        case 2:
            return make_account_report(number, held("ci"), held("etl"), root_user=ROOT_WITHOUT_MFA)
        case 3:
            return make_skipped(number)
        case _:
            return make_account_report(number, make_user_report("zoe"))


def make_plain(number: int) -> AccountReport:
    return make_account_report(number, *MANY_USERS[:1])


@cache
def make_organization(make: Callable[[int], AccountReport], count: int) -> RunReport:
    return make_run(*map(make, range(count)))


@cache
def render_organization(make: Callable[[int], AccountReport], count: int) -> Digest:
    return render(make_organization(make, count), link=LINK, mention="here", notes=("a note",) * count)


@pytest.mark.parametrize("kind", ["webhook", "bot token"])
@pytest.mark.parametrize("count", [0, 1, 60, 10_000])
@pytest.mark.parametrize("make", [make_odd, make_plain, make_account_report])
def test_slack_takes_the_digest_of_an_organization_of_any_size(
    slack: FakeSlack, kind: str, count: int, make: Callable[[int], AccountReport]
) -> None:
    digest = render_organization(make, count)
    is_webhook = kind == "webhook"
    credentials = SlackCredentials(
        webhook_url=slack.webhook_url if is_webhook else None, bot_token=None if is_webhook else slack.bot_token
    )

    SlackClient(credentials, channel=slack.channel, base_url=slack.api_url).send(digest.text, digest.blocks)

    [message] = slack.messages
    assert message.blocks == list(digest.blocks)
    assert message.text == digest.text
    assert set(message.mentions) <= {"<!here>"}


@pytest.mark.parametrize("link", [None, LINK])
def test_what_does_not_fit_is_counted_to_the_last_account_and_linked(link: str | None) -> None:
    shown = show(make_organization(make_odd, 10_000), link=link)

    for title, total in (
        ("failed, assuming", 2_000),
        ("Held (active_key)", 2_000),
        ("Root user", 2_000),
        ("Changes", 2_000),
    ):
        _, _, group = shown.partition(title)
        [(more, tail)] = re.findall(r"and ([\d,]+) more accounts(.*)", group)[:1]
        listed = len(re.findall(r"\(0{7}\d{5}\)", group[: group.index(f"and {more} more accounts")]))
        assert listed + int(more.replace(",", "")) == total
        assert listed >= 3
        assert tail == (f": whole report: {LINK}" if link else "")
    assert "10,000 accounts: 6,000 inspected, 2,000 failed, 2,000 skipped." in shown
    assert "2,000 accounts clean" in shown


def test_no_group_is_crowded_out_when_everything_is_at_its_longest() -> None:
    long = "&<>" * 400
    name = "&<>" * 120  # longer than is looked at, and 12,000 of them are quickly read
    stages = [Stage.SELECT, Stage.ASSUME_ROLE, Stage.INSPECT, Stage.APPLY]
    problems = [
        make_problem(stage, code=f"{index}{long}", message=long, remedy=long) for index in range(3) for stage in stages
    ]
    reasons = [ReasonReport(code=f"{index}{long}", message=long) for index in range(12)]
    outcomes = [Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED]
    accounts = [make_failed(number, error=problems[number % 12], name=name, alias=name) for number in range(600)]
    accounts += [
        make_account_report(
            number,
            make_user_report(name, outcomes[number % 3], error=reasons[number % 12]),
            *enforced(*[f"{index}{name}" for index in range(20)]),
            root_user=ROOT_WITHOUT_MFA,
            alias=name,
        )
        for number in range(600, 1200)
    ]
    accounts += [make_skipped(number, f"{number % 9}{long}") for number in range(1200, 1300)]
    report = make_run(*accounts, errors=tuple(problems), complete=False, run_id=long)

    for link in (
        None,
        "https://x.example/" + "&" * 50,
        "https://x.example/" + "&" * 480,
        "https://x.example/" + "y" * 600,
    ):
        digest = render(report, link=link, notes=(long,) * 100, mention="S0123456789ABCDEFGHIJ")
        assert find_fault({"text": digest.text, "blocks": list(digest.blocks)}) is None
        assert size_of_blocks(digest.blocks) <= BUDGET
        titles = [text.splitlines()[0] for text in texts(digest)]
        assert len([title for title in titles if re.match(r"\*50 accounts failed, ", title)]) == 4
        assert len([title for title in titles if re.match(r"\*(Failed|Over quota|Held) \(", title)]) == 6
        for words in ("not finished for other reasons", "Other reasons: ", "Root user", "Please note", "Changes and"):
            assert any(words in title for title in titles)


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


# Every RunReport that can be written.
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [*HOSTILE, "&<>" * 700]
)
PROBLEMS = st.builds(ProblemReport, stage=st.sampled_from(Stage), code=TEXT, message=TEXT, remedy=TEXT)
USERS = st.builds(
    UserReport,
    name=TEXT,
    arn=st.just("arn"),
    verdict=st.sampled_from(Verdict),
    console_password=st.none() | st.booleans(),
    active_access_keys=st.none() | st.integers(0, 2),
    keys_last_used=st.none(),
    outcome=st.sampled_from(Outcome),
    via=st.none(),
    error=st.none() | st.builds(ReasonReport, code=TEXT, message=TEXT),
    reason=st.none() | TEXT,
)
ACCOUNTS = st.builds(
    AccountReport,
    id=st.from_regex(r"\A[0-9]{12}\Z") | TEXT,
    name=TEXT,
    alias=st.none() | TEXT,
    status=st.sampled_from(Status),
    error=st.none() | PROBLEMS,
    root_user=st.none() | st.builds(RootUserReport, has_credentials=st.booleans(), has_mfa=st.booleans()),
    users=st.lists(USERS, max_size=4).flatmap(lambda users: st.sampled_from([tuple(users), tuple(users) * 10])),
    policy_changes=st.lists(st.sampled_from(PolicyChange), max_size=4).map(tuple),
)
RUNS = st.builds(
    lambda accounts, times, **fields: make_run(*accounts * times, **fields),
    st.lists(ACCOUNTS, max_size=8),
    st.sampled_from([1, 1, 40]),
    mode=st.sampled_from(Mode),
    trigger=st.sampled_from(Trigger),
    run_id=TEXT,
    complete=st.booleans(),
    errors=st.lists(PROBLEMS, max_size=5).map(tuple),
)


@given(
    report=RUNS,
    link=st.none() | st.sampled_from(["", LINK, "https://x.example/" + "&" * 300, "https://x.example/" + "y" * 600]),
    notes=st.lists(TEXT, max_size=30).map(tuple),
    users=st.sampled_from(["names", "counts"]),
    keys_stop=st.booleans(),
)
def test_every_report_renders_within_slacks_limits(
    report: RunReport, link: str | None, notes: tuple[str, ...], users: str, *, keys_stop: bool
) -> None:
    digest = render(report, link=link, notes=notes, users=users, keys_stop=keys_stop, mention="here")

    assert_safe(digest)
    assert render_text(digest).startswith("orgmfa ")
    is_quiet = all(account.status in {Status.INSPECTED, Status.SKIPPED} for account in report.accounts)
    assert digest.has_findings or (is_quiet and report.complete and not report.errors)
