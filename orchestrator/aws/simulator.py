"""IAM policy simulator: tells whether a user could still enrol an MFA device, and what denies one without MFA already.

A permissions boundary, a service control policy or another policy can deny what EnforceMFA allows; such a user would be
locked out for good. Source: IAM API Reference, SimulatePrincipalPolicy. Each call names one resource: the decision of
the organization stands at the top level of a result alone, and so needs no guess whose it is. The simulator evaluates
SCPs with the keys it was given and tells nowhere which others they ask for; resource control policies it leaves out.

Guards of others, beside EnforceMFA, are found with a few calls of several services that stand for all. They are tried
on `*`, as those that name no resource are made, and none is bound to a Region: a policy that closes Regions denies them
neither without MFA nor with it. For an SCP the simulator says `implicitDeny`, whatever its statement, so there its own
flag counts. What is unclear is no guard.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.aws.errors import reads_answers
from orchestrator.aws.partitions import describe_partition
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError, Malformed, NotFound
from orchestrator.domain.model import Account, Guard, IamUser, Reason
from orchestrator.domain.outcomes import CANNOT_ENROL, CANNOT_TELL, SIGN_IN
from orchestrator.domain.policy_document import PARTITIONS

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import ContextEntryTypeDef

CHANGE_PASSWORD = "iam:ChangePassword"  # noqa: S105 - the name of an action
ON_USER = ("iam:EnableMFADevice", "iam:ListMFADevices", "iam:GetUser", CHANGE_PASSWORD)
ON_DEVICE = ("iam:CreateVirtualMFADevice",)
ON_CONSOLE = ("signin:Authenticate", "signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token")
SIGN_IN_UNKNOWN = Reason(
    SIGN_IN,
    "The policy simulator could not be asked about signing in to the console (signin:Authenticate and what follows), "
    "which holds nobody: where console authorization is on, see that no policy of others denies it.",
)
NO, YES = frozenset({"explicitDeny", "implicitDeny"}), frozenset({"allowed"})
"""The decisions of the simulator; any other is not known."""
Part = Mapping[str, Any]
"""A decision on an action: the one on the whole, or that on a resource."""
MAKE_KEY, ENROL = "iam:CreateAccessKey", "iam:EnableMFADevice"
PROBES = ("s3:ListAllMyBuckets", "ec2:DescribeRegions", MAKE_KEY, "sts:AssumeRole")
SCP, BOUNDARY = "SCP", "permissions boundary"
_BY_SCP = frozenset({SCP})
_MFA_KEYS = "aws:multifactorauth"
"""Beginning of keys that are either sent or absent in fact."""
_ABSENT = (
    "aws:multifactorauthage",
    "aws:principaltag/",
    "aws:calledvia",
    "aws:sourceidentity",
    "aws:federatedprovider",
)
"""Beginnings of keys that such a session lacks in fact: without MFA, beyond the user's tags, or those of roles."""
_KIND_BY_KEY = {"aws:currenttime": "date", "aws:sourceip": "ip", "aws:vpcsourceip": "ip"}
_KINDS: Mapping[type, str] = {bool: "boolean", int: "numeric", float: "numeric"}


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """The keys that all users have in common: the organization's ID, and `enforcement.context`."""

    organization_id: str
    given: Mapping[str, object] = field(default_factory=dict)

    def entries(
        self, user: IamUser, account: Account, now: datetime, *, mfa: bool | None = False
    ) -> "list[ContextEntryTypeDef]":
        """Return the keys of a user's session; what the operator gives never replaces what is known.

        Without MFA, with MFA of a minute ago, or by a long-term access key (`mfa` is None), which has no such key.
        """
        partition, account_id = user.arn.split(":")[1], user.arn.split(":")[4]
        known: dict[str, object] = {
            "aws:ViaAWSService": False,
            "aws:PrincipalIsAWSService": False,
            "aws:SecureTransport": True,
            "aws:CurrentTime": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "aws:username": user.name,
            "aws:PrincipalArn": user.arn,
            "aws:PrincipalAccount": account_id,
            "aws:PrincipalType": "User",
            "aws:PrincipalOrgID": self.organization_id,
            "aws:ResourceAccount": account_id,
            "aws:ResourceOrgID": self.organization_id,
            **{f"aws:PrincipalTag/{key}": value for key, value in user.tags},
        }
        if mfa is not None:
            known["aws:MultiFactorAuthPresent"] = mfa
        if mfa:
            known["aws:MultiFactorAuthAge"] = 60
        if partition in PARTITIONS:
            known["aws:RequestedRegion"] = describe_partition(partition).iam_region
        if account.org_path is not None:
            known["aws:PrincipalOrgPaths"] = (account.org_path,)
        return [_entry(key, value) for key, value in {**self.given, **known}.items()]


