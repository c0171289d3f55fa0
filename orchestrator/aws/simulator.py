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

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
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

CHANGE_PASSWORD = "iam:ChangePassword"  # noqa: S105 - the name of an action
MAKE_KEY, ENROL = "iam:CreateAccessKey", "iam:EnableMFADevice"
ON_USER = (ENROL, "iam:ListMFADevices", "iam:GetUser", CHANGE_PASSWORD)
ON_DEVICE = ("iam:CreateVirtualMFADevice",)
ON_CONSOLE = ("signin:Authenticate", "signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token")
PROBES = ("s3:ListAllMyBuckets", "ec2:DescribeRegions", MAKE_KEY, "sts:AssumeRole")
SIGN_IN_UNKNOWN = Reason(
    SIGN_IN,
    "The policy simulator could not be asked about signing in to the console (signin:Authenticate and what follows), "
    "which holds nobody: where console authorization is on, see that no policy of others denies it.",
)

Part = Mapping[str, Any]
"""A decision on an action: the one on the whole, or that on a resource."""
Ask = Callable[[str, Sequence[str]], dict[str, list[Part]]]
"""Asks about actions on a resource, and returns all that is decided on them, by action."""

_NO, _YES = frozenset({"explicitDeny", "implicitDeny"}), frozenset({"allowed"})
"""The decisions of the simulator; any other is not known."""
_BY_SCP = frozenset({"SCP"})
_ORGANIZATION = ("OrganizationsDecisionDetail", "AllowedByOrganizations")
_BOUNDARY = ("PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary")
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
class PolicySimulator:
    """IAM's policy simulator in the entered account, asked about sessions of its users.

    `given` is `enforcement.context`, and `document` the text of EnforceMFA; without a text it is asked whether users
    could enrol by their own policies alone.
    """

    client: "IAMClient"
    retrier: Retrier
    _: KW_ONLY
    organization_id: str
    given: Mapping[str, object]
    document: str | None

    @reads_answers
    def simulate_enrolment(self, user: IamUser, account: Account, now: datetime) -> Reason | None:
        """Return why a user could not enrol in the console under EnforceMFA, or why that is not known, or None.

        SIGN_IN_UNKNOWN stands in nobody's way. Takes three calls, or four. Raises AwsError where the simulation fails.
        """
        _, partition, _, _, account_id, _ = user.arn.split(":", 5)
        ask = self._in_session(user, account, now, mfa=False, texts=() if self.document is None else (self.document,))
        found = _find_obstacles(ask(user.arn, ON_USER) | ask(f"arn:{partition}:iam::{account_id}:mfa/*", ON_DEVICE))
        if CHANGE_PASSWORD in found and not self._must_change_password(user.name):
            del found[CHANGE_PASSWORD]
        note = None
        try:
            found |= _find_obstacles(ask(f"arn:{partition}:signin:::console/*", ON_CONSOLE))
        except AwsError as error:
            if type(error) not in {AwsError, Malformed}:  # it failed otherwise: nothing is known of this user
                raise
            note = SIGN_IN_UNKNOWN  # these actions alone cannot be simulated
        denied = next((reason for reason in found.values() if reason.code == CANNOT_ENROL), None)
        if denied or not found:
            return denied or note
        return Reason(CANNOT_TELL, "; ".join(dict.fromkeys(reason.message for reason in found.values())))

    @reads_answers
    def find_guard(self, user: IamUser, account: Account, now: datetime) -> Guard | None:
        """Return what denies a user without MFA and not with MFA, or None; in a call or two. Raises AwsError."""
        answers = self._in_session(user, account, now, mfa=False)("*", PROBES)
        without = [_who_denies(parts) for parts in answers.values()]
        if not any(without) or None in without:
            return None
        answers = self._in_session(user, account, now, mfa=True)("*", PROBES)
        denied = [_who_denies(parts) for parts in answers.values()]
        if None in denied:
            return None
        lifted = [before for before, after in zip(without, denied, strict=True) if before and not after]
        if not lifted:
            return None
        is_partial = len(lifted) < len(PROBES)
        # Where the simulator does not say that SCPs let a call through, they may not.
        is_passed = all(_flags(parts, _ORGANIZATION) - {None} == {True} for parts in answers.values())
        is_scp = not is_partial and is_passed and all(who == _BY_SCP for who in lifted)
        return Guard(tuple(sorted(set().union(*lifted))), is_partial, is_scp)

    @reads_answers
    def denies_access_keys(self, user: IamUser, account: Account, now: datetime, *, all_calls: bool) -> bool:
        """Return whether SCPs deny a user's access keys to enrol an MFA device, and where asked for all other calls.

        Takes a call on the user, since an SCP may spare a user's own ARN, and for all other calls one on `*`. Raises
        AwsError where the simulation fails.
        """
        ask = self._in_session(user, account, now, mfa=None)
        questions = [(user.arn, (ENROL, MAKE_KEY)), ("*", PROBES)] if all_calls else [(user.arn, (ENROL,))]
        return all(_who_denies(parts) == _BY_SCP for question in questions for parts in ask(*question).values())

    def _in_session(
        self, user: IamUser, account: Account, now: datetime, *, mfa: bool | None, texts: Sequence[str] = ()
    ) -> Ask:
        """Return what asks about calls of a user: without MFA, with MFA of a minute ago, or by an access key (None).

        The texts are those of further policies. What the operator gives in `enforcement.context` never replaces what is
        known; a policy that asks for another key, such as `aws:SourceIp`, can be judged only where it is given there.
        Source: IAM User Guide, 'AWS global condition context keys'.
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
        if mfa is not None:  # a long-term access key has no such key
            known["aws:MultiFactorAuthPresent"] = mfa
        if mfa:
            known["aws:MultiFactorAuthAge"] = 60
        if partition in PARTITIONS:
            known["aws:RequestedRegion"] = describe_partition(partition).iam_region
        if account.org_path is not None:
            known["aws:PrincipalOrgPaths"] = (account.org_path,)
        entries = [_make_entry(key, value) for key, value in {**self.given, **known}.items()]
        policies: dict[str, Any] = {"PolicyInputList": list(texts)} if texts else {}
        return partial(self._ask, PolicySourceArn=user.arn, ContextEntries=entries, **policies)

    def _ask(self, resource: str, actions: Sequence[str], **parameters: object) -> dict[str, list[Part]]:
        """Return all that is decided on these actions on a resource, by action. Raises Malformed where one is not."""
        parameters |= {"ActionNames": list(actions), "ResourceArns": [resource]}
        decided: defaultdict[str, list[Part]] = defaultdict(list)
        for page in self.retrier.pages(self.client.simulate_principal_policy, **parameters):
            for result in page["EvaluationResults"]:
                decided[result["EvalActionName"].casefold()] += (result, *result.get("ResourceSpecificResults", ()))
        if undecided := [action for action in actions if action.casefold() not in decided]:
            message = f"the simulator did not decide on {undecided[0]}"
            raise Malformed(message, code="MalformedAnswer", operation="SimulatePrincipalPolicy")
        return {action: decided[action.casefold()] for action in actions}

    def _must_change_password(self, user_name: str) -> bool:
        try:
            profile = self.retrier.call(self.client.get_login_profile, UserName=user_name)["LoginProfile"]
        except NotFound:
            return False
        return profile.get("PasswordResetRequired") is not False


def _find_obstacles(answers: Mapping[str, Sequence[Part]]) -> dict[str, Reason]:
    """Return what stands in the way of actions, by action; nothing of those allowed."""
    judged = {action: _judge(action, parts) for action, parts in answers.items()}
    return {action: reason for action, reason in judged.items() if reason is not None}


def _judge(action: str, parts: Sequence[Part]) -> Reason | None:
    """Return what an answer says against an action, or None where it is allowed.

    Signing in needs no permission where console authorization is off, so there only a deny counts (AWS Sign-In User
    Guide, 'Controlling console access with resource-based policies and resource control policies').
    """
    decisions = _decisions(parts)
    if False in _flags(parts, _ORGANIZATION):
        who = "an organization policy (SCP), as far as its keys are known,"
    elif missing := _missing_keys(parts):
        return Reason(CANNOT_TELL, f"a policy asks for {', '.join(missing)}: put the value into enforcement.context")
    elif decisions == _YES or (action in ON_CONSOLE and decisions <= _YES | {"implicitDeny"}):
        return None
    elif not decisions <= _NO | _YES:
        return Reason(CANNOT_TELL, f"the simulator decided on {action} what this version of orgmfa does not know")
    elif False in _flags(parts, _BOUNDARY):
        who = "the user's permissions boundary"
    else:
        names = {"EnforceMFA itself" if name.startswith("PolicyInputList") else name for name in _policy_names(parts)}
        who = f"a policy of the user ({', '.join(sorted(names))})" if names else "another policy of the user"
    return Reason(CANNOT_ENROL, f"{who} keeps the user from {action}; under EnforceMFA there would be no way back in")


def _who_denies(parts: Sequence[Part]) -> frozenset[str] | None:
    """Return who denies a call explicitly, nobody among them, or None where the answer is not clear."""
    decisions = _decisions(parts)
    missing = [key for key in _missing_keys(parts) if not key.casefold().startswith(_MFA_KEYS)]
    if missing or not decisions <= _NO | _YES:
        return None
    if False in _flags(parts, _ORGANIZATION):
        return _BY_SCP if decisions & _NO else None
    if False in _flags(parts, _BOUNDARY):
        return frozenset({"permissions boundary"})
    if "explicitDeny" not in decisions:
        return frozenset()
    return frozenset(f"policy {name}" for name in _policy_names(parts)) or frozenset({"a policy"})


def _decisions(parts: Iterable[Part]) -> set[object]:
    return {part.get("EvalResourceDecision", part.get("EvalDecision")) for part in parts}


def _flags(parts: Iterable[Part], where: tuple[str, str]) -> set[object]:
    """Return what is said of whether the organization or a boundary allows a call: True, False, None for nothing."""
    detail, flag = where
    return {part.get(detail, {}).get(flag) for part in parts}


def _policy_names(parts: Iterable[Part]) -> set[str]:
    statements = (statement for part in parts for statement in part.get("MatchedStatements", ()))
    return {name for statement in statements if (name := statement.get("SourcePolicyId"))}


def _missing_keys(parts: Iterable[Part]) -> list[str]:
    """Return the keys that are called missing, without those that such a session lacks in fact."""
    keys = {key for part in parts for key in part.get("MissingContextValues", ())}
    return sorted(key for key in keys if not key.casefold().startswith(_ABSENT))


def _make_entry(key: str, value: object) -> dict[str, object]:
    values = value if isinstance(value, tuple) else (value,)
    kind = _KIND_BY_KEY.get(key.casefold()) or _KINDS.get(type(values[0]), "string")
    return {
        "ContextKeyName": key,
        "ContextKeyType": f"{kind}List" if isinstance(value, tuple) else kind,
        "ContextKeyValues": [str(one).lower() if isinstance(one, bool) else str(one) for one in values],
    }
