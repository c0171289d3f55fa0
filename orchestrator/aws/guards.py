"""Guards of others: asks IAM's policy simulator whether a user is denied without MFA already, beside EnforceMFA.

A few calls of several services stand for all. They are tried on `*`, as those that name no resource are made, and none
is bound to a Region: a policy that closes Regions denies them neither without MFA nor with it. For an SCP the simulator
says `implicitDeny`, whatever its statement, so there its own flag counts. What is unclear is no guard.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.aws.console_session import ConsoleSession, missing_keys
from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.aws.simulator import NO, YES, Part, is_refused, policy_names, simulate
from orchestrator.domain.model import Account, Guard, IamUser

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

MAKE_KEY, ENROL = "iam:CreateAccessKey", "iam:EnableMFADevice"
PROBES = ("s3:ListAllMyBuckets", "ec2:DescribeRegions", MAKE_KEY, "sts:AssumeRole")
SCP, BOUNDARY = "SCP", "permissions boundary"
_BY_SCP = frozenset({SCP})
_MFA_KEYS = "aws:multifactorauth"
"""Beginning of keys that are either sent or absent in fact."""


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