class EnrolmentSimulator:
    """Policy simulator of the entered account."""

    def __init__(self, client: "IAMClient", retrier: Retrier, document: str | None, *, session: ConsoleSession) -> None:
        """Take the shared client, the text of EnforceMFA, and the keys of the session in which users enrol.

        Without a text it is asked whether users could enrol by their own policies alone.
        """
        self._client = client
        self._call = retrier.call
        self._pages = partial(retrier.pages, client.simulate_principal_policy)
        if document is not None:
            self._pages = partial(self._pages, PolicyInputList=[document])
        self._session = session

    @reads_answers
    def simulate_enrolment(self, user: IamUser, account: Account, now: datetime) -> Reason | None:
        """Return why a user could not enrol in the console under EnforceMFA, or why that is not known, or None.

        SIGN_IN_UNKNOWN stands in nobody's way. Takes three calls, or four. Raises AwsError where the simulation fails.
        """
        _, partition, _, _, account_id, _ = user.arn.split(":", 5)
        entries = self._session.entries(user, account, now)
        ask = partial(self._ask, partial(self._pages, PolicySourceArn=user.arn, ContextEntries=entries))
        found = ask(user.arn, ON_USER) | ask(f"arn:{partition}:iam::{account_id}:mfa/*", ON_DEVICE)
        if CHANGE_PASSWORD in found and not self._must_change_password(user.name):
            del found[CHANGE_PASSWORD]
        sign_in, note = _ask_sign_in(partial(ask, f"arn:{partition}:signin:::console/*"))
        found |= sign_in
        denied = next((reason for reason in found.values() if reason.code == CANNOT_ENROL), None)
        if denied or not found:
            return denied or note
        return Reason(CANNOT_TELL, "; ".join(dict.fromkeys(reason.message for reason in found.values())))

    @staticmethod
    def _ask(pages: Callable[..., Iterator[Any]], resource: str, actions: Sequence[str]) -> dict[str, Reason]:
        """Return what stands in the way of these actions on a resource, by action; nothing of those allowed."""
        judged = {action: _judge(action, parts) for action, parts in simulate(pages, resource, actions).items()}
        return {action: finding for action, finding in judged.items() if finding is not None}

    def _must_change_password(self, user_name: str) -> bool:
        try:
            profile = self._call(self._client.get_login_profile, UserName=user_name)["LoginProfile"]
        except NotFound:
            return False
        return profile.get("PasswordResetRequired") is not False


class GuardSimulator:
    """Guards of users of the entered account."""

    def __init__(self, client: "IAMClient", retrier: Retrier, *, session: ConsoleSession) -> None:
        """Take the shared client, and the keys of the sessions of users."""
        self._pages = partial(retrier.pages, client.simulate_principal_policy)
        self._session = session

    @reads_answers
    def find_guard(self, user: IamUser, account: Account, now: datetime) -> Guard | None:
        """Return what denies a user without MFA and lets the same calls through with MFA, or None.

        Takes a call, and a second one where something is denied. Raises AwsError where the simulation fails.
        """
        without = [_who_denies(parts) for parts in self._questions(user, account, now, mfa=False)("*", PROBES)]
        if not any(without) or None in without:
            return None
        answers = self._questions(user, account, now, mfa=True)("*", PROBES)
        denied = [_who_denies(parts) for parts in answers]
        if None in denied:
            return None
        lifted = [before for before, after in zip(without, denied, strict=True) if before and not after]
        if not lifted:
            return None
        is_partial = len(lifted) < len(PROBES)
        is_scp = not is_partial and all(who == _BY_SCP for who in lifted) and all(map(_is_passed_by_scp, answers))
        return Guard(tuple(sorted(set().union(*lifted))), is_partial, is_scp)

    @reads_answers
    def denies_access_keys(self, user: IamUser, account: Account, now: datetime, *, all_calls: bool) -> bool:
        """Return whether SCPs deny a user's access keys to enrol an MFA device, and where asked for all other calls.

        Takes a call on the user, since an SCP may spare a user's own ARN, and for all other calls one on `*`. Raises
        AwsError where the simulation fails.
        """
        ask = self._questions(user, account, now, mfa=None)
        questions = [(user.arn, (ENROL, MAKE_KEY)), ("*", PROBES)] if all_calls else [(user.arn, (ENROL,))]
        return all(_who_denies(parts) == _BY_SCP for question in questions for parts in ask(*question))

    def _questions(
        self, user: IamUser, account: Account, now: datetime, *, mfa: bool | None
    ) -> Callable[[str, Sequence[str]], list[list[Part]]]:
        """Return what asks about calls on a resource in a session of a user, and returns what is decided on each."""
        entries = self._session.entries(user, account, now, mfa=mfa)
        pages = partial(self._pages, PolicySourceArn=user.arn, ContextEntries=entries)
        return lambda resource, actions: list(simulate(pages, resource, actions).values())


