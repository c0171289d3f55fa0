"""Builds what a deployment works with, in the caller's account and Region; here alone the adapters are known."""

from dataclasses import dataclass, replace

from orchestrator.aws.artifact_bucket import ArtifactBucket
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import as_role, get_caller
from orchestrator.aws.stack_sets import CallAs, StackSets
from orchestrator.aws.stacks import Stacks
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.parameters import Known
from orchestrator.deploy.ports import Tools, View
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.domain.model import Caller, Organization
from orchestrator.wiring import Hub, describe_organization, make_run_id

_STACK_SET_REGIONS = {"aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
_SUFFIXES = {"aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where is deployed: who calls, in which organization and Region."""

    caller: Caller
    organization: Organization
    region: str

    @property
    def call_as(self) -> CallAs:
        """What the caller's account is to StackSets."""
        is_management = self.caller.account_id == self.organization.management_account_id
        return "SELF" if is_management else "DELEGATED_ADMIN"

    def known(self) -> Known:
        """Return the values of parameters that follow from the place."""
        at_first = {"CallAs": str(self.call_as)}
        if region := _STACK_SET_REGIONS.get(self.caller.partition):
            at_first["StackSetRegion"] = region
        ours = {"OrganizationId": self.organization.id, "SecurityAccountId": self.caller.account_id}
        return Known(ours, at_first)

    def address(self, bucket: str, key: str) -> str:
        """Return the https address of an object."""
        suffix = _SUFFIXES.get(self.caller.partition, "amazonaws.com")
        return f"https://{bucket}.s3.{self.region}.{suffix}/{key}"


def find_place(hub: Hub, cancellation: Cancellation) -> Place:
    """Return where the caller is. Raises StartError or ConfigError where nothing can be deployed from there."""
    region = hub.clients.hub.region_name
    if not region:
        raise StartError("in which Region? Set AWS_REGION, or the region of the profile (AWS_PROFILE)")
    organization = describe_organization(hub)
    try:
        caller = get_caller(hub.clients, Retrier(cancellation))
    except AwsError as error:
        raise StartError(f"cannot start: {error} ({error.code})") from error
    return Place(caller, organization, region)


def make_tools(hub: Hub, place: Place, *, view: View, cancellation: Cancellation) -> Tools:
    """Return the tools of one deployment."""
    retrier = Retrier(cancellation)
    client = hub.clients.cloudformation()
    return Tools(
        stacks=Stacks(client, retrier),
        stack_sets=StackSets(client, retrier, call_as=place.call_as),
        open_bucket=lambda name: ArtifactBucket(hub.clients.s3, name),
        view=view,
        cancellation=cancellation,
        region=place.region,
        token=f"orgmfa-{make_run_id(hub.now())}",
    )


def as_operator(hub: Hub, role_arn: str, cancellation: Cancellation) -> Hub:
    """Return a hub that speaks for the operator's role, which the member roles trust.

    Raises StartError where the caller may not become the operator.
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
