"""The templates deployed by moto's CloudFormation, as far as it goes.

moto passes over the types it does not know; here they are left out by name, so that what was proven is said. Nor does
it know auto-deployment, most settings of a bucket, or the rules of a template: the other files here look at those.
"""

import json
from ast import literal_eval
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.parsing import resource_class_from_type

from orchestrator.domain.policy_document import is_same_policy, render_enforcement_policy
from tests.member_role import rendering as member_role
from tests.stackset import rendering
from tests.stackset.rendering import (
    EVENTS,
    EVERYTHING,
    NAMES,
    REGION,
    REQUIRED,
    SENDING,
    permissions_of,
    resources,
    template,
)

ACCOUNT = "123456789012"
LEFT_OUT = {
    "bootstrap": {"AWS::S3::BucketPolicy"},
    "central": {
        "AWS::CloudWatch::Alarm",
        "AWS::Events::EventBusPolicy",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::Scheduler::Schedule",
        "AWS::Scheduler::ScheduleGroup",
    },
    "events": set(),
    "management": {"AWS::Organizations::Policy"},
    "member": {"AWS::IAM::Group"},
    "stackset": {"AWS::CloudFormation::StackSet"},
}


@pytest.fixture(autouse=True)
def mocked_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS in this process."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield


def read(name: str) -> dict[str, Any]:
    return member_role.template() if name == "member" else template(name)


def known_part(name: str) -> str:
    """Return a template without the resources that moto does not know, and without what refers to them."""
    whole: dict[str, Any] = json.loads(json.dumps(read(name)))
    gone = {key for key, one in whole["Resources"].items() if one["Type"] in LEFT_OUT[name]}
    whole["Resources"] = {key: one for key, one in whole["Resources"].items() if key not in gone}
    whole["Outputs"] = {
        key: one for key, one in whole["Outputs"].items() if not any(f'"{name}"' in json.dumps(one) for name in gone)
    }
    return json.dumps(whole)


