"""The configuration as typed models: every key, its default, and its values. Pure: `config_file` reads the file."""

import re
from datetime import date, timedelta
from fnmatch import fnmatchcase
from string import ascii_letters, digits
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    model_validator,
)

from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode
from orchestrator.domain.stop_switch import SWITCH_WORDS

_DURATION = re.compile(r"(?P<count>\d{1,5})(?P<unit>[dhm])")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ROLE_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
_ADMINISTRATORS = frozenset(
    {"organizationaccountaccessrole", "awscontroltowerexecution", "awscloudformationstacksetexecutionrole"}
)
"""Roles of AWS Organizations, Control Tower and StackSets that may do anything, in lower case as IAM compares names."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_FILE = re.compile(r"[\w./~$](.*[^\s/])?")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_NAME_SIGNS = f"{ascii_letters}{digits}+=,.@_-"
_MAX_NAME = 64  # signs and length of the name of an IAM user (IAM User Guide, 'IAM and AWS STS quotas')
_GLOB_PART = re.compile(r"\*|\[!?+\]?+[^\]]*\]|.", re.DOTALL)
"""A part of a glob as fnmatch reads it: a star, a set in brackets, or one sign."""


def parse_duration(text: object) -> timedelta:
    """Return the duration of a text such as `90d`, `12h` or `30m`. Raises ValueError for any other text."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a whole number and d, h or m, such as 90d, 12h or 30m")
    return timedelta(**{_UNITS[match["unit"]]: int(match["count"])})


def parse_role_name(text: str) -> str:
    """Return the name of a role. Raises ValueError for what cannot be one, such as an ARN or a path."""
    if not _ROLE_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a role: write the name alone, without ARN and path")
    return text


def _refuse(kind: type, message: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, kind):
            raise ValueError(message)  # noqa: TRY004 - pydantic reports ValueError alone
        return value

    return BeforeValidator(check)


# YAML reads an unquoted 011111111111 as an octal number, another account.
_NO_NUMBER = _refuse(int, 'an account ID must stand in quotes: "111122223333"')
# pydantic takes true and false for 1 and 0.
_NO_TRUTH = _refuse(bool, "a number is expected, not true or false")


def _only_iso_date(value: object) -> object:
    """Refuse numbers, which pydantic would take for seconds since 1970, and texts that are no date."""
    if value is None or isinstance(value, date) or (isinstance(value, str) and _ISO_DATE.fullmatch(value)):
        return value
    raise ValueError(f"{value!r} is not a date: write YYYY-MM-DD")


def matches(pattern: str, user_name: str) -> bool:
    """Return whether a glob matches a user name, ignoring case: user names in IAM differ in more than case."""
    return fnmatchcase(user_name.casefold(), pattern.casefold())


def check_pattern(pattern: str) -> str:
    """Return a glob on user names. Raises ValueError for one that the name of no IAM user can match."""
    parts = [part for part in _GLOB_PART.findall(pattern) if part != "*"]
    is_name = set(pattern) <= {*_NAME_SIGNS, *"*?[]!"} and len(parts) <= _MAX_NAME
    if is_name and all(any(matches(part, sign) for sign in _NAME_SIGNS) for part in parts):
        return pattern
    raise ValueError(
        f"no IAM user can have such a name: {pattern!a}; write a name, not an ARN or a path: up to {_MAX_NAME} "
        "letters, digits and + = , . @ _ - (in a glob also * ? and [ ] with !)"
    )


def _plan_or_apply(value: object) -> object:
    if value not in (Mode.PLAN, Mode.APPLY):
        hint = "; releasing is the command orgmfa release" if value == Mode.RELEASE else ""
        raise ValueError(f"Input should be 'plan' or 'apply'{hint} (found {value!r})")
    return value


def check_stop(value: str | None) -> str | None:
    """Return the name of a stop switch, a file or SSM parameter. Raises ValueError for what cannot be one."""
    if value is None or value.startswith("ssm:/"):
        return value
    if _SCHEME.match(value) or not value.isprintable() or " #" in value or not _FILE.fullmatch(value):
        raise ValueError(f"{value!r} is no switch: write ssm:/name for a parameter, or a path for a file")
    if value.lower() in SWITCH_WORDS:
        message = f"{value!r} is what a switch holds, and here its name is expected: a path (./{value}), or ssm:/name"
        raise ValueError(message)
    return value


