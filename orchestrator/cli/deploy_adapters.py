"""Builds the AWS adapters of `orgmfa deploy`, in the caller's account and Region."""

from dataclasses import replace

from orchestrator.aws.deployment import ArtifactBucket, Stacks, StackSets
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import as_role
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.context import DeployContext, Place, View
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.wiring import Hub, describe_organization, make_run_id, read_caller


def make_deploy_context(hub: Hub, *, view: View, cancellation: Cancellation) -> DeployContext:
    """Return the context of one deployment. Raises StartError where nothing can be deployed from here."""
    region = hub.clients.hub.region_name
    if not region:
        raise StartError("in which Region? Set --region, AWS_REGION, or the region of the profile (AWS_PROFILE)")
    retrier = Retrier(cancellation)
    organization, caller = describe_organization(hub), read_caller(hub, retrier)
    place, client = Place(caller, organization, region), hub.clients.cloudformation()
    return DeployContext(
        stacks=Stacks(client, retrier),
        stack_sets=StackSets(client, retrier, call_as=place.call_as),
        open_bucket=lambda name: ArtifactBucket(hub.clients.s3, name),
        view=view,
        cancellation=cancellation,
        place=place,
        token=f"orgmfa-{make_run_id(hub.now())}",
    )


def as_operator(hub: Hub, role_arn: str, cancellation: Cancellation) -> Hub:
    """Return a hub with the credentials of the operator's role, which the member roles trust.

    Raises StartError where the caller may not assume that role.
    """
    try:
        clients = as_role(hub.clients, Retrier(cancellation), role_arn=role_arn, session_name=make_run_id(hub.now()))
    except AwsError as error:
        message = (
            f"cannot become {role_arn}, which the member roles trust, to see who is under EnforceMFA: {error} "
            f"({error.code}). Name yourself: orgmfa deploy --parameter OperatorPrincipalArns=ARN"
        )
        raise StartError(message) from error
    return replace(hub, clients=clients)
