"""What the preflight of an SCP (`plan --scp`) comes to: the groups of users that it finds, the gravest first. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.domain.config import Config
from orchestrator.domain.model import Outcome, Status, Verdict
from orchestrator.domain.outcomes import CANNOT_ENROL, CANNOT_TELL, Tone
from orchestrator.domain.scp_preflight import UNREACHED
from orchestrator.output.words import plain, title_of
from orchestrator.reports.report import RunReport, UserReport

READ_AS = (
    "This is what a service control policy would do (plan --scp), not a plan of orgmfa: read 'would be enforced' as "
    "'would be blocked by it', and 'held' as 'look at it before it is attached'."
)
HIT = frozenset({Outcome.PLANNED, Outcome.HELD})


@dataclass(frozen=True, slots=True)
class Group:
    """A number, what is said of it, whom it names, and whether it is a part of the group before it."""

    number: int
    words: str
    names: tuple[str, ...]
    tone: Tone = Tone.QUIET
    is_part: bool = False


def group_users(report: RunReport, config: Config) -> tuple[Group, ...]:
    """Return the groups of a preflight, without those that are empty."""
    return tuple(group for group in _groups(report, config) if group.number)


def count_blocked(report: RunReport) -> int:
    """Return how many users without MFA the SCP would block who are not blocked now."""
    return sum(_is_blocked(user) for account in report.accounts for user in account.users)


def _groups(report: RunReport, config: Config) -> Iterator[Group]:
    window = config.limits.hold_keys_used_within

    def of(words: str, is_in: Callable[[UserReport], bool], tone: Tone = Tone.QUIET, *, is_part: bool = False) -> Group:
        names = tuple(
            f"{plain(user.name)} ({title_of(account)})"
            for account in report.accounts
            for user in account.users
            if is_in(user)
        )
        return Group(len(names), words, names, tone, is_part)

    def stops(user: UserReport) -> bool:
        used = user.keys_last_used
        is_used = user.active_access_keys is None or (used is not None and report.finished_at - used < window)
        return config.policy.blocks_access_keys and is_used and user.outcome in HIT and user.active_access_keys != 0

    yield of("blocked at once, who are not blocked now", _is_blocked, Tone.WARN)
    yield of("could not enrol, and would be locked out for good", _has(CANNOT_ENROL), Tone.BAD, is_part=True)
    yield of("of whom it is not known whether they could enrol", _has(CANNOT_TELL), Tone.WARN, is_part=True)
    days = f"{window.days:,} days" if window.days else f"{window.seconds // 3600} hours"
    yield of(f"with access keys used in the last {days}, which would stop", stops, Tone.WARN)
    yield of("with MFA", lambda user: stops(user) and user.verdict is Verdict.COMPLIANT, is_part=True)
    yield of(
        "with service credentials or SSH keys, which would stop",
        lambda user: user.outcome in HIT and bool(user.service_credentials),
        Tone.WARN,
    )
    yield of("under EnforceMFA: the SCP changes nothing for them", _is(Outcome.ALREADY_ENFORCED))
    yield of("exempt: the SCP spares them", _is(Outcome.EXEMPT))
    yield of(
        "without MFA in the management account, which no SCP reaches",
        lambda user: user.outcome is Outcome.OUT_OF_SCOPE and user.reason == UNREACHED.message,
    )
    yield of("of whom it is not known whether they have MFA", lambda user: user.verdict is Verdict.UNKNOWN, Tone.BAD)
    unread = [title_of(account) for account in report.accounts if account.status in {Status.FAILED, Status.NOT_REACHED}]
    yield Group(len(unread), "accounts not read, of whose users nothing is known", tuple(unread), Tone.BAD)


def _is_blocked(user: UserReport) -> bool:
    return user.outcome in HIT and user.verdict is Verdict.NON_COMPLIANT


def _is(outcome: Outcome) -> Callable[[UserReport], bool]:
    return lambda user: user.outcome is outcome


def _has(code: str) -> Callable[[UserReport], bool]:
    return lambda user: user.error is not None and user.error.code == code