def simulate(pages: Callable[..., Iterator[Any]], resource: str, actions: Sequence[str]) -> dict[str, list[Part]]:
    """Return all that is decided on these actions on a resource, by action; `pages` makes the call.

    Raises Malformed where one is not decided on.
    """
    results = [
        each for page in pages(ActionNames=list(actions), ResourceArns=[resource]) for each in page["EvaluationResults"]
    ]
    by_action = {
        action: [
            part
            for result in results
            if result["EvalActionName"].casefold() == action.casefold()
            for part in (result, *result.get("ResourceSpecificResults", ()))
        ]
        for action in actions
    }
    if undecided := [action for action, parts in by_action.items() if not parts]:
        message = f"the simulator did not decide on {undecided[0]}"
        raise Malformed(message, code="MalformedAnswer", operation="SimulatePrincipalPolicy")
    return by_action


def _ask_sign_in(
    ask: Callable[[Sequence[str]], dict[str, Reason]],
) -> tuple[dict[str, Reason], Reason | None]:
    """Return what stands in the way of signing in, and a note where these actions alone cannot be simulated."""
    try:
        return ask(ON_CONSOLE), None
    except AwsError as error:
        if type(error) not in {AwsError, Malformed}:  # it failed otherwise: nothing is known of this user
            raise
        return {}, SIGN_IN_UNKNOWN


def _judge(action: str, parts: Sequence[Part]) -> Reason | None:
    """Return what an answer says against an action, or None where it is allowed.

    Signing in needs no permission where console authorization is off, so there only a deny counts (AWS Sign-In User
    Guide, 'Controlling console access with resource-based policies and resource control policies').
    """
    decisions = {part.get("EvalResourceDecision", part.get("EvalDecision")) for part in parts}
    if is_refused(parts, "OrganizationsDecisionDetail", "AllowedByOrganizations"):
        who = "an organization policy (SCP), as far as its keys are known,"
    elif missing := missing_keys(parts):
        return Reason(CANNOT_TELL, f"a policy asks for {', '.join(missing)}: put the value into enforcement.context")
    elif decisions == YES or (action in ON_CONSOLE and decisions <= YES | {"implicitDeny"}):
        return None
    elif decisions <= NO | YES:
        who = _who_keeps(parts)
    else:
        return Reason(CANNOT_TELL, f"the simulator decided on {action} what this version of orgmfa does not know")
    return Reason(CANNOT_ENROL, f"{who} keeps the user from {action}; under EnforceMFA there would be no way back in")


def _who_keeps(parts: Sequence[Part]) -> str:
    if is_refused(parts, "PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary"):
        return "the user's permissions boundary"
    names = sorted(
        {"EnforceMFA itself" if name.startswith("PolicyInputList") else name for name in policy_names(parts)}
    )
    return f"a policy of the user ({', '.join(names)})" if names else "another policy of the user"


def policy_names(parts: Iterable[Part]) -> set[str]:
    """Return the names of the policies whose statements decided, as the simulator tells them."""
    statements = (statement for part in parts for statement in part.get("MatchedStatements", ()))
    return {name for statement in statements if (name := statement.get("SourcePolicyId"))}


def is_refused(parts: Iterable[Part], detail: str, flag: str) -> bool:
    """Return whether a decision says that a boundary, or the organization, does not allow the action."""
    return any(part.get(detail, {}).get(flag) is False for part in parts)


def _who_denies(parts: Sequence[Part]) -> frozenset[str] | None:
    """Return who denies a call explicitly, nobody among them, or None where the answer is not clear."""
    decisions = {part.get("EvalResourceDecision", part.get("EvalDecision")) for part in parts}
    missing = [key for key in missing_keys(parts) if not key.casefold().startswith(_MFA_KEYS)]
    if missing or not decisions <= NO | YES:
        return None
    if is_refused(parts, "OrganizationsDecisionDetail", "AllowedByOrganizations"):
        return _BY_SCP if decisions & NO else None
    if is_refused(parts, "PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary"):
        return frozenset({BOUNDARY})
    if "explicitDeny" not in decisions:
        return frozenset()
    return frozenset(f"policy {name}" for name in policy_names(parts)) or frozenset({"a policy"})


def _is_passed_by_scp(parts: Sequence[Part]) -> bool:
    """Return whether the simulator says that SCPs let a call through; where it says nothing they may not."""
    flags = [part.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") for part in parts]
    return True in flags and False not in flags


def missing_keys(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys that parts of an answer call missing, without those that such a session lacks in fact."""
    keys = {key for part in parts for key in part.get("MissingContextValues", ())}
    return sorted(key for key in keys if not key.casefold().startswith(_ABSENT))


def _entry(key: str, value: object) -> Any:  # noqa: ANN401 - the stubs want the kind as a literal
    values = value if isinstance(value, tuple) else (value,)
    kind = _KIND_BY_KEY.get(key.casefold()) or _KINDS.get(type(values[0]), "string")
    return {
        "ContextKeyName": key,
        "ContextKeyType": f"{kind}List" if isinstance(value, tuple) else kind,
        "ContextKeyValues": [str(one).lower() if isinstance(one, bool) else str(one) for one in values],
    }
