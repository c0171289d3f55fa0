"""What is looked up of each user before a change is planned: credentials that would stop, and the policy simulator.

Each answer that is not a clear one holds the user.
"""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.domain.errors import AwsError, NotFound
from orchestrator.domain.model import Account, Decision, Outcome, Reason
from orchestrator.domain.outcomes import CANNOT_TELL, SIGN_IN
from orchestrator.domain.planning import hold_decision
from orchestrator.pipeline.context import RunContext

KnownCredentials = Mapping[str, tuple[str, ...]] | Reason
"""The services of the active service-specific credentials of an account by user name, or why they are not known."""


def read_credentials(context: RunContext) -> KnownCredentials:
    """Return those of the entered account, in one call or a few."""
    try:
        return context.credentials.list_active(context.now())
    except AwsError as error:
        return _unread(error)


def hold_unless_safe(decision: Decision, account: Account, context: RunContext, *, known: KnownCredentials) -> Decision:
    """Return a planned decision, held where a credential would stop, or where the user could not enrol.

    Raises NotFound where the user is gone.
    """
    decision = _hold_for_credentials(decision, context, known)
    if decision.outcome is not Outcome.PLANNED or not context.config.enforcement.check_enrolment:
        return decision
    try:
        reason = context.simulator.simulate_enrolment(decision.user, account, context.now())
    except NotFound:
        raise
    except AwsError as error:
        reason = Reason(CANNOT_TELL, f"the policy simulator could not be asked ({error.code}: {error})")
    if reason is None:
        return decision
    return replace(decision, note=reason.message) if reason.code == SIGN_IN else hold_decision(decision, reason)


def _hold_for_credentials(decision: Decision, context: RunContext, known: KnownCredentials) -> Decision:
    """Return a planned decision with the user's service credentials, held where there is one or that is not known."""
    if decision.outcome is not Outcome.PLANNED or not context.config.policy.blocks_access_keys:
        return decision
    if isinstance(known, Reason):
        return hold_decision(decision, known)
    name = decision.user.name
    try:
        found = (*known.get(name, ()), *context.credentials.list_ssh_keys(name))
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
