"""Dependencies and settings shared by all steps of one deployment."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.aws.deployment import CallAs, Stacks, StackSets
from orchestrator.aws.partitions import describe_partition
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.parameters import Known, configured_values
from orchestrator.deploy.view import DeploymentView
from orchestrator.domain.config import Config
from orchestrator.domain.model import Caller, Organization
from orchestrator.wiring import Hub


@dataclass(frozen=True, slots=True)
class Place:
    """The account, organization and Region of a deployment."""

    caller: Caller
    organization: Organization
    region: str

    @property
    def call_as(self) -> CallAs:
        """The `CallAs` parameter of StackSets calls made from the caller's account."""
        is_management = self.caller.account_id == self.organization.management_account_id
        return "SELF" if is_management else "DELEGATED_ADMIN"

    def known(self, config: Config) -> Known:
        """Return the parameter values that follow from account, organization, Region and configuration."""
        region, account_id = describe_partition(self.caller.partition).iam_region, self.caller.account_id
        # IAM's events appear in the Region of IAM itself; member_role/events.yaml has the sources.
        at_first = {"CallAs": str(self.call_as), "StackSetRegion": region, "EventsRegion": region}
        # These begin as the configuration has them, so that a deployment widens nothing.
        limit, stop = config.limits.max_changes_per_run, config.enforcement.stop or ""
        at_first |= {} if limit is None else {"MaxChanges": str(limit)}
        at_first |= {"StopParameterName": stop.removeprefix("ssm:")} if stop.startswith("ssm:") else {}
        # Named here: the output of the stack that makes the bus is not known while changes are worked out.
        bus = f"arn:{self.caller.partition}:events:{self.region}:{account_id}:event-bus/orgmfa-iam"
        ours = {"OrganizationId": self.organization.id, "SecurityAccountId": account_id, "IamEventBusArn": bus}
        return Known(ours | configured_values(config), at_first)

    def address(self, bucket: str, key: str) -> str:
        """Return the https address of an object in S3."""
        return f"https://{bucket}.s3.{self.region}.{describe_partition(self.caller.partition).suffix}/{key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployContext:
    """Dependencies of one deployment: `ask` tells whether the user agrees, `token` makes writes safe to repeat."""

    hub: Hub
    stacks: Stacks
    stack_sets: StackSets
    view: DeploymentView
    ask: Callable[[str], bool]
    cancellation: Cancellation
    place: Place
    token: str
