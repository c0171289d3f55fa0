"""The preflight of an SCP (`plan --scp`) on one screen: a number, a sentence and some names for each group of users."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from rich.console import Console
from rich.text import Text

from orchestrator.domain.config import Config
from orchestrator.domain.model import Outcome, Status, Verdict
from orchestrator.domain.outcomes import CANNOT_ENROL, CANNOT_TELL, Tone
from orchestrator.domain.scp_preflight import UNREACHED
from orchestrator.output.attention import code_of
from orchestrator.output.terminal.console import make_lines, make_theme, print_lines, style_of, tidy
from orchestrator.output.terminal.report import Shown
from orchestrator.output.words import count, format_minute, plain, some_of, title_of
from orchestrator.reports.report import RunReport, UserReport

HIT = frozenset({Outcome.PLANNED, Outcome.HELD})
MAX_NAMED = 3
_WIDTH = 7
_UNITS = (timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")
_Group = tuple[list[str], str, Tone, bool]
"""Whom it names, what is said of them, how grave that is, and whether it is a part of the group before it."""


def print_preflight(report: RunReport, console: Console, shown: Shown, *, config: Config) -> None:
    """Print the preflight of an SCP; who is hit is named in part, and in whole where all rows are wanted."""
    with console.use_theme(make_theme(console)), tidy(console):
        print_lines(_lines(report, console.width, shown, config=config), console)


def _lines(report: RunReport, width: int, shown: Shown, *, config: Config) -> Iterator[Text]:
    groups = list(_groups(report, config))
    blocked, where = len(groups[0][0]), count(report.totals.inspected, "account")  # who is blocked comes first
    title = f"An SCP over the {where} that were read would block {count(blocked, 'more user')} at once"
    yield from make_lines(f"{title}, {format_minute(report.started_at)}", width, tone=Tone.WARN if blocked else None)
    if not report.complete:
        yield from make_lines("INCOMPLETE: accounts are missing here, run again.", width, tone=Tone.BAD)
    yield Text()
    for names, words, tone, is_part in groups:
        if names:
            by = _WIDTH + 2 * is_part
            named = "" if shown.brief else f": {some_of(names, shown.most(MAX_NAMED))}"
            first, *others = make_lines(f"{words}{named}", width, by=by)
            number = f"{len(names):>{by - 1},} "
            yield Text.assemble((number, style_of(tone)), first.plain.strip())
            yield from others
    yield Text()
    for error in report.errors:
        yield from make_lines(f"{error.message}. {error.remedy}", width, tone=Tone.BAD)
    yield Text("Nothing was written or archived. --all shows why, user by user.")
    yield Text(f"Page:   orgmfa plan --scp{shown.narrowing}{shown.options} --output json > scp.json")
    yield Text("        orgmfa report scp.json --html scp.html (or --csv scp.csv)")
    yield Text("Next:   exempt, enrol or move whom it names; then orgmfa policy --scp")


def _groups(report: RunReport, config: Config) -> Iterator[_Group]:
    """Yield the groups of users, the gravest first: those who would be blocked, then others; last accounts not read."""
    window = config.limits.hold_keys_used_within

    def of(
        words: str, is_in: Callable[[UserReport], bool], tone: Tone = Tone.QUIET, *, is_part: bool = False
    ) -> _Group:
        names = [
            f"{plain(user.name)} ({title_of(account)})"
            for account in report.accounts
            for user in account.users
            if is_in(user)
        ]
        return names, words, tone, is_part

    def stops(user: UserReport) -> bool:
        used = user.keys_last_used
        is_used = user.active_access_keys is None or (used is not None and report.finished_at - used < window)
        return config.policy.blocks_access_keys and is_used and user.outcome in HIT and user.active_access_keys != 0

    yield of(
        "blocked at once, who are not blocked now",
        lambda user: user.outcome in HIT and user.verdict is Verdict.NON_COMPLIANT,
        Tone.WARN,
    )
    yield of("could not enrol, and would be locked out for good", _has(CANNOT_ENROL), Tone.BAD, is_part=True)
    yield of("of whom it is not known whether they could enrol", _has(CANNOT_TELL), Tone.WARN, is_part=True)
    size, unit = next((size, unit) for size, unit in _UNITS if not window % size)
    yield of(f"with access keys used in the last {count(window // size, unit)}, which would stop", stops, Tone.WARN)
    yield of("with MFA", lambda user: stops(user) and user.verdict is Verdict.COMPLIANT, is_part=True)
    yield of(
        "with service credentials or SSH keys, which would stop",
        lambda user: user.outcome in HIT and bool(user.service_credentials),
        Tone.WARN,
    )
    yield of(
        "under EnforceMFA: the SCP changes nothing for them", lambda user: user.outcome is Outcome.ALREADY_ENFORCED
    )
    yield of("exempt: the SCP spares them", lambda user: user.outcome is Outcome.EXEMPT)
    yield of(
        "without MFA in the management account, which no SCP reaches",
        lambda user: user.outcome is Outcome.OUT_OF_SCOPE and user.reason == UNREACHED.message,
    )
    yield of("of whom it is not known whether they have MFA", lambda user: user.verdict is Verdict.UNKNOWN, Tone.BAD)
    unread = [title_of(account) for account in report.accounts if account.status in {Status.FAILED, Status.NOT_REACHED}]
    yield unread, "accounts not read, of whose users nothing is known", Tone.BAD, False


def _has(code: str) -> Callable[[UserReport], bool]:
    return lambda user: code_of(user) == code
