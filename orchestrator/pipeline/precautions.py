"""What is looked at before a change is planned, and while changes are made.

Of each user: credentials that would stop, and the policy simulator. Each answer that is not a clear one holds the user;
one about a guard of others that is not clear is no guard. Of the EnforceMFA policy, while it is put on users: whether
it is still the same, for who may edit it can turn it into a grant.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock

import structlog

from orchestrator.domain.errors import AwsError, NotFound
from orchestrator.domain.model import Account, Decision, Enforcement, IamUser, Outcome, Reason, Verdict
from orchestrator.domain.outcomes import CANNOT_TELL, SIGN_IN
from orchestrator.domain.planning import hold_decision
from orchestrator.pipeline.context import RunContext

WRITES_PER_LOOK = 5
_GUARDED = Reason("guarded", "SCPs deny the user without MFA already (enforcement.guarded: accept)")

log = structlog.get_logger(__name__)

KnownCredentials = Mapping[str, tuple[str, ...]] | Reason
"""The services of the active service-specific credentials of an account by user name, or why they are not known."""


def read_credentials(context: RunContext) -> KnownCredentials:
    """Return those of the entered account, in one call or a few; none where none would stop."""
    try:
        return context.iam.list_service_credentials(context.now()) if context.config.policy.blocks_access_keys else {}
    except AwsError as error:
        return _unread(error)


def look_at(decision: Decision, look: Callable[[Decision], Decision]) -> Decision | None:
    """Return a decision after a look at its user: unknown where the look failed; None: the user is gone."""
    try:
        return look(decision)
    except NotFound:
        return None
    except AwsError as error:
        user, unreadable = replace(decision.user, has_mfa=None), Reason(error.code, str(error))
        return Decision(user, Verdict.UNKNOWN, Outcome.NONE, reason=unreadable)


def simulate_enrolment(user: IamUser, account: Account, context: RunContext) -> Reason | None:
    """Return what keeps a user from enrolling, or that it is not known. Raises NotFound where the user is gone."""
    try:
        return context.simulator.simulate_enrolment(user, account, context.now())
    except NotFound:
        raise
    except AwsError as error:
        return Reason(CANNOT_TELL, f"the policy simulator could not be asked ({error.code}: {error})")


def hold_unless_safe(decision: Decision, account: Account, context: RunContext, *, known: KnownCredentials) -> Decision:
    """Return a planned decision, held where a credential would stop, or where the user could not enrol.

    Of others the guard is looked up: an accepted one leaves the user alone. Raises NotFound where the user is gone.
    """
    decision = _hold_for_credentials(decision, context, known)
    if not decision.is_planned or not context.config.enforcement.check_enrolment:
        return decision
    reason = simulate_enrolment(decision.user, account, context)
    if reason is not None and reason.code != SIGN_IN:
        return hold_decision(decision, reason)
    decision = _leave_to_guard(decision, account, context)
    return replace(decision, note=reason.message) if reason else decision


def _leave_to_guard(decision: Decision, account: Account, context: RunContext) -> Decision:
    """Return a planned decision with the guard of its user, left alone where the configuration accepts that guard."""
    user, is_left = replace(decision.user, guard=None), False
    try:
        guard = context.simulator.find_guard(user, account, context.now())
        user = replace(user, guard=guard)
        # SCPs alone count that do what EnforceMFA would: whoever administers the account cannot have written them.
        if context.config.enforcement.accepts_guards and guard is not None and guard.is_scp:
            keys = context.config.policy.blocks_access_keys
            is_left = context.simulator.denies_access_keys(user, account, context.now(), all_calls=keys)
    except NotFound:
        raise
    except AwsError as error:
        log.warning("guard_unknown", user_name=user.name, code=error.code, message=str(error))
    if is_left:
        return Decision(user, decision.verdict, Outcome.GUARDED, reason=_GUARDED)
    return replace(decision, user=user)


def _hold_for_credentials(decision: Decision, context: RunContext, known: KnownCredentials) -> Decision:
    """Return a planned decision with the user's service credentials, held where there is one or that is not known."""
    if not decision.is_planned or not context.config.policy.blocks_access_keys:
        return decision
    if isinstance(known, Reason):
        return hold_decision(decision, known)
    name = decision.user.name
    try:
        found = (*known.get(name, ()), *context.iam.list_ssh_keys(name))
    except NotFound:
        raise
    except AwsError as error:
        return hold_decision(decision, _unread(error))
    if not found:
        return decision
    held = replace(decision, user=replace(decision.user, service_credentials=found))
    text = (
        f"active credentials of {', '.join(sorted(set(found)))} would stop working: move what uses them to a role, "
        "deactivate them, exempt the user, or set policy.access_keys: allow"
    )
    return hold_decision(held, Reason("active_credential", text))


def _unread(error: AwsError) -> Reason:
    text = f"whether a service-specific credential or SSH key would stop working is not known ({error.code}: {error})"
    return Reason("active_credential", text)


class PolicyWatch:
    """Looks at policy and group again before every five writes of all threads, and after the last one."""

    def __init__(self, look: Callable[[], Enforcement], first: Enforcement, done: list[Decision]) -> None:
        """Take the look that the first five writes go by, and the list to which decisions are added once written."""
        self._look = look
        self._first = first
        self._done = done
        self._good = len(done)
        """How many decisions had been added when the last look began that found nothing changed."""
        self._writes = 0
        self._change: Reason | None = None
        self._lock = Lock()

    def forbid(self) -> Reason | None:
        """Return why nothing more may be written, or None for one write. Raises AwsError where a look fails."""
        with self._lock:
            if self._writes and self._writes % WRITES_PER_LOOK == 0:
                self._compare()
            self._writes += 1
            return self._change

    def settle(self) -> None:
        """Add those enforced after the last good look once more, as failed, unless one more look finds no change."""
        if not self._writes:
            return
        try:
            self._compare()
            why = self._change
        except AwsError as error:
            why = Reason(error.code, f"whether the policy was changed meanwhile could not be read: {error}")
        if why is not None:
            enforced = [one for one in self._done[self._good :] if one.outcome is Outcome.ENFORCED]
            self._done.extend(replace(one, outcome=Outcome.FAILED, via=None, reason=why) for one in enforced)

    def _compare(self) -> None:
        good = len(self._done)
        if self._change is None and self._look() != self._first:
            text = f"{self._first.policy_arn} or its group was changed while this run put it on users"
            self._change = Reason("policy_drifted", f"{text}: whoever has it may be granted what it says now")
            log.error("policy_changed", policy_arn=self._first.policy_arn)
        elif self._change is None:
            self._good = good
