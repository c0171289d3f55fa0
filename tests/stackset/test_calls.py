"""What the program calls in the security account, compared with what its roles may: nothing missing, nothing unused.

The program runs with the variables that central.yaml sets, against a served AWS; each call made with the role's own
credentials is asked of the role's policies. Not seen here: what Lambda does with the role (logs, queue), and keys.
"""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import Clients, make_clients
from orchestrator.aws.file_store import make_store
from orchestrator.cli.doctor_command import run_doctor
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config_file import load_config
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.run import lambda_handler
from orchestrator.lambdas.step import lambda_handler as step
from orchestrator.pipeline.lease import ACKNOWLEDGED, LEASE_FILE, Lease, make_content
from orchestrator.reports.archive import EVENT_RUNS, LEDGER
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.wiring import Hub, build_context, make_hub, make_run_id, run_once, utc_now
from tests.aws_server import MANAGEMENT, Answer, AwsServer
from tests.builders import make_request
from tests.fake_slack import FakeSlack
from tests.iam_evaluator import Decision, Request, decide
from tests.iam_event_samples import iam_event, queue_batch
from tests.onboarding_events import batch, stack_set_event
from tests.organization import SampleOrganization
from tests.stackset.permission_samples import actions
from tests.stackset.rendering import permissions_of, resources

pytestmark = pytest.mark.thorough

REGION, BUCKET = "us-east-1", "orgmfa-bucket"
# What Lambda does with the role of a function.
BY_LAMBDA = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
}
# `aws ssm put-parameter`, docs/deploy.md.
BY_HAND = {"ssm:PutParameter"}
# A digest that says what is new since the last run reads that run.
LAST_RUN = {("s3:GetObject", f"arn:aws:s3:::{BUCKET}/archive/runs/*")}
OLD_RELEASE = b'{"run_id": "old", "until": "2020-01-01T00:00:00Z", "users": []}'
NO_PERMISSION_NEEDED = {"sts:GetCallerIdentity"}
CONTROL_POLICY = "{organizations}:policy/{organization}/service_control_policy/{PolicyId}"
# What a call is about, by its parameters.
RESOURCE_BY_ACTION = {
    "cloudwatch:DescribeAlarms": "arn:aws:cloudwatch:{here}:alarm:{AlarmNames[0]}",
    "events:DescribeEventBus": "arn:aws:events:{here}:event-bus/{Name}",
    "events:PutEvents": "arn:aws:events:{here}:event-bus/{Entries[0][EventBusName]}",
    "lambda:GetFunctionConfiguration": "arn:aws:lambda:{here}:function:{FunctionName}",
    "organizations:DescribeAccount": "{organizations}:account/{organization}/{AccountId}",
    "organizations:DescribeOrganizationalUnit": "{organizations}:ou/{organization}/{OrganizationalUnitId}",
    "organizations:DescribePolicy": CONTROL_POLICY,
    "organizations:ListAccountsForParent": "{organizations}:{kind}/{organization}/{ParentId}",
    "organizations:ListOrganizationalUnitsForParent": "{organizations}:{kind}/{organization}/{ParentId}",
    "organizations:ListParents": "{organizations}:{child}/{organization}/{ChildId}",
    "organizations:ListTagsForResource": "{organizations}:account/{organization}/{ResourceId}",
    "organizations:ListTargetsForPolicy": CONTROL_POLICY,
    "s3:ListBucket": "arn:aws:s3:::{Bucket}",
    "scheduler:GetSchedule": "arn:aws:scheduler:{here}:schedule/{GroupName}/{Name}",
    "secretsmanager:GetSecretValue": "{SecretId}",
    "ses:SendEmail": "arn:aws:ses:{here}:identity/{FromEmailAddress}",
    "securityhub:DescribeHub": "arn:aws:securityhub:{here}:hub/default",
    "securityhub:BatchImportFindings": "{Findings[0][ProductArn]}",
    "sqs:ChangeMessageVisibility": "arn:aws:sqs:{here}:orgmfa-iam-events",
    "ssm:GetParameter": "arn:aws:ssm:{here}:parameter{Name}",
    "sts:AssumeRole": "{RoleArn}",
}
ACTION_BY_OPERATION = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "sesv2:GetAccount": "ses:GetAccount",
    "sesv2:SendEmail": "ses:SendEmail",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