def deploy(name: str, **parameters: str) -> dict[str, str]:
    """Deploy what moto knows of a template, and return the outputs of the stack."""
    stacks = boto3.client("cloudformation")
    stacks.create_stack(
        StackName=f"orgmfa-{name}",
        TemplateBody=known_part(name),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    [stack] = stacks.describe_stacks(StackName=f"orgmfa-{name}")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def upload_member_template(bucket: str) -> str:
    """Put the member template into a bucket, and return its address."""
    boto3.client("s3").put_object(Bucket=bucket, Key="artifacts/member-0123.json", Body=known_part("member"))
    return f"https://{bucket}.s3.{REGION}.amazonaws.com/artifacts/member-0123.json"


def inline_policies(iam: Any, role: str) -> list[dict[str, Any]]:
    found = [
        iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    # What stands in the role itself moto keeps as Python writes it, not as JSON.
    return [literal_eval(document) if isinstance(document, str) else document for document in found]


def as_texts(documents: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(document, sort_keys=True) for document in documents)


@pytest.mark.parametrize("name", [*NAMES, "member", EVENTS])
def test_what_is_left_out_is_what_moto_lacks(name: str) -> None:
    types = {one["Type"] for one in read(name)["Resources"].values()}

    assert {one for one in types if resource_class_from_type(one) is None} == LEFT_OUT[name]


def test_the_bucket_is_made_with_its_outputs() -> None:
    outputs = deploy("bootstrap", ArchiveKeepDays="30")

    s3 = boto3.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=outputs["BucketName"])["ServerSideEncryptionConfiguration"]
    assert outputs["ArchiveLocation"] == f"s3://{outputs['BucketName']}/archive"
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_tagging(Bucket=outputs["BucketName"])["TagSet"] == [{"Key": "application", "Value": "orgmfa"}]


def test_the_central_stack_is_made_with_all_its_parts() -> None:
    bucket = deploy("bootstrap")["BucketName"]
    boto3.client("s3").put_object(Bucket=bucket, Key="artifacts/orgmfa-0123.zip", Body=b"")
    given = REQUIRED["central"] | EVERYTHING | {"CodeBucket": bucket, "Mode": "apply"}

    outputs = deploy("central", **given)

    expected = resources("central", AccountId=ACCOUNT, **given)
    iam, functions = boto3.client("iam"), boto3.client("lambda")
    assert outputs["OrchestratorRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/orgmfa-orchestrator"
    assert outputs["OperatorRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/orgmfa-operator"
    assert iam.get_role(RoleName="orgmfa-operator")["Role"]["MaxSessionDuration"] == 3600
    for logical_id in (
        "ScheduleFunction",
        "OnboardingFunction",
        "IamEventsFunction",
        "MapStepsFunction",
        "MapChildFunction",
    ):
        function = functions.get_function_configuration(FunctionName=expected[logical_id]["FunctionName"])
        assert function["Role"] == outputs["OrchestratorRoleArn"]
        assert (function["MemorySize"], function["Timeout"]) == (1769, 120 if "IamEvents" in logical_id else 900)
        assert function["Environment"] == expected[logical_id]["Environment"]
    for name in ("orgmfa-onboarding", "orgmfa-iam-events"):
        [source] = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        assert source["BatchSize"] == 1_000
    rules = boto3.client("events")
    on_bus = {bus: len(rules.list_rules(EventBusName=bus)["Rules"]) for bus in ("default", "orgmfa", "orgmfa-iam")}
    assert on_bus == {"default": 2, "orgmfa": 2, "orgmfa-iam": 1}
    assert outputs["IamEventBusArn"] == f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/orgmfa-iam"
    assert outputs["IamEventsQueueUrl"].endswith("/orgmfa-iam-events")
    logs = boto3.client("logs").describe_log_groups()["logGroups"]
    assert {log["logGroupName"]: log["retentionInDays"] for log in logs} == {
        "/aws/lambda/orgmfa-schedule": 90,
        "/aws/lambda/orgmfa-iam-events": 90,
        "/aws/lambda/orgmfa-onboarding": 90,
        "/aws/lambda/orgmfa-map-steps": 90,
        "/aws/lambda/orgmfa-map-child": 90,
        "/aws/vendedlogs/states/orgmfa-run": 90,
    }


def test_the_state_machine_is_made_as_it_was_tried() -> None:
    bucket = deploy("bootstrap")["BucketName"]
    boto3.client("s3").put_object(Bucket=bucket, Key="artifacts/orgmfa-0123.zip", Body=b"")

    outputs = deploy("central", **REQUIRED["central"] | {"CodeBucket": bucket, "Scale": "distributed"})

    machine = boto3.client("stepfunctions").describe_state_machine(stateMachineArn=outputs["StateMachineArn"])
    assert outputs["StateMachineArn"] == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:orgmfa-run"
    assert json.loads(machine["definition"]) == rendering.definition(AccountId=ACCOUNT)
    [policy] = inline_policies(boto3.client("iam"), machine["roleArn"].rsplit("/", 1)[1])
    [expected] = permissions_of("RunMachineRole", AccountId=ACCOUNT, Scale="distributed", CodeBucket=bucket)
    assert policy == expected


def test_the_operator_of_the_deployed_stack_has_the_policies_that_were_tried() -> None:
    bucket = deploy("bootstrap")["BucketName"]
    boto3.client("s3").put_object(Bucket=bucket, Key="artifacts/orgmfa-0123.zip", Body=b"")
    given = REQUIRED["central"] | {"CodeBucket": bucket, "OperatorPrincipalArns": EVERYTHING["OperatorPrincipalArns"]}

    deploy("central", **given)

    deployed = inline_policies(boto3.client("iam"), "orgmfa-operator")
    assert as_texts(deployed) == as_texts(permissions_of("OperatorRole", AccountId=ACCOUNT, **given))


def test_the_management_account_gets_the_member_roles_from_the_same_template() -> None:
    bucket = deploy("bootstrap")["BucketName"]
    url = upload_member_template(bucket)

    deploy(
        "management",
        MemberRoles="on",
        TemplateUrl=url,
        OrganizationId=member_role.ORGANIZATION,
        SecurityAccountId=member_role.SECURITY,
        AccessKeys="allow",
    )

    iam = boto3.client("iam")
    policy = iam.get_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/EnforceMFA")["Policy"]
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    ours = render_enforcement_policy(partition="aws", access_keys="allow")
    assert is_same_policy(json.dumps(version["Document"]), ours)
    assert {"orgmfa-member", "orgmfa-release"} <= {one["RoleName"] for one in iam.list_roles()["Roles"]}


def test_account_gets_the_rule_that_sends_its_events_under_the_role() -> None:
    deploy(EVENTS, **REQUIRED[EVENTS], IamEventsScope="all")

    [rule] = boto3.client("events").list_rules()["Rules"]
    [target] = boto3.client("events").list_targets_by_rule(Rule="orgmfa-iam-events")["Targets"]
    expected = resources(EVENTS, AccountId=ACCOUNT, IamEventsScope="all")["EventsRule"]["EventPattern"]
    assert (rule["Name"], rule["State"]) == ("orgmfa-iam-events", "ENABLED")
    assert json.loads(rule["EventPattern"]) == expected
    assert target["Arn"] == REQUIRED[EVENTS]["IamEventBusArn"]
    assert target["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/orgmfa-events"


def test_management_account_sends_its_events_by_the_same_template() -> None:
    bucket = deploy("bootstrap")["BucketName"]
    boto3.client("s3").put_object(Bucket=bucket, Key="artifacts/events-0123.json", Body=known_part(EVENTS))
    url = f"https://{bucket}.s3.{REGION}.amazonaws.com/artifacts/events-0123.json"

    deploy("management", **SENDING | {"EventsTemplateUrl": url, "IamEventsScope": "all"})

    [rule] = boto3.client("events").list_rules()["Rules"]
    assert rule["Name"] == "orgmfa-iam-events"
    assert "CreateAccessKey" in rule["EventPattern"]


def test_enforcement_is_switched_on_off_and_on_again_and_the_way_out_stays_all_the_while() -> None:
    """A user is under EnforceMFA all the while. moto lacks the group, and leaves the text of a role as it was.

    That neither group nor release role depends on Enforcement, and what the member role may then do, is proven by the
    tests of member_role/.
    """
    given = member_role.REQUIRED | {"AllowPolicyManagement": "false"}
    iam = boto3.client("iam")
    deploy("member", **given, Enforcement="off")
    arn = f"arn:aws:iam::{ACCOUNT}:policy/EnforceMFA"
    seen: list[tuple[str, str, list[str]]] = []
    for enforcement in ("on", "off", "on"):
        values = given | {"Enforcement": enforcement}
        boto3.client("cloudformation").update_stack(
            StackName="orgmfa-member",
            TemplateBody=known_part("member"),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        )
        [stack] = boto3.client("cloudformation").describe_stacks(StackName="orgmfa-member")["Stacks"]
        assert stack["StackStatus"] == "UPDATE_COMPLETE"
        if not seen:
            iam.create_user(UserName="alice")
            iam.attach_user_policy(UserName="alice", PolicyArn=arn)
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        release = iam.get_role(RoleName="orgmfa-release")["Role"]
        seen.append((policy["PolicyId"], release["RoleId"], as_texts(inline_policies(iam, "orgmfa-release"))))
        assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"][0]["PolicyArn"] == arn

    assert seen[0] == seen[1] == seen[2]


def test_the_stackset_makes_roles_and_policy_in_the_accounts_of_an_ou_and_nowhere_else() -> None:
    """Deploy the StackSet of stackset.yaml by the API calls that it stands for.

    root
    +-- management    not under the OU; in AWS a StackSet would not reach it either
    +-- sandbox       not under the OU
    +-- workloads     the OU
        +-- payments, search
    """
    organizations = boto3.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    ou_id = organizations.create_organizational_unit(ParentId=root, Name="workloads")["OrganizationalUnit"]["Id"]
    ids = {
        name: organizations.create_account(Email=f"{name}@example.com", AccountName=name)["CreateAccountStatus"][
            "AccountId"
        ]
        for name in ("payments", "search", "sandbox")
    }
    for name in ("payments", "search"):
        organizations.move_account(AccountId=ids[name], SourceParentId=root, DestinationParentId=ou_id)
    url = upload_member_template(deploy("bootstrap")["BucketName"])

    roll_out(TargetIds=ou_id, TemplateUrl=url, OrganizationId=member_role.ORGANIZATION, SecurityAccountId=ACCOUNT)

    expected = render_enforcement_policy(partition="aws", access_keys="deny")
    assert {name: enforcement_policy_of(ids[name]) is not None for name in ids} == {
        "payments": True,
        "search": True,
        "sandbox": False,
    }
    assert is_same_policy(json.dumps(enforcement_policy_of(ids["payments"])), expected)
    assert {"orgmfa-member", "orgmfa-release"} <= roles_of(ids["search"])
    assert not roles_of(ids["sandbox"]) & {"orgmfa-member", "orgmfa-release"}


def roll_out(**parameters: str) -> None:
    """Create the StackSet and its instances with the properties of the resource, which bear the API's names."""
    properties = rendering.resources("stackset", **parameters)["MemberStackSet"]
    [instances] = properties.pop("StackInstancesGroup")
    preferences = properties.pop("OperationPreferences")
    stack_sets = boto3.client("cloudformation")
    stack_sets.create_stack_set(**properties)
    stack_sets.create_stack_instances(
        StackSetName=properties["StackSetName"],
        CallAs=properties["CallAs"],
        OperationPreferences=preferences,
        **instances,
    )


def member_iam(account_id: str) -> Any:
    role = f"arn:aws:iam::{account_id}:role/test"
    keys = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "iam",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def roles_of(account_id: str) -> set[str]:
    return {role["RoleName"] for role in member_iam(account_id).list_roles()["Roles"]}


def enforcement_policy_of(account_id: str) -> dict[str, Any] | None:
    iam = member_iam(account_id)
    found = [one for one in iam.list_policies(Scope="Local")["Policies"] if one["PolicyName"] == "EnforceMFA"]
    if not found:
        return None
    version = iam.get_policy_version(PolicyArn=found[0]["Arn"], VersionId=found[0]["DefaultVersionId"])
    document: dict[str, Any] = version["PolicyVersion"]["Document"]
    return document
