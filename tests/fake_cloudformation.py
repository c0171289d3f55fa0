"""CloudFormation as a deployment sees it, in the place of moto's in a served AWS.

moto carries out a change set in one step, so nothing is ever under way, and nothing fails; it lists no change of a
parameter, no replacement and no event of a resource; it takes a list that is kept (UsePreviousValue) for a change, and
knows neither Scheduler, nor most of Lambda's types, nor StackSets as a resource. This one works through the real
templates: which resources there are under which parameters, what differs, step by step. Of the resources it makes
buckets alone, in moto. In moto too it looks who is under EnforceMFA, which keeps a stack from being deleted.

Source: AWS CloudFormation API Reference and user guide ('Stack status codes', 'Update stacks using change sets').
"""

from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from cfnlint.decode import decode_str
from moto.backends import get_backend

from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, xml_error
from tests.stackset.rendering import PSEUDO, StackResolver

REGION = "eu-central-1"
STACK = "AWS::CloudFormation::Stack"
STACK_SET = "AWS::CloudFormation::StackSet"
PAGE = 4
# CloudFormation API Reference, CreateChangeSet: TemplateBody.
LONGEST_BODY = 51_200
NO_CHANGE = "The submitted information didn't contain changes. Submit different information to create a change set."


class Refused(Exception):
    """What CloudFormation answers an error to."""

    def __init__(self, message: str, code: str = "ValidationError") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Resource:
    type: str
    properties: dict[str, Any]


@dataclass
class Content:
    """What a template comes to under these parameters."""

    parameters: dict[str, str]
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeStack:
    id: str
    name: str
    status: str
    content: Content
    events: list[dict[str, str]] = field(default_factory=list)
    coming: list[tuple[str, list[dict[str, str]]]] = field(default_factory=list)
    """The statuses that looks at the stack will find, each with the events before it."""


@dataclass
class FakeChangeSet:
    id: str
    stack: FakeStack
    content: Content
    changes: list[dict[str, str]]
    status: str
    reason: str


