"""Assessment of a user: the verdict on MFA, and whether the rules leave the user alone. Pure: values in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orchestrator.domain.config import Config, Exemption
from orchestrator.domain.model import Decision, IamUser, Outcome, Reason, Verdict
from orchestrator.domain.records import Record, Release, find_record


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for leaving users alone, from the configuration and from earlier runs."""

    config: Config
    released_until: Mapping[tuple[str, str], Release] = field(default_factory=dict)  # by account ID and record key
    own_arn: str = ""  # the principal that runs the program, which is never written to
    # Since when runs have seen a user without MFA, by account ID, then record key; who is missing is seen now.
    sights: Mapping[str, Mapping[str, Record]] = field(default_factory=dict)
    # When the first message of a notice was accepted, by account ID, user ID and the day on which the notice began.
    told: Mapping[tuple[str, str, str], datetime] = field(default_factory=dict)

    @property
    def needs_console_password(self) -> bool:
        """Whether the scope depends on a user having a console password."""
        return self.config.enforcement.users == "console"

    @property
    def needs_key_use(self) -> bool:
        """Whether the use of an access key can make a change wait."""
        return self.config.policy.blocks_access_keys and self.config.limits.hold_keys_used_within > timedelta()


def assess_user(user: IamUser) -> Verdict:
    """Return whether a user has MFA; what could not be read is unknown, never compliant."""
    if user.has_mfa is None:
        return Verdict.UNKNOWN
    return Verdict.COMPLIANT if user.has_mfa else Verdict.NON_COMPLIANT


def is_unused(decision: Decision, before: datetime) -> bool:
    """Return whether a user without MFA has a password unused since then; who is exempt is meant to be there."""
    user, last = decision.user, decision.user.password_last_used
    is_open = decision.verdict is Verdict.NON_COMPLIANT and decision.outcome is not Outcome.EXEMPT
    if not is_open or not user.has_console_password or user.created_at >= before or last is None:
        return False
    return last == "never" or last < before


def find_exemption(
    user_name: str, account_id: str, exemptions: tuple[Exemption, ...], *, now: datetime
) -> Exemption | None:
    """Return the first exemption in force that matches a user of an account; `until` is inclusive, in UTC."""
    today = now.astimezone(UTC).date()
    return next((one for one in exemptions if one.is_in_force(today) and one.covers(user_name, account_id)), None)


RuleResult = tuple[Outcome, Reason]  # the outcome of a user who is left alone, and the reason


def find_exception(user: IamUser, account_id: str, rules: Rules, *, now: datetime) -> RuleResult | None:
    """Return the outcome and reason for leaving a user without MFA alone, or None where MFA is to be enforced."""
    return (
        _exempt(user, account_id, rules, now=now)
        or _out_of_scope(user, rules)
        or _in_grace(user, account_id, rules, now=now)
        or _hold_for_keys(user, rules, now)
    )


def _exempt(user: IamUser, account_id: str, rules: Rules, *, now: datetime) -> RuleResult | None:
    if user.arn == rules.own_arn:
        return Outcome.EXEMPT, Reason("protected", "the user that runs orgmfa is never written to")
    if any(entry.covers(user.name, account_id) for entry in rules.config.protected_users):
        return Outcome.EXEMPT, Reason("protected", "protected_users names the user")
    exemption = find_exemption(user.name, account_id, rules.config.exemptions, now=now)
    if exemption is None:
        return None
    ends = f", until {exemption.until.isoformat()}" if exemption.until else ""
    return Outcome.EXEMPT, Reason("exempt", f"{exemption.reason} (exemption {exemption.user}{ends})")


def _out_of_scope(user: IamUser, rules: Rules) -> RuleResult | None:
    if not rules.needs_console_password or user.has_console_password is not False:
        return None
    return Outcome.OUT_OF_SCOPE, Reason("no_console_password", "no console password; enforcement.users is console")


def _in_grace(user: IamUser, account_id: str, rules: Rules, *, now: datetime) -> RuleResult | None:
    release = find_record(lambda key: rules.released_until.get((account_id, key)), user)
    if release is not None and now < (until := release.until):
        return Outcome.IN_GRACE, Reason("released", f"released; left alone until {until:%Y-%m-%d %H:%M} UTC", until)
    sight = find_record(rules.sights.get(account_id, {}).get, user)
    seen_at = sight.since if sight else now
    told_at = rules.told.get((account_id, user.id, f"{seen_at:%Y-%m-%d}")) if rules.config.nudge.required else seen_at
    notice_ends = (told_at or seen_at) + rules.config.enforcement.notice
    grace_ends = user.created_at + rules.config.enforcement.grace_period
    if now < grace_ends:
        ends_at = max(grace_ends, notice_ends)
        text = f"created {user.created_at:%Y-%m-%d}; in grace until {ends_at:%Y-%m-%d %H:%M} UTC"
        return Outcome.IN_GRACE, Reason("new_user", text, ends_at, seen_at)
    if now < notice_ends:
        text = f"seen without MFA since {seen_at:%Y-%m-%d}; {_left(notice_ends - now)} of notice left, then enforced"
        return Outcome.IN_GRACE, Reason("notice", text, notice_ends, seen_at)
    if told_at is None:
        text = (
            "nobody could be told so far, and nudge.required is true: give the user a tag with an address of "
            "nudge.domains, and look at the messages in the report"
        )
        return Outcome.HELD, Reason("not_told", text, None, seen_at)
    return None


def _left(time: timedelta) -> str:
    """Return a time in whole days or hours, rounded up."""
    size, unit = (timedelta(days=1), "day") if time > timedelta(days=1) else (timedelta(hours=1), "hour")
    number = -(-time // size)
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _hold_for_keys(user: IamUser, rules: Rules, now: datetime) -> RuleResult | None:
    """Return why a user is held because of access keys: with policy.access_keys: deny their callers would stop."""
    if not rules.needs_key_use or user.active_access_keys == 0:
        return None
    if user.active_access_keys is None:
        return Outcome.HELD, Reason("active_key", "the use of the user's access keys, which would stop, is not known")
    if user.keys_last_used is None or now - user.keys_last_used >= rules.config.limits.hold_keys_used_within:
        return None
    text = (
        f"an access key was used on {user.keys_last_used:%Y-%m-%d} and would stop working: move its caller to a role, "
        "exempt the user, or set policy.access_keys: allow"
    )
    return Outcome.HELD, Reason("active_key", text)