_KNOWN_KEYS = re.compile(
    r"aws:(multifactorauth.*|viaawsservice|principalisawsservice|username|securetransport|currenttime|requestedregion"
    r"|principal(arn|account|type|orgid|tag/.*)|resource(account|orgid))"
)
"""Condition keys that `aws.simulator` fills in by itself, for each user."""


def _only_unknown(context: dict[str, object]) -> dict[str, object]:
    """Refuse keys that the program knows: a value that held for everybody would be wrong for most."""
    if known := [key for key in context if _KNOWN_KEYS.fullmatch(key.casefold())]:
        raise ValueError(f"{known[0]} is known for each user and must not be given: name keys such as aws:SourceIp")
    return context


def check_location(value: str) -> str:
    """Return the location of an archive, a folder or bucket. Raises ValueError for what is neither."""
    is_address = "://" in value or value.lower().startswith("s3:")
    if is_address and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#]*)?", value):
        raise ValueError(f"{value!r} is neither a folder nor s3://bucket/prefix")
    return value


def _check_secret(value: str) -> str:
    """Return the name or ARN of a secret. Raises ValueError for a URL, which would be the secret itself."""
    if "://" in value:
        raise ValueError(
            "the name or ARN of a secret is expected, never the webhook URL itself: put that into the secret"
        )
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
AccountId = Annotated[str, _NO_NUMBER, StringConstraints(pattern=r"^[0-9]{12}$")]
AccountIdOrAll = Annotated[str, _NO_NUMBER, StringConstraints(pattern=r"^([0-9]{12}|\*)$")]
OuId = Annotated[str, StringConstraints(pattern=r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@-]{1,128}$")]
RoleName = Annotated[str, StringConstraints(pattern=f"^{_ROLE_NAME.pattern}$")]
IamPath = Annotated[str, StringConstraints(pattern=r"^/([\x21-\x7e]{0,510}/)?$")]
UserPattern = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(check_pattern)]
ContextKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+:\S{1,240}$")]
_ContextText = Annotated[str, StringConstraints(min_length=1)]
ContextValue = (
    StrictBool | StrictInt | StrictFloat | _ContextText | Annotated[tuple[_ContextText, ...], Field(min_length=1)]
)
MaxChanges = Annotated[StrictInt, Field(ge=0)] | None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrganizationConfig(_Section):
    """Which accounts of the organization a run enters."""

    id: Annotated[str, StringConstraints(pattern=r"^o-[a-z0-9]{10,32}$")] | None = None
    include_ous: tuple[OuId, ...] = ()
    exclude_ous: tuple[OuId, ...] = ()
    exclude_accounts: tuple[AccountId, ...] = ()
    include_management_account: StrictBool = True
    owner_tag: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None


class MemberRoleConfig(_Section):
    """The cross-account roles that the StackSet creates in every account."""

    name: RoleName = "orgmfa-member"
    release_name: RoleName = "orgmfa-release"
    path: IamPath = "/"

    is_borrowed: ClassVar[bool] = False
    """Whether the role is one that others made, named for reading alone: nothing of orgmfa is deployed yet."""


class BorrowedRole(MemberRoleConfig):
    """A role that others made in the member accounts and that trusts the management account, named by `--role`."""

    is_borrowed = True


class EnforcementConfig(_Section):
    """Whom a run enforces, and whether the Lambda writes at all."""

    mode: Annotated[Literal[Mode.PLAN, Mode.APPLY], BeforeValidator(_plan_or_apply)] = Mode.PLAN
    users: Literal["console", "all"] = "console"
    grace_period: Duration = timedelta()
    notice: Duration = timedelta()
    check_enrolment: StrictBool = True
    context: Annotated[dict[ContextKey, ContextValue], AfterValidator(_only_unknown)] = {}
    guarded: Literal["enforce", "accept"] = "enforce"
    unused_after: Duration = timedelta(days=90)
    stop: Annotated[str, StringConstraints(min_length=1), AfterValidator(check_stop)] | None = None

    @property
    def accepts_guards(self) -> bool:
        """Whether a user whom others' guard denies without MFA is left alone."""
        return self.guarded == "accept"

    @model_validator(mode="after")
    def _accepts_what_is_simulated(self) -> Self:
        if self.accepts_guards and not self.check_enrolment:
            raise ValueError("guarded: accept needs check_enrolment: true, since the simulator tells who is guarded")
        return self


