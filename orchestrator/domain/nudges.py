"""Messages to users without MFA: who is due for which, the address of each, and the words. Pure.

A member administrator chooses names, aliases and tags. So a message goes to exactly one address of a listed domain, and
the only foreign text in it are alias and user name, written so that no client makes a link or a mention of them. Names
of accounts are left out: they can be whole sentences.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib import resources
from math import ceil
from operator import itemgetter
from pathlib import Path

from orchestrator.domain.config import Config, NudgeConfig
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Decision, IamUser, Outcome

SUBJECT = "Your AWS user needs MFA"
FIRST, TOLD_ENFORCED = "first", "enforced"
NOT_TOLD, NOW_ENFORCED = "not_told", "from now on it can do nothing but set up MFA"
NOTICE_CODES = frozenset({"notice", "new_user"})  # of reasons for which a user is in grace before being enforced
_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,64}@(?P<domain>[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)")
"""No plus sign: by it one mailbox has any number of addresses. No percent sign: some servers forward by it."""
_MEMBER_ID = re.compile(r"[UW][A-Z0-9]{5,20}")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_SIGN_IN_HOSTS = {
    "aws": "signin.aws.amazon.com",
    "aws-us-gov": "signin.amazonaws-us-gov.com",
    "aws-cn": "signin.amazonaws.cn",
    "aws-eusc": "signin.amazonaws-eusc.eu",
}
_WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class Nudge:
    """One user to tell. `day` is when this notice began; `covers` are the messages that this one stands for."""

    account_id: str
    alias: str | None
    user_id: str
    user_name: str
    kind: str  # `first`, `left-N` where N days are left, or `enforced`
    day: str
    covers: tuple[str, ...]
    until: datetime | None
    address: str | None
    has_password: bool = True
    again: bool = False

    def name_of(self, kind: str) -> str:
        """Return the name of the mark of a message of this kind: the same, whichever run sends it."""
        return f"{self.account_id}/{self.user_id}/{self.day}/{kind}"


@dataclass(frozen=True, slots=True)
class Occasion:
    """The run in which users are told: its rules, when it began, the time now, and the outcome that means enforced."""

    config: Config
    began_at: datetime
    now: datetime
    enforced: Outcome


def find_nudge(
    decision: Decision, occasion: Occasion, *, account_id: str, alias: str | None, owed: str | None
) -> Nudge | None:
    """Return what a user is to be told now, or None; `owed` is the day of an enforcement that is still untold."""
    user, reason, now = decision.user, decision.reason, occasion.now
    until, day = None, f"{occasion.began_at:%Y-%m-%d}"
    kinds: tuple[str, ...] = (TOLD_ENFORCED,)
    if decision.outcome is Outcome.ALREADY_ENFORCED and owed:
        day = owed
    elif reason is not None and reason.code in NOTICE_CODES | {NOT_TOLD}:
        seen_at = reason.since or now
        since = min(seen_at, occasion.began_at)  # as the next run will know it
        until = reason.until - (seen_at - since) if reason.until else None
        day, left = f"{since:%Y-%m-%d}", ceil((until - now) / timedelta(days=1)) if until else 0
        due = sorted(days for days in occasion.config.nudge.days_left if left <= days)
        kinds = (FIRST, *(f"left-{days}" for days in due))
    elif decision.outcome is not occasion.enforced:
        return None
    return Nudge(
        account_id=account_id,
        alias=alias,
        user_id=user.id,
        user_name=user.name,
        kind=kinds[0],
        day=day,
        covers=kinds,
        until=until,
        address=find_address(user, occasion.config.nudge),
        has_password=user.has_console_password is not False,
    )


def in_turn(nudges: Iterable[Nudge], run_id: str) -> list[Nudge]:
    """Return these, in another order in each run, one of each account before the second of any: none takes all."""
    turns, placed = Counter[str](), list[tuple[int, Nudge]]()
    for nudge in sorted(nudges, key=lambda one: sha256(f"{run_id}/{one.account_id}/{one.user_id}".encode()).digest()):
        turns[nudge.account_id] += 1
        placed.append((turns[nudge.account_id], nudge))
    return [nudge for _, nudge in sorted(placed, key=itemgetter(0))]


def find_address(user: IamUser, settings: NudgeConfig) -> str | None:
    """Return the address of a user, by tag or name, or None; of a member ID Slack has to tell the domain."""
    tagged = [value for key, value in user.tags if key == settings.address_tag]
    text = tagged[0].strip() if tagged else user.name
    if settings.via == "slack" and tagged and _MEMBER_ID.fullmatch(text):
        return text if settings.domains else None
    return text.lower() if is_listed(text, settings) else None


def is_member_id(address: str) -> bool:
    """Return whether an address is a Slack member ID."""
    return _MEMBER_ID.fullmatch(address) is not None


def is_listed(address: str, settings: NudgeConfig) -> bool:
    """Return whether a text is one address of a listed domain."""
    found = _ADDRESS.fullmatch(address)
    return found is not None and found["domain"].casefold() in {domain.casefold() for domain in settings.domains}


def read_text(settings: NudgeConfig) -> str:
    """Return the text of messages. Raises ConfigError where it cannot be read, or lacks the users."""
    if settings.text is None:
        return resources.files("orchestrator.domain").joinpath("nudge.txt").read_text(encoding="utf-8")
    try:
        text = Path(settings.text).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"nudge.text: cannot read {settings.text}: {error}") from error
    names = set(_PLACEHOLDER.findall(text))
    if "users" not in names or names - {"users", "contact"}:
        raise ConfigError(
            f"nudge.text: {settings.text} needs {{users}}, where the users stand, and may have {{contact}}; no others"
        )
    return text


def write_text(text: str, nudges: Iterable[Nudge], *, partition: str, contact: str | None) -> str:
    """Return the message about these users, who have one address."""
    users = "\n\n".join(_describe(nudge, partition) for nudge in nudges)
    return text.replace("{contact}", contact or "your cloud security team").replace("{users}", users)


def sign_in_address(account_id: str, partition: str) -> str:
    """Return where users of an account sign in; by its ID, for an alias that was given up may be somebody else's.

    Source: IAM User Guide, 'How IAM users sign in to AWS'. That of aws-eusc is in no guide with an account ID in front:
    its domain is that of the partition's sign-in endpoint in botocore.
    """
    return f"https://{account_id}.{_SIGN_IN_HOSTS[partition]}/console"


def defuse(text: str) -> str:
    """Return foreign text without what a client makes a link, a mention or formatting of."""
    kept = "".join(sign for sign in text if unicodedata.category(sign)[0] not in "CZ" or sign == " ")
    return re.sub(r"([^\w ]|_)", rf"\1{_WORD_JOINER}", kept)


def _describe(nudge: Nudge, partition: str) -> str:
    account = f"{defuse(nudge.alias)} ({nudge.account_id})" if nudge.alias else nudge.account_id
    if nudge.kind == TOLD_ENFORCED:
        when = NOW_ENFORCED
    elif nudge.until is None:
        when = "soon it will be able to do nothing but set up MFA"
    else:
        when = f"from {nudge.until:%d %B %Y, %H:%M} UTC on it can do nothing but set up MFA"
    help_needed = "" if nudge.has_password else "\nIt has no password for the console: ask for help, see below."
    address = sign_in_address(nudge.account_id, partition)
    return f"User {defuse(nudge.user_name)} in the account {account}: {when}.{help_needed}\nSign in at {address}"