class FakeCloudFormation:
    """Answers the CloudFormation calls of a served AWS."""

    def __init__(self, aws: AwsServer) -> None:
        self.aws = aws
        self.stacks: dict[str, FakeStack] = {}
        self.gone: dict[str, FakeStack] = {}
        self.change_sets: dict[str, FakeChangeSet] = {}
        self.executed: dict[str, str] = {}
        """The stacks of the change sets that were carried out."""
        self.instances: list[str] = []
        """The accounts that the StackSet of the member roles has reached."""
        self.event_instances: list[str] = []
        """The same of the StackSet of the rules for IAM events."""
        self.operations: dict[str, dict[str, str]] = {}
        self.failing: dict[str, tuple[str, str]] = {}
        """By stack: the resource at which the next change fails, and the reason."""
        self.rolls_back = True
        self.is_instant = False
        """Whether work on a stack is over at the first look."""
        self.holds: set[str] = set()
        """The stacks on which work goes on and on."""
        self.runs_on = False
        """Whether an operation on the StackSet never ends."""
        self._tokens: set[tuple[str, str]] = set()
        self._numbers = count(1)
        aws.faults.append(self)

    def __call__(self, call: Call) -> Answer | None:
        if call.service != "cloudformation":
            return None
        method = getattr(self, f"_{call.action}")
        try:
            result = method(_nested(call.parameters))
        except Refused as error:
            return xml_error(error.code, str(error))
        body = f"<{call.action}Result>{_xml(result)}</{call.action}Result>"
        return Answer(200, f"<{call.action}Response>{body}</{call.action}Response>")

    def actions(self) -> list[str]:
        """Return the calls so far that change something."""
        writing = ("Create", "Delete", "Execute")
        return [
            call.action
            for call in self.aws.calls
            if call.service == "cloudformation" and call.action.startswith(writing)
        ]

    # -- what the API does

    def _DescribeStacks(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the names of the API
        stack = self._find(asked["StackName"])
        while stack.coming and (stack.name not in self.holds or stack.status == "REVIEW_IN_PROGRESS"):
            stack.status, events = stack.coming.pop(0)
            stack.events += events
            if stack.status == "DELETE_COMPLETE":
                self.gone[stack.id] = self.stacks.pop(stack.name)
            if not self.is_instant:
                break
        shown = {
            "StackId": stack.id,
            "StackName": stack.name,
            "StackStatus": stack.status,
            "CreationTime": "2026-01-01T00:00:00Z",
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value} for name, value in stack.content.parameters.items()
            ],
            "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in stack.content.outputs.items()],
        }
        return {"Stacks": [shown]}

    def _CreateChangeSet(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, is_creation = asked["StackName"], asked["ChangeSetType"] == "CREATE"
        stack = self.stacks.get(name)
        if is_creation and stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise Refused(f"Stack [{name}] already exists and cannot be created again with the changeSet")
        if not is_creation and (stack is None or not stack.status.endswith("_COMPLETE")):
            raise Refused(f"Stack [{name}] does not exist or is in a state in which it can not be updated")
        if not is_creation and stack is not None and stack.status == "ROLLBACK_COMPLETE":
            raise Refused(f"Stack:{stack.id} is in ROLLBACK_COMPLETE state and can not be updated.")
        before = Content({}) if is_creation or stack is None else stack.content
        content = self._render(asked, before)
        if stack is None:
            stack = self.stacks[name] = FakeStack(self._arn(f"stack/{name}"), name, "REVIEW_IN_PROGRESS", Content({}))
            stack.events.append(self._event(name, STACK, "REVIEW_IN_PROGRESS", "User Initiated"))
        changes = _differences(before, content)
        status, reason = ("CREATE_COMPLETE", "") if changes else ("FAILED", NO_CHANGE)
        change_set_id = self._arn(f"changeSet/{asked['ChangeSetName']}")
        self.change_sets[change_set_id] = FakeChangeSet(change_set_id, stack, content, changes, status, reason)
        return {"Id": change_set_id, "StackId": stack.id}

    def _DescribeChangeSet(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.change_sets[asked["ChangeSetName"]]
        changes, token = _page(found.changes, asked)
        return {
            "ChangeSetId": found.id,
            "StackId": found.stack.id,
            "Status": found.status,
            "StatusReason": found.reason,
            "Changes": [{"Type": "Resource", "ResourceChange": change} for change in changes],
            "NextToken": token,
        }

    def _DeleteChangeSet(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.change_sets.pop(asked["ChangeSetName"], None)
        return {}

    def _ExecuteChangeSet(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if self._is_repeated(asked["ChangeSetName"], asked):
            return {}
        done = self.change_sets[asked["ChangeSetName"]]
        stack = done.stack
        self.executed[done.id] = stack.name
        self.change_sets = {key: one for key, one in self.change_sets.items() if one.stack is not stack}
        verb = "CREATE" if stack.status == "REVIEW_IN_PROGRESS" else "UPDATE"
        begun = [self._event(stack.name, STACK, f"{verb}_IN_PROGRESS", "User Initiated")]
        if stack.name in self.failing:
            self._fail(stack, done, verb, begun)
            return {}
        steps = [
            self._event(one["LogicalResourceId"], one["ResourceType"], f"{verb}_{state}")
            for one in done.changes
            for state in ("IN_PROGRESS", "COMPLETE")
        ]
        ended = self._event(stack.name, STACK, f"{verb}_COMPLETE")
        stack.coming = [(f"{verb}_IN_PROGRESS", [*begun, *steps]), (f"{verb}_COMPLETE", [ended])]
        stack.content = done.content
        self._make_resources(stack)
        return {}

    def _DeleteStack(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stack = self._find(asked["StackName"])
        if self._is_repeated(stack.id, asked):
            return {}
        if stack.status == "REVIEW_IN_PROGRESS":
            del self.stacks[stack.name]
            return {}
        begun = self._event(stack.name, STACK, "DELETE_IN_PROGRESS", "User Initiated")
        if stack.name in self.failing and stack.content.resources:
            logical_id, reason = self.failing.pop(stack.name)
            kind = stack.content.resources[logical_id].type
            failed = self._event(logical_id, kind, "DELETE_FAILED", reason)
            ended = self._event(stack.name, STACK, "DELETE_FAILED", f"Failed to delete: [{logical_id}]")
            stack.coming = [("DELETE_IN_PROGRESS", [begun, failed]), ("DELETE_FAILED", [ended])]
            return {}
        if any(one.type == STACK_SET for one in stack.content.resources.values()):
            self.instances.clear()
            self.event_instances.clear()
        ended = self._event(stack.name, STACK, "DELETE_COMPLETE")
        stack.coming = [("DELETE_IN_PROGRESS", [begun]), ("DELETE_COMPLETE", [ended])]
        return {}

    def _DescribeStackEvents(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stack = self._find(asked["StackName"])
        events, token = _page(stack.events[::-1], asked)
        shared = {"StackId": stack.id, "StackName": stack.name, "Timestamp": "2026-01-01T00:00:00Z"}
        return {"StackEvents": [{**event, **shared} for event in events], "NextToken": token}

    def _ListStackInstances(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        reached = self._reached_by(asked)
        instances, token = _page([{"Account": one, "Region": "us-east-1"} for one in reached], asked)
        return {"Summaries": instances, "NextToken": token}

    def _DeleteStackInstances(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        reached = self._reached_by(asked)
        assert asked["RetainStacks"] == "false"
        assert asked["DeploymentTargets"]["OrganizationalUnitIds"]
        assert asked["OperationId"] not in self.operations
        # Nothing keeps the stack of a rule from being deleted.
        keeps = self._why_kept if reached is self.instances else lambda _: ""
        results = {account_id: keeps(account_id) for account_id in reached}
        self.operations[asked["OperationId"]] = results
        reached[:] = [account_id for account_id, reason in results.items() if reason]
        return {"OperationId": asked["OperationId"]}

    def _DescribeStackSetOperation(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        results = self.operations[asked["OperationId"]]
        looked_at = results.pop("looked at", None)
        if looked_at is None or self.runs_on:
            self.operations[asked["OperationId"]] = {**results, "looked at": ""}
            return {"StackSetOperation": {"Status": "RUNNING"}}
        return {"StackSetOperation": {"Status": "FAILED" if any(results.values()) else "SUCCEEDED"}}

    def _ListStackSetOperationResults(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        results = [
            {"Account": account_id, "Status": "FAILED" if reason else "SUCCEEDED", "StatusReason": reason}
            for account_id, reason in self.operations[asked["OperationId"]].items()
        ]
        page, token = _page(results, asked)
        return {"Summaries": page, "NextToken": token}

    # -- how it does it

    def _find(self, name: str) -> FakeStack:
        by_id = {stack.id: stack for stack in self.stacks.values()} | self.gone
        stack = self.stacks.get(name) or by_id.get(name)
        if stack is None:
            raise Refused(f"Stack with id {name} does not exist")
        return stack

    def _is_repeated(self, what: str, asked: dict[str, Any]) -> bool:
        """Return whether a call was made before, by its token, and so must do nothing more."""
        token = (what, asked["ClientRequestToken"])
        is_known = token in self._tokens
        self._tokens.add(token)
        return is_known

    def _fail(self, stack: FakeStack, done: FakeChangeSet, verb: str, begun: list[dict[str, str]]) -> None:
        logical_id, reason = self.failing.pop(stack.name)
        steps = [
            self._event(
                one["LogicalResourceId"],
                one["ResourceType"],
                f"{verb}_FAILED",
                reason if one["LogicalResourceId"] == logical_id else f"Resource {verb.lower()} cancelled",
            )
            for one in done.changes
        ]
        way_back = "ROLLBACK" if verb == "CREATE" else "UPDATE_ROLLBACK"
        end = f"{way_back}_{'COMPLETE' if self.rolls_back else 'FAILED'}"
        rolling = self._event(stack.name, STACK, f"{way_back}_IN_PROGRESS", f"Failed to create: [{logical_id}]")
        ended = self._event(stack.name, STACK, end)
        stack.coming = [
            (f"{verb}_IN_PROGRESS", [*begun, *steps]),
            (f"{way_back}_IN_PROGRESS", [rolling]),
            (end, [ended]),
        ]
        if verb == "CREATE":
            stack.content = Content(done.content.parameters)

    def _render(self, asked: dict[str, Any], before: Content) -> Content:
        template = _parse(self._read_template(asked))
        given = _read_parameters(template, asked, before)
        resolver = StackResolver(template, given, PSEUDO | {"AWS::AccountId": MANAGEMENT, "AWS::Region": REGION})
        for name, declared in template["Resources"].items():
            if declared["Type"] == "AWS::S3::Bucket":
                resolver.values[name] = _bucket_name(asked["StackName"])
            elif declared["Type"] == STACK_SET:
                resolver.values[name] = f"{resolver.resolve(declared['Properties']['StackSetName'])}:0123"

        def those_that_hold(section: str) -> dict[str, Any]:
            return {
                name: declared
                for name, declared in template[section].items()
                if "Condition" not in declared or resolver.holds(declared["Condition"])
            }

        return Content(
            given,
            {
                name: Resource(one["Type"], resolver.resolve(one.get("Properties", {})))
                for name, one in those_that_hold("Resources").items()
            },
            {name: str(resolver.resolve(one["Value"])) for name, one in those_that_hold("Outputs").items()},
        )

    def _read_template(self, asked: dict[str, Any]) -> str:
        if "TemplateBody" in asked:
            if len(asked["TemplateBody"].encode()) > LONGEST_BODY:
                raise Refused("templateBody failed to satisfy constraint: at most 51200 bytes")
            return str(asked["TemplateBody"])
        address = urlsplit(asked["TemplateURL"])
        bucket, _, rest = (address.hostname or "").partition(".")
        assert rest == f"s3.{REGION}.amazonaws.com"
        answer = self.aws.client("s3").get_object(Bucket=bucket, Key=address.path.removeprefix("/"))
        text: bytes = answer["Body"].read()
        return text.decode()

    def _make_resources(self, stack: FakeStack) -> None:
        s3 = self.aws.client("s3")
        known = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        types = {resource.type for resource in stack.content.resources.values()}
        bucket = _bucket_name(stack.name)
        if "AWS::S3::Bucket" in types and bucket not in known:
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        if STACK_SET in types:
            organizations: Any = get_backend("organizations")[MANAGEMENT]["aws"]
            self.instances = [one.id for one in organizations.accounts if one.id != MANAGEMENT]
            self.event_instances = [*self.instances] if "EventsStackSet" in stack.content.resources else []

    def _reached_by(self, asked: dict[str, Any]) -> list[str]:
        """Return the accounts that a StackSet has reached, as a list that can be changed."""
        assert asked["CallAs"] == "SELF"
        names = {
            resource.properties["StackSetName"]
            for stack in self.stacks.values()
            for resource in stack.content.resources.values()
            if resource.type == STACK_SET
        }
        if asked["StackSetName"].partition(":")[0] not in names:
            raise Refused(f"StackSet {asked['StackSetName']} not found", "StackSetNotFoundException")
        return self.event_instances if asked["StackSetName"].partition(":")[0].endswith("-events") else self.instances

    def _why_kept(self, account_id: str) -> str:
        """Return why the stack of an account cannot be deleted: IAM deletes no policy that is attached."""
        iam: Any = get_backend("iam")[account_id]["aws"]
        users = [user.name for user in iam.users.values() if any("EnforceMFA" in arn for arn in user.managed_policies)]
        return f"EnforcementPolicy: Cannot delete a policy attached to entities ({len(users)})" if users else ""

    def _event(self, logical_id: str, kind: str, status: str, reason: str = "") -> dict[str, str]:
        event = {
            "EventId": f"event-{next(self._numbers)}",
            "LogicalResourceId": logical_id,
            "ResourceType": kind,
            "ResourceStatus": status,
        }
        return {**event, "ResourceStatusReason": reason} if reason else event

    def _arn(self, what: str) -> str:
        return f"arn:aws:cloudformation:{REGION}:{MANAGEMENT}:{what}/{next(self._numbers):08}"


@cache
def _parse(text: str) -> dict[str, Any]:
    template, problems = decode_str(text)
    assert not problems
    assert isinstance(template, dict)
    return template


def _read_parameters(template: dict[str, Any], asked: dict[str, Any], before: Content) -> dict[str, str]:
    """Return the values that a call gives; refuse what CloudFormation refuses."""
    given: dict[str, str] = {}
    for one in asked.get("Parameters", ()):
        keeps = one.get("UsePreviousValue") == "true"
        given[one["ParameterKey"]] = before.parameters[one["ParameterKey"]] if keeps else one.get("ParameterValue", "")
    for name, declared in template["Parameters"].items():
        if name not in given and "Default" not in declared:
            raise Refused(f"Parameters: [{name}] must have values")
        given.setdefault(name, str(declared.get("Default")))
    if unknown := given.keys() - template["Parameters"].keys():
        raise Refused(f"Parameters: {sorted(unknown)} do not exist in the template")
    has_roles = any(one["Type"] == "AWS::IAM::Role" for one in template["Resources"].values())
    if has_roles and "CAPABILITY_NAMED_IAM" not in asked.get("Capabilities", ()):
        raise Refused("Requires capabilities : [CAPABILITY_NAMED_IAM]", "InsufficientCapabilitiesException")
    return given


def _bucket_name(stack_name: str) -> str:
    return f"{stack_name}-bucket-0123456789ab"


def _differences(before: Content, after: Content) -> list[dict[str, str]]:
    changes = [
        {"Action": "Add", "LogicalResourceId": name, "ResourceType": resource.type}
        for name, resource in after.resources.items()
        if name not in before.resources
    ]
    for name, resource in before.resources.items():
        if name not in after.resources:
            changes.append({"Action": "Remove", "LogicalResourceId": name, "ResourceType": resource.type})
        elif resource.properties != after.resources[name].properties:
            changes.append(
                {
                    "Action": "Modify",
                    "LogicalResourceId": name,
                    "ResourceType": resource.type,
                    "Replacement": "True" if _is_renamed(resource, after.resources[name]) else "False",
                }
            )
    return changes


def _is_renamed(before: Resource, after: Resource) -> bool:
    return any(value != after.properties.get(key) for key, value in before.properties.items() if key.endswith("Name"))


def _page(items: list[Any], asked: dict[str, Any]) -> tuple[list[Any], str | None]:
    start = int(asked.get("NextToken", 0))
    end = start + PAGE
    return items[start:end], str(end) if end < len(items) else None


def _nested(parameters: dict[str, str]) -> dict[str, Any]:
    """Return the parameters of the query protocol (`A.member.1.B=c`) as what they stand for."""
    tree: dict[str, Any] = {}
    for key, value in parameters.items():
        place, *rest = key.split(".")
        node = tree
        for part in rest:
            node = node.setdefault(place, {})
            place = part
        node[place] = value
    return {key: _listed(value) for key, value in tree.items()}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node.keys() == {"member"}:
        return [_listed(node["member"][number]) for number in sorted(node["member"], key=int)]
    return {key: _listed(value) for key, value in node.items()}


def _xml(node: Any) -> str:
    if isinstance(node, dict):
        return "".join(f"<{key}>{_xml(value)}</{key}>" for key, value in node.items() if value is not None)
    if isinstance(node, list):
        return "".join(f"<member>{_xml(one)}</member>" for one in node)
    return escape(str(node))