SENDER = "security@acme.com"
NUDGE = {
    "ORGMFA_NUDGE_VIA": "email",
    "ORGMFA_NUDGE_DOMAINS": "[acme.com]",
    "ORGMFA_NUDGE_SENDER": SENDER,
    "ORGMFA_NUDGE_REGION": REGION,
}


@dataclass
class Recorder:
    """Writes down the calls that are made with the credentials of the security account."""

    organization_id: str
    requests: list[Request] = field(default_factory=list)

    def prepare(self, clients: Clients) -> None:
        """Listen to the clients of the hub; those of the member accounts have a session of their own."""
        clients.hub.events.register("provide-client-params.*", self._note)

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        called = f"{model.service_model.service_name}:{model.name}"
        if called not in NO_PERMISSION_NEEDED:
            action = ACTION_BY_OPERATION.get(called, called)
            self.requests.append(Request(action, self._resource(action, params), self._context(action, params)))

    def _resource(self, action: str, params: dict[str, Any]) -> str:
        shape = RESOURCE_BY_ACTION.get(action, "arn:aws:s3:::{Bucket}/{Key}" if action.startswith("s3:") else "*")
        child = "ou" if params.get("ChildId", "").startswith("ou-") else "account"
        kind = "root" if params.get("ParentId", "").startswith("r-") else "ou"
        places = {"here": f"{REGION}:{MANAGEMENT}", "organizations": f"arn:aws:organizations::{MANAGEMENT}"}
        return shape.format(**params, **places, organization=self.organization_id, kind=kind, child=child)

    def _context(self, action: str, params: dict[str, Any]) -> dict[str, str]:
        match action:
            case "s3:ListBucket":
                return {"s3:prefix": params.get("Prefix", "")}
            case "events:PutEvents":
                (entry,) = params["Entries"]
                return {"events:source": entry["Source"], "events:detail-type": entry["DetailType"]}
            case "sts:AssumeRole":
                return {"aws:ResourceOrgID": self.organization_id}
            case _:
                return {}


@dataclass
class Deployment:
    """The stack as it stands: its parameters, the organization, and who records."""

    organization: SampleOrganization
    parameters: dict[str, str]
    payments: str
    recorder: Recorder

    def hub(self, name: str = "ScheduleFunction", **variables: str) -> Hub:
        """Return a hub with the settings of a deployed function, and these beside them."""
        function = resources("central", Region=REGION, AccountId=MANAGEMENT, **self.parameters)[name]
        # moto has no SimulatePrincipalPolicy, which is a call in the member account.
        simulates = {"ORGMFA_ENFORCEMENT_CHECK_ENROLMENT": "false", "ORGMFA_ORGANIZATION_OWNER_TAG": "team"}
        settings = {key: str(value) for key, value in function["Environment"]["Variables"].items()}
        environment = settings | simulates | NUDGE | variables
        return make_hub(load_config(None, environment), environment, prepare=self.recorder.prepare)

    @property
    def root_id(self) -> str:
        """The ID of the organization's root."""
        return str(self.organization.root_id)

    def put(self, name: str, content: bytes) -> None:
        """Put a file into the archive."""
        self.organization.aws.client("s3").put_object(Bucket=BUCKET, Key=f"archive/{name}", Body=content)

    def age_archive(self) -> None:
        """Have all files of the archive be older than runs are kept."""
        backend: Any = get_backend("s3")[MANAGEMENT]["aws"]
        for key in backend.buckets[BUCKET].keys.values():
            key.last_modified = datetime(2020, 1, 1, tzinfo=UTC)

    def documents(self, role: str) -> list[dict[str, Any]]:
        return permissions_of(role, Region=REGION, AccountId=MANAGEMENT, **self.parameters)

    def refused(self, role: str) -> set[tuple[str, str]]:
        """Return the calls that the role's policies do not allow."""
        documents = self.documents(role)
        return {
            (request.action, request.resource)
            for request in self.recorder.requests
            if decide(request, documents) is not Decision.ALLOW
        }

    def unused(self, role: str) -> set[tuple[str, str]]:
        """Return the actions that the role may call on a resource, where nobody did; those of others left out."""
        return {
            (one["Action"], one["Resource"])
            for one in cut_up(self.documents(role))
            if one["Action"] not in BY_LAMBDA | BY_HAND
            and not any(
                decide(request, [{"Version": "2012-10-17", "Statement": [one]}]) is Decision.ALLOW
                for request in self.recorder.requests
            )
        }