class PolicyConfig(_Section):
    """The EnforceMFA policy and group, and who owns them."""

    name: Name = "EnforceMFA"
    group: Name = "EnforceMFA"
    path: IamPath = "/"
    managed_by: Literal["stackset", "orchestrator"] = "stackset"
    access_keys: Literal["deny", "allow"] = "deny"

    @property
    def blocks_access_keys(self) -> bool:
        """Whether long-term access keys stop working once their user is enforced."""
        return self.access_keys == "deny"


class UserEntry(_Section):
    """Users by a glob on their name, in named accounts or, with `*`, in all."""

    user: UserPattern
    accounts: Annotated[tuple[AccountIdOrAll, ...], Field(min_length=1)] = ("*",)

    def is_for(self, account_id: str) -> bool:
        """Return whether the entry counts in an account."""
        return "*" in self.accounts or account_id in self.accounts

    def covers(self, user_name: str, account_id: str) -> bool:
        """Return whether the entry is about this user."""
        return self.is_for(account_id) and matches(self.user, user_name)


class ProtectedUser(UserEntry):
    """Users that are never written to; a text alone is a glob for every account."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return value if isinstance(value, dict | cls) else {"user": value}


class Exemption(UserEntry):
    """Users that are not enforced, for a reason, up to a date: `until` is the last day in UTC on which it counts."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    until: Annotated[date, BeforeValidator(_only_iso_date)] | None = None

    def is_in_force(self, day: date) -> bool:
        """Return whether it counts on a day."""
        return self.until is None or day <= self.until

    @model_validator(mode="after")
    def _wide_needs_end(self) -> Self:
        is_wide = "*" in self.accounts or not {*"*?["}.isdisjoint(self.user)
        if is_wide and self.until is None:
            raise ValueError(
                "an exemption for a pattern or for every account needs an end: "
                "add until: YYYY-MM-DD, or name one user and the account IDs"
            )
        return self


class LimitsConfig(_Section):
    """How much one run may change; None: no limit."""

    max_changes_per_account: MaxChanges = 100
    max_changes_per_run: MaxChanges = 100
    max_share_per_account: Annotated[float, _NO_TRUTH, Field(ge=0, le=1)] = 1.0
    hold_keys_used_within: Duration = timedelta(days=90)

    def replaced(self, **counts: int | Literal["none"] | None) -> Self:
        """Return these limits with those counts replaced that are not None; `none`: no limit."""
        given = {name: None if most == "none" else most for name, most in counts.items() if most is not None}
        return self.model_copy(update=given)


class ConcurrencyConfig(_Section):
    """How many accounts are worked on at once."""

    workers: Annotated[StrictInt, Field(ge=1, le=256)] = 80


class SlackConfig(_Section):
    """Where the digest goes and what it shows."""

    channel: str | None = None
    secret: Annotated[str, AfterValidator(_check_secret)] | None = None
    when: Literal["always", "findings"] = "always"
    mention: Annotated[str, StringConstraints(pattern=r"^(here|channel|[USW][A-Z0-9]{5,20})$")] | None = None
    users: Literal["names", "counts"] = "names"
    attach: StrictBool = False
    enrolments: Literal["digest", "at_once"] = "digest"

    @model_validator(mode="after")
    def _page_has_names(self) -> Self:
        if self.attach and self.users == "counts":
            message = "slack.attach sends the page of the run, which names users: set attach: false, or users: names"
            raise ValueError(message)
        return self


class EventsConfig(_Section):
    """The event bus, in the caller's account and Region, that is told of the end of each run; None: nothing is told."""

    bus: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,256}$")] | None = None


