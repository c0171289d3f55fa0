"""IAM policy simulator: tells whether a user could still enrol an MFA device under EnforceMFA, or without it.

A permissions boundary, a service control policy or another policy can deny what EnforceMFA allows; such a user would be
locked out for good. Source: IAM API Reference, SimulatePrincipalPolicy. Each call names one resource: the decision of
the organization stands at the top level of a result alone, and so needs no guess whose it is. The simulator evaluates
SCPs with the keys it was given and tells nowhere which others they ask for; resource control policies it leaves out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.aws.console_session import ConsoleSession, missing_keys
from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError, Malformed, NotFound
from orchestrator.domain.model import Account, IamUser, Reason
from orchestrator.domain.outcomes import CANNOT_ENROL, CANNOT_TELL, SIGN_IN

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

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
        who = _who_denies(parts)
    else:
        return Reason(CANNOT_TELL, f"the simulator decided on {action} what this version of orgmfa does not know")
    return Reason(CANNOT_ENROL, f"{who} keeps the user from {action}; under EnforceMFA there would be no way back in")


def _who_denies(parts: Sequence[Part]) -> str:
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
