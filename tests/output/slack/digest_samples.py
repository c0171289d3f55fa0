"""Builders of reports for the tests of the digest, and functions that read a digest."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.model import Mode, Outcome, Stage, Status, Trigger, Verdict
from orchestrator.output.slack.digest import Digest, render_digest
from orchestrator.output.slack.layout import BUDGET, Blocks, size_of_blocks
from orchestrator.output.slack.mrkdwn import plain
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
from tests.fake_slack import find_fault

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


def held(name: str, code: str = "active_key", message: str = "a key would stop", **changes: Any) -> UserReport:
    return make_user_report(name, Outcome.HELD, error=ReasonReport(code=code, message=message), **changes)


def enforced(*names: str, **changes: Any) -> tuple[UserReport, ...]:
    return tuple(make_user_report(name, Outcome.ENFORCED, **changes) for name in names)


def render(
    report: RunReport,
    *,
    link: str | None = None,
    notes: tuple[str, ...] = (),
    blocks_access_keys: bool = True,
    **slack: Any,
) -> Digest:
    return render_digest(report, SlackConfig(**slack), blocks_access_keys=blocks_access_keys, link=link, notes=notes)


def show(report: RunReport, **arguments: Any) -> str:
    """Return the message of a run as text, with no line wrapped."""
    return "\n".join(plain(text) for text in texts(render(report, **arguments).blocks))


def show_thread(report: RunReport, **arguments: Any) -> str:
    """Return the thread of a run as text, its tables as lines."""
    thread = render(report, **arguments).thread
    return "\n".join(plain(text) for reply in thread for text in texts(reply.otherwise))


def texts(blocks: Blocks) -> list[str]:
    return [
        text["text"] for block in blocks if "rows" not in block for text in block.get("elements", [block.get("text")])
    ]


def cells(blocks: Blocks) -> list[list[str]]:
    """Return the rows of the table among these blocks."""
    return [[cell["text"] for cell in row] for block in blocks for row in block.get("rows", [])]


def count_lines(digest: Digest) -> int:
    return sum(len(text.splitlines()) for text in texts(digest.blocks))


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


def assert_safe(digest: Digest) -> None:
    """Slack takes all of it, the message has 15 lines, and foreign text does nothing in it.

    Only our own links and mentions, every `&` an entity, no character that hides or turns, balanced formatting.
    """
    assert count_lines(digest) <= 15
    assert len(digest.thread) <= 3
    for blocks in [digest.blocks, *(blocks for reply in digest.thread for blocks in (reply.blocks, reply.otherwise))]:
        assert find_fault({"text": digest.text, "blocks": list(blocks)}) is None
        assert size_of_blocks([block for block in blocks if "rows" not in block]) <= BUDGET
        mrkdwn = [text for block in blocks for text in block.get("elements", [block.get("text", {"type": ""})])]
        assert all(text.get("verbatim") for text in mrkdwn if text["type"] == "mrkdwn")
        for cell in (cell for row in cells(blocks) for cell in row):
            assert not re.search(rf"[<>]|{HIDDEN}", cell)
        for text in [*texts(blocks), digest.text]:
            assert_harmless(text)


def assert_harmless(text: str) -> None:
    rest = re.sub(r"<(?:!here|https?://[^|<>\s]+\|[Oo]pen the report)>", "", text)
    assert not re.search(r"[<>]|&(?!(?:amp|lt|gt);)", rest)
    assert not re.search(HIDDEN, text)
    for line in rest.splitlines():
        assert line.count("`") % 2 == 0
        outside = re.sub(r"`[^`]*`", "", line)
        assert outside.count("*") % 2 == 0
        assert not re.search(r"[*`~\N{FULLWIDTH ASTERISK}]|:[\w'+-]+:", re.sub(r"\*[^*]*\*", "", outside))


HIDDEN = r"[\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
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


@cache
def make_organization(make: Callable[[int], AccountReport], count: int) -> RunReport:
    return make_run(*map(make, range(count)))


# Every RunReport that can be written.
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [*HOSTILE, "&<>" * 700]
)