class ArchiveConfig(_Section):
    """Where reports are kept: a folder, or s3://bucket/prefix."""

    location: Annotated[str, StringConstraints(min_length=1), AfterValidator(check_location)] = "./orgmfa-runs"
    keep: Duration | None = timedelta(days=400)
    link: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None


class NudgeConfig(_Section):
    """Messages to users before they are enforced, and when they are."""

    via: Literal["slack", "email"] | None = None
    address_tag: Annotated[str, StringConstraints(min_length=1, max_length=128)] = "email"
    domains: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")], ...] = ()
    sender: Annotated[str, StringConstraints(pattern=r"^[^@\s<>]+@[^@\s<>]+$")] | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$")] | None = None
    text: Annotated[str, StringConstraints(min_length=1)] | None = None
    days_left: tuple[Annotated[StrictInt, Field(ge=1, le=365)], ...] = (7, 1)
    contact: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    required: StrictBool = False
    max_per_run: Annotated[StrictInt, Field(ge=1, le=10_000)] = 200

    @model_validator(mode="after")
    def _can_send(self) -> Self:
        if self.required and self.via is None:
            raise ValueError("nudge.required needs nudge.via: slack or email; without it nobody could ever be enforced")
        if self.via == "email" and (self.sender is None or self.region is None):
            raise ValueError("nudge.via: email needs nudge.sender, an identity of Amazon SES, and nudge.region")
        if self.via == "email" and self.region is not None and self.region.startswith("cn-"):
            raise ValueError("nudge.via: there is no Amazon SES in the China Regions: use slack")
        return self


class SecurityHubConfig(_Section):
    """Whether findings go to Security Hub CSPM too."""

    enabled: StrictBool = False


class Config(_Section):
    """Every setting of the program, with its default."""

    organization: OrganizationConfig = OrganizationConfig()
    member_role: MemberRoleConfig = MemberRoleConfig()
    enforcement: EnforcementConfig = EnforcementConfig()
    policy: PolicyConfig = PolicyConfig()
    exemptions: tuple[Exemption, ...] = ()
    protected_users: tuple[ProtectedUser, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    concurrency: ConcurrencyConfig = ConcurrencyConfig()
    slack: SlackConfig = SlackConfig()
    nudge: NudgeConfig = NudgeConfig()
    events: EventsConfig = EventsConfig()
    archive: ArchiveConfig = ArchiveConfig()
    securityhub: SecurityHubConfig = SecurityHubConfig()

    def reading_through(self, role: str | None) -> Self:
        """Return this configuration with another role to read accounts through; None: as it is."""
        return self if role is None else self.model_copy(update={"member_role": BorrowedRole(name=role)})

    def require_own_roles(self) -> Self:
        """Return this configuration where its roles are orgmfa's own, or raise ConfigError: it would write as them."""
        roles = self.member_role
        for key, name in (("name", roles.name), ("release_name", roles.release_name)):
            if roles.is_borrowed or name.lower() in _ADMINISTRATORS:
                raise ConfigError(
                    f"member_role.{key}: {name} is no role of orgmfa, and nothing is written through it: deploy the "
                    "member roles (docs/deploy.md). Reading through it: orgmfa plan --role NAME"
                )
        return self

    def narrowed(self, mode: Mode | None, max_changes: int | Literal["none"] | None) -> Self:
        """Return this configuration, with mode and limits of a run where those are narrower; never a wider one."""
        changed: dict[str, _Section] = {}
        if mode is Mode.PLAN:
            changed["enforcement"] = self.enforcement.model_copy(update={"mode": mode})
        if isinstance(max_changes, int):
            counts = ((name, getattr(self.limits, name)) for name in ("max_changes_per_account", "max_changes_per_run"))
            lowered = {name: max_changes if count is None else min(count, max_changes) for name, count in counts}
            changed["limits"] = self.limits.model_copy(update=lowered)
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _keeps_first_sights(self) -> Self:
        keep, least = self.archive.keep, max(timedelta(days=1), self.enforcement.notice)
        if keep is not None and keep < least:
            raise ValueError(
                "archive.keep must be at least a day (1d) and not less than enforcement.notice, during which the "
                "archive tells when users were first seen; null keeps for ever"
            )
        return self