def cut_up(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the statements of the documents as statements of one action on one resource each."""
    for document in documents:
        for statement in document["Statement"]:
            listed = statement["Resource"]
            for resource in listed if isinstance(listed, list) else [listed]:
                for action in actions({"Statement": [statement]}):
                    yield statement | {"Action": action, "Resource": resource}


class Context:
    """The Lambda context of an invocation."""

    invoked_function_arn = f"arn:aws:lambda:{REGION}:{MANAGEMENT}:function:orgmfa-schedule"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


class Quiet:
    """Observes nothing."""

    def phase(self, name: str, total: int | None) -> None: ...
    def found(self, name: str, count: int) -> None: ...
    def done(self, name: str, *, changes: int, failed: bool) -> None: ...


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def deployment(aws: AwsServer, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """The stack in an organization of two accounts, one of them in an OU.

    root
    +-- management         nobody
    +-- workloads
        +-- payments       alice and bob, who have no MFA
    """
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    organization = SampleOrganization(aws)
    payments = organization.add_account("payments", ou_id=organization.add_ou("workloads"))
    organization.add_user(payments, "alice")
    organization.add_user(payments, "bob")
    tag: Any = {"Key": "email", "Value": "alice@acme.com"}
    aws.client("iam", payments).tag_user(UserName="alice", Tags=[tag])
    make_clients(connections=1).sesv2(REGION).create_email_identity(EmailIdentity=SENDER)
    aws.client("s3").create_bucket(Bucket=BUCKET)
    secret = aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=slack.webhook_url)
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value="go", Type="String")
    parameters = {
        "OrganizationId": organization.id,
        "CodeBucket": BUCKET,
        "SlackSecretArn": secret["ARN"],
        "NudgeIdentityArn": f"arn:aws:ses:{REGION}:{MANAGEMENT}:identity/{SENDER}",
        "OperatorPrincipalArns": f"arn:aws:iam::{MANAGEMENT}:role/security-team",
        "IamEvents": "on",
        "Onboarding": "on",
        "Mode": "apply",
        "SecurityHub": "on",
        "EventBusName": "default",
        "Scale": "distributed",
    }
    invocation._warm.clear()
    yield Deployment(organization, parameters, payments, Recorder(organization.id))
    invocation._warm.clear()


def run(hub: Hub, mode: Mode, *, targets: tuple[str, ...] = (), ou_ids: tuple[str, ...] = ()) -> None:
    request = RunRequest(
        run_id=make_run_id(hub.now()),
        mode=mode,
        trigger=Trigger.CLI,
        started_at=hub.now(),
        targets=targets,
        ou_ids=ou_ids,
    )
    run_once(build_context(hub, request, cancellation=Cancellation(), observer=Quiet(), send_digest=True))


def run_in_steps(deployment: Deployment) -> None:
    """Do what the state machine does, with the settings of its functions."""
    invocation._warm["hub"] = deployment.hub("MapStepsFunction")

    def items(selected: dict[str, Any]) -> list[dict[str, Any]]:
        s3 = deployment.organization.aws.client("s3")
        content = s3.get_object(Bucket=selected["bucket"], Key=selected["batches"])["Body"].read()
        return [dict(item) for item in json.loads(content)]

    started = {"execution": "daily", "started": "2026-03-04T12:00:00Z", "input": {}}
    selected = step({"step": "select"} | started, Context())
    for item in items(selected):
        step({"step": "plan"} | item, Context())
    gated = step({"step": "gate", "run_id": selected["run_id"], "input": {}}, Context())
    for item in items(gated):
        step({"step": "apply"} | item, Context())
    step({"step": "merge", "run_id": selected["run_id"], "input": {}}, Context())


def react_to_events(deployment: Deployment, user: str) -> None:
    """Have a batch of IAM events wait for another run, then be worked on."""
    deployment.organization.aws.client("sqs").create_queue(QueueName="orgmfa-iam-events")
    event = queue_batch(iam_event(deployment.payments, "CreateLoginProfile", user=user))
    deployment.put(LEASE_FILE, make_content("another", is_release=False))
    assert lambda_handler(event, Context())["batchItemFailures"]
    deployment.put(LEASE_FILE, make_content("another", is_release=False, is_given_back=True))
    assert not lambda_handler(event, Context())["batchItemFailures"]


def scheduled(minutes_ago: int) -> dict[str, str]:
    moment = utc_now() - timedelta(minutes=minutes_ago)
    return {"trigger": "schedule", "scheduled_time": f"{moment:%Y-%m-%dT%H:%M:00Z}"}


def old_event_run() -> str:
    """Return the name of the report of an event run that is a day older than runs are kept by default."""
    return f"{EVENT_RUNS}{utc_now() - timedelta(days=401):%Y/%m/%d}/old.json.gz"


def take_the_lease(hub: Hub) -> None:
    store = make_store(hub.config.archive.location, lambda: hub.clients.s3)
    request = make_request(run_id="20260302T120000Z-0a1b2c3d", mode=Mode.APPLY)
    store.write(ACKNOWLEDGED, b"release-1")
    lease = Lease(store, request, Cancellation(), read_releases=dict)
    assert lease.acquire(0) is None
    store.read(ACKNOWLEDGED)
    lease.close()


def mark_nudges(hub: Hub) -> None:
    """Write a mark, and meet it as another run would, which reads it."""
    for run_id in ("run-1", "run-2"):
        hub.archive.mark_nudge("1/2/3/first", run_id)


def test_the_functions_may_call_what_they_call_and_nothing_else(deployment: Deployment, slack: FakeSlack) -> None:
    deployment.put("releases/old.json", OLD_RELEASE)
    deployment.put(old_event_run(), b"")
    invocation._warm["hub"] = hub = deployment.hub(ORGMFA_ORGANIZATION_INCLUDE_OUS=f"[{deployment.root_id}]")
    take_the_lease(hub)
    mark_nudges(hub)
    with redirect_stdout(io.StringIO()):
        for event in [scheduled(1)] * 2:
            lambda_handler(event, Context())
        lambda_handler({"accounts": [deployment.payments], "mode": "plan"}, Context())
        lambda_handler(batch(stack_set_event(deployment.payments, number="1")), Context())
        lambda_handler(batch(stack_set_event(deployment.payments, number="2")), Context())
        deployment.organization.add_user(deployment.payments, "erin")
        deployment.age_archive()
        react_to_events(deployment, "erin")
        invocation._warm["hub"] = deployment.hub()
        deployment.age_archive()
        lambda_handler(scheduled(0), Context())
        deployment.organization.add_user(deployment.payments, "carol")
        run_in_steps(deployment)

    assert deployment.organization.attached(deployment.payments, "carol") == ["EnforceMFA"]
    assert deployment.organization.attached(deployment.payments, "erin") == ["EnforceMFA"]
    assert deployment.organization.attached(deployment.payments, "alice") == ["EnforceMFA"]
    assert slack.messages
    assert deployment.refused("OrchestratorRole") == set()
    assert deployment.unused("OrchestratorRole") <= LAST_RUN


def test_the_operator_may_call_what_the_command_line_calls_and_nothing_else(
    deployment: Deployment, slack: FakeSlack
) -> None:
    organizations = deployment.organization.organizations
    organizations.enable_policy_type(RootId=deployment.root_id, PolicyType="SERVICE_CONTROL_POLICY")
    organizations.create_policy(
        Name="no-iam",
        Description="denies what a run calls",
        Type="SERVICE_CONTROL_POLICY",
        Content='{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}}',
    )
    deployment.put("releases/old.json", OLD_RELEASE)
    deployment.put("events/schedule-2026-03-01T12_00_00Z", b"")
    deployment.put(LEDGER, EventLedger().model_dump_json().encode())
    deployment.put("work/20260301T120000Z-0a1b2c3d/outline.json", b"{}")
    hub = deployment.hub()
    take_the_lease(hub)
    mark_nudges(hub)
    run(hub, Mode.APPLY)
    run(hub, Mode.RELEASE)
    run(hub, Mode.PLAN, targets=(deployment.payments,), ou_ids=(deployment.root_id,))
    function = {"FunctionName": "orgmfa-schedule", "Environment": {"Variables": {"ORGMFA_IAM_EVENTS": "on"}}}
    answer = Answer(200, json.dumps(function), "application/json")
    deployment.organization.aws.faults.append(lambda call: answer if call.service == "lambda" else None)
    deployment.organization.aws.client("events").create_event_bus(Name="orgmfa-iam")
    run_doctor(hub, config_source="a test", cancellation=Cancellation(), observer=Quiet())
    hub.archive.load()
    deployment.age_archive()
    run(hub, Mode.PLAN)

    assert deployment.organization.attached(deployment.payments, "alice") == []
    assert slack.messages
    assert deployment.refused("OperatorRole") == set()
    assert deployment.unused("OperatorRole") == set()
