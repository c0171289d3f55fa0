"""Messages to users without MFA: who is due for which, the address of each, and the words. Pure.

A member administrator chooses names, aliases and tags. So a message goes to exactly one address of a listed domain, and
the only foreign text in it are alias and user name, written so that no client makes a link or a mention of them.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from math import ceil

from orchestrator.domain.config import NudgeConfig
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Decision, IamUser, NudgeKind, Outcome

SUBJECT = "Your AWS user needs MFA"
NOT_TOLD = "not_told"
NOTICE_CODES = frozenset({"notice", "new_user"})
"""Codes of the reasons for which a user is in grace before being enforced."""
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?P<domain>[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)")
_MEMBER_ID = re.compile(r"[UW][A-Z0-9]{5,20}")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_SIGN_IN_HOSTS = {
    "aws": "signin.aws.amazon.com",
    "aws-us-gov": "signin.amazonaws-us-gov.com",
    "aws-cn": "signin.amazonaws.cn",
    "aws-eusc": "signin.amazonaws.eu",
}
_WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class Nudge:
    """One user to tell: which account, whose, what for, and until when. `day` is when this notice began."""

    account_id: str
    account_label: str
    user_id: str
    user_name: str
    kind: NudgeKind
    day: str
    covers: tuple[NudgeKind, ...]
    until: datetime | None
    address: str | None

    @property
    def key(self) -> str:
        """The name of its mark: the same for the same message, whichever run sends it."""
        return self.name_of(self.kind)

    def name_of(self, kind: NudgeKind) -> str:
        """Return the name of the mark of a message of this kind."""
        return f"{self.account_id}/{self.user_id}/{self.day}/{kind}"


def find_nudge(
    decision: Decision, *, account_id: str, account_label: str, settings: NudgeConfig, now: datetime
) -> Nudge | None:
    """Return what a user is to be told after this decision, or None."""
    user, reason = decision.user, decision.reason
    until, day = None, now
    kinds: tuple[NudgeKind, ...] = ("enforced",)
    if decision.outcome is not Outcome.ENFORCED:
        if reason is None or reason.code not in NOTICE_CODES | {NOT_TOLD}:
            return None
        until, day = reason.until, reason.since or now
        left = ceil((until - now) / timedelta(days=1)) if until else 0
        due = sorted(days for days in settings.days_left if left <= days)
        kinds = ("first", *(f"left-{days}" for days in due))
    return Nudge(
        account_id=account_id,
        account_label=account_label,
        user_id=user.id,
        user_name=user.name,
        kind=kinds[0],
        day=f"{day:%Y-%m-%d}",
        covers=kinds,
        until=until,
        address=find_address(user, settings),
    )


def find_address(user: IamUser, settings: NudgeConfig) -> str | None:
    """Return the address of a user: that of the tag, else a user name that is one; None where it may not be used.

    A Slack member ID is returned as it is: whether its address is of a listed domain, Slack has to tell.
    """
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
        with open(settings.text, encoding="utf-8") as file:  # noqa: PTH123 - a path is text in the configuration
            text = file.read()
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

    Source: IAM User Guide, 'How IAM users sign in to AWS'.
    """
    return f"https://{account_id}.{_SIGN_IN_HOSTS[partition]}/console"


def defuse(text: str) -> str:
    """Return foreign text without what a client makes a link, a mention or formatting of."""
    kept = "".join(sign for sign in text if unicodedata.category(sign)[0] not in "CZ" or sign == " ")
    return re.sub(r"([^\w ]|_)", rf"\1{_WORD_JOINER}", kept)


def _describe(nudge: Nudge, partition: str) -> str:
    who = f"User {defuse(nudge.user_name)} in the account {defuse(nudge.account_label)} ({nudge.account_id})"
    if nudge.kind == "enforced":
        when = "from now on it can do nothing but set up MFA"
    elif nudge.until is None:
        when = "soon it will be able to do nothing but set up MFA"
    else:
        when = f"from {nudge.until:%d %B %Y, %H:%M} UTC on it can do nothing but set up MFA"
    return f"{who}: {when}.\nSign in at {sign_in_address(nudge.account_id, partition)}"
