"""Read-only calls of `orgmfa doctor`: member roles, control policies, schedule, function and stop switch.

Roles and users come from GetAccountAuthorizationDetails, which inspecting an account calls anyway, so that the member
role needs no further permission.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from orchestrator.aws.clients import Clients
from orchestrator.aws.errors import reads_answers, translated
from orchestrator.aws.hub_services import read_secret
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import READ_ACTIONS
from orchestrator.aws.stop_switch import look_at_switch
from orchestrator.domain.deployed import ControlPolicy, Function, Schedule
from orchestrator.domain.member_roles import DeployedRole
from orchestrator.domain.stop_switch import Reading

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

RUN_ACTIONS = (*READ_ACTIONS, "iam:AttachUserPolicy", "iam:AddUserToGroup", "sts:AssumeRole")
"""The IAM and STS actions that a run needs in member accounts."""
PAGE_SIZE = 1000


class MemberChecks:
    """Reads of the doctor in the entered member account, by the shared IAM client."""

    def __init__(self, client: "IAMClient", retrier: Retrier) -> None:
        self._client = client
        self._retrier = retrier

    @reads_answers
    def get_alias(self) -> str | None:
        """Return the alias of the account; the cheapest of the calls that a run makes there."""
        return next(self._retrier.entries(self._client.list_account_aliases, "AccountAliases"), None)

    @reads_answers
    def list_user_names(self) -> list[str]:
        """Return the names of the users of the account."""
        return [user["UserName"] for user in self._details("User", "UserDetailList")]

    @reads_answers
    def get_roles(self, names: Sequence[str]) -> dict[str, DeployedRole]:
        """Return the roles with these names that exist, by name."""
        wanted = (role for role in self._details("Role", "RoleDetailList") if role["RoleName"] in names)
        return {
            role["RoleName"]: DeployedRole(
                name=role["RoleName"],
                trust=role["AssumeRolePolicyDocument"],
                policies={policy["PolicyName"]: policy["PolicyDocument"] for policy in role["RolePolicyList"]},
                attached_policy_arns=tuple(policy["PolicyArn"] for policy in role["AttachedManagedPolicies"]),
                boundary_arn=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            )
            for role in islice(wanted, len(names))
        }

    def _details(self, kind: str, key: str) -> Iterator[Any]:
        details = self._client.get_account_authorization_details
        return self._retrier.entries(details, key, Filter=[kind], MaxItems=PAGE_SIZE)


class HubChecks:
    """Reads of the doctor in the caller's own account and organization."""

    def __init__(self, clients: Clients, retrier: Retrier) -> None:
        self._clients = clients
        self._retrier = retrier

    @reads_answers
    def list_control_policies(self) -> tuple[ControlPolicy, ...]:
        """Return the service control policies of the organization, without AWS managed ones, which deny nothing."""
        client, call = self._clients.organizations, self._retrier.call
        policies = self._retrier.entries(client.list_policies, "Policies", Filter="SERVICE_CONTROL_POLICY")
        return tuple(
            ControlPolicy(one["Id"], one["Name"], call(client.describe_policy, PolicyId=one["Id"])["Policy"]["Content"])
            for one in policies
            if not one["AwsManaged"]
        )

    @reads_answers
    def list_targets(self, policy_id: str) -> dict[str, str]:
        """Return the root, OUs and accounts that a control policy is attached to: the names by ID."""
        method = self._clients.organizations.list_targets_for_policy
        targets = self._retrier.entries(method, "Targets", PolicyId=policy_id)
        return {target["TargetId"]: target["Name"] for target in targets}

    @reads_answers
    def get_schedule(self, group: str, name: str) -> Schedule:
        """Return a schedule. Raises NotFound where the caller's Region has no such group or name."""
        answer = self._retrier.call(self._clients.connect("scheduler").get_schedule, GroupName=group, Name=name)
        return Schedule(
            is_enabled=answer["State"] == "ENABLED",
            expression=answer["ScheduleExpression"],
            time_zone=answer.get("ScheduleExpressionTimezone", "UTC"),
        )

    @reads_answers
    def get_function(self, name: str) -> Function:
        """Return a Lambda function. Raises NotFound where the caller's Region has no such name."""
        answer = self._retrier.call(self._clients.connect("lambda").get_function_configuration, FunctionName=name)
        return Function(
            is_usable="Failed" not in (answer.get("State"), answer.get("LastUpdateStatus")),
            environment=answer.get("Environment", {}).get("Variables", {}),
        )

    @reads_answers
    def get_bus_policy(self, name: str) -> str:
        """Return the policy of an event bus, or an empty text. Raises NotFound where the caller's Region has none."""
        return self._retrier.call(self._clients.events.describe_event_bus, Name=name).get("Policy", "")

    @reads_answers
    def get_alarm_states(self, names: Sequence[str]) -> dict[str, str]:
        """Return the states of the alarms of these names that exist, by name."""
        describe = self._clients.connect("cloudwatch").describe_alarms
        answer = self._retrier.call(describe, AlarmNames=names, AlarmTypes=["MetricAlarm"])
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in answer["MetricAlarms"]}

    def look_at_switch(self, switch: str | None) -> Reading:
        """Return the reading of the stop switch, made as a run makes it."""
        return look_at_switch(switch, lambda: self._clients.ssm, self._retrier)

    def read_secret(self, name: str) -> str:
        """Return the text of a secret. Raises AwsError where it cannot be read."""
        return read_secret(self._clients.secretsmanager, self._retrier, name)

    @reads_answers
    def is_sign_in_authorized(self, organization_id: str) -> bool:
        """Return whether console authorization is on (AWS Sign-In API, GetConsoleAuthorizationConfiguration).

        Asked once, since a network or a partition may have no such endpoint.
        """
        client = self._clients.hub.client("signin", **self._clients.options)
        url = client.meta.endpoint_url
        if "//signin." not in url:  # AWS_ENDPOINT_URL, which botocore's rules pass over for this operation
            client.meta.events.register("before-call", lambda params, **_: params.update(url=url + params["url_path"]))
        with translated():
            answer = client.get_console_authorization_configuration(targetId=organization_id)
        return bool(answer["consoleAuthorizationEnabled"])

    @reads_answers
    def is_ses_in_sandbox(self, region: str) -> bool:
        """Return whether Amazon SES writes to verified addresses alone in a Region. Raises AwsError."""
        return not self._retrier.call(self._clients.sesv2(region).get_account)["ProductionAccessEnabled"]

    def look_at_security_hub(self) -> None:
        """Call Security Hub. Raises NotSubscribed where it is off in the caller's account and Region, else AwsError."""
        self._retrier.call(self._clients.securityhub.describe_hub)
