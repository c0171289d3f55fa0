"""CloudFormation stacks and the artifacts of a deployment, against moto over HTTP; StackSets against a fake of it.

moto carries out a change set in one step and gives no outputs of it, so what takes time or fails is in test_deploy.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.aws.deployment import ArtifactBucket, Stacks, StackSets
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import as_role, get_caller
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.cloudformation import ChangeSet, StackEvent, Standing
from orchestrator.domain.errors import AccessDenied, AwsError, Malformed
from tests.aws_server import Answer, AwsServer, Call, xml_error

TEMPLATE = """
Parameters:
  Name: {Type: String, Default: first}
  Count: {Type: String, Default: '1'}
Resources:
  Topic: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref Name}}
  Queue: {Type: 'AWS::SQS::Queue'}
"""
BUCKET = "orgmfa-artifacts"
SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of hello


@pytest.fixture
def stacks(aws: AwsServer) -> Iterator[Stacks]:
    backends: Any = get_backend("cloudformation")
    backends.reset()
    yield make_stacks()
    backends.reset()


def make_stacks() -> Stacks:
    return Stacks(make_clients(connections=2).connect("cloudformation"), make_retrier())


def make_stack_sets() -> StackSets:
    return StackSets(make_clients(connections=2).connect("cloudformation"), make_retrier(), call_as="DELEGATED_ADMIN")


def make_retrier() -> Retrier:
    return Retrier(Cancellation(), sleep=lambda _: None)


def request(parameters: dict[str, str | None] | None = None, **changes: Any) -> Any:
    asked = {"name": "first", "stack_name": "sample", "is_creation": True, "source": TEMPLATE}
    return {**asked, "parameters": parameters or {}, **changes}


def made(stacks: Stacks) -> str:
    """Make the sample stack and return its ID."""
    found = stacks.get_change_set(stacks.create_change_set(**request({"Name": "news"})))
    stacks.execute_change_set(found.id, "token")
    return found.stack_id


def test_stack_that_does_not_exist_is_none(stacks: Stacks) -> None:
    assert stacks.get_stack("sample") is None


def test_stack_is_under_review_until_its_change_set_is_carried_out(stacks: Stacks) -> None:
    change_set = stacks.get_change_set(stacks.create_change_set(**request({"Name": "news"})))
    reviewed = stacks.get_stack("sample")
    stacks.execute_change_set(change_set.id, "token")
    made = stacks.get_stack("sample")

    assert [(one.action, one.logical_id, one.type) for one in change_set.changes] == [
        ("Add", "Topic", "AWS::SNS::Topic"),
        ("Add", "Queue", "AWS::SQS::Queue"),
    ]
    assert reviewed is not None
    assert (reviewed.id, reviewed.standing) == (change_set.stack_id, Standing.ABSENT)
    assert made is not None
    assert (made.status, made.standing, made.has_succeeded) == ("CREATE_COMPLETE", Standing.READY, True)
    assert made.parameters == {"Name": "news", "Count": "1"}


def test_change_set_of_a_template_in_s3_says_what_it_is_made_of(aws: AwsServer, stacks: Stacks) -> None:
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.client("s3").put_object(Bucket=BUCKET, Key="artifacts/sample.yaml", Body=TEMPLATE)
    address = f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/artifacts/sample.yaml"

    stacks.create_change_set(**request(source=address))

    [call] = [call for call in aws.calls if call.action == "CreateChangeSet"]
    assert call.parameters["TemplateURL"] == address
    assert call.parameters["Capabilities.member.1"] == "CAPABILITY_NAMED_IAM"
    assert call.parameters["Tags.member.1.Key"] == "application"
    assert call.parameters["ClientToken"] == "first-sample"


def test_value_that_is_not_given_is_kept(aws: AwsServer, stacks: Stacks) -> None:
    made(stacks)

    kept = {"Name": None, "Count": "2"}
    change_set = stacks.get_change_set(
        stacks.create_change_set(**request(kept, name="second", is_creation=False, source=f"{TEMPLATE}\n# changed"))
    )
    stacks.execute_change_set(change_set.id, "other")

    stack = stacks.get_stack("sample")
    assert stack is not None
    assert stack.parameters == {"Name": "news", "Count": "2"}


def test_change_set_without_changes_is_empty(aws: AwsServer, stacks: Stacks) -> None:
    made(stacks)
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.client("s3").put_object(Bucket=BUCKET, Key="sample.yaml", Body=TEMPLATE)
    address = f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/sample.yaml"

    change_set = stacks.get_change_set(
        stacks.create_change_set(**request({"Name": None}, name="second", is_creation=False, source=address))
    )
    stacks.delete_change_set(change_set.id)

    assert change_set.is_empty
    with pytest.raises(AwsError):
        stacks.get_change_set(change_set.id)


def test_events_come_oldest_first_and_after_the_one_that_is_known(stacks: Stacks) -> None:
    stack_id = made(stacks)
    newest = stacks.get_newest_event_id(stack_id)
    stacks.delete_stack(stack_id, "token")

    everything = stacks.list_events(stack_id, since=None)
    since = stacks.list_events(stack_id, since=newest)

    assert [event.status for event in since] == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    assert [event.status for event in everything][:2] == ["REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS"]
    assert everything[-2:] == since


def test_deleted_stack_is_found_by_its_id_alone(stacks: Stacks) -> None:
    stack_id = made(stacks)
    stacks.delete_stack(stack_id, "token")

    gone = stacks.get_stack(stack_id)

    assert stacks.get_stack("sample") is None
    assert gone is not None
    assert (gone.status, gone.standing) == ("DELETE_COMPLETE", Standing.ABSENT)


def test_other_refusals_are_errors(aws: AwsServer, stacks: Stacks) -> None:
    aws.faults.append(lambda call: xml_error("AccessDenied") if call.action == "DescribeStacks" else None)
    with pytest.raises(AccessDenied):
        stacks.get_stack("sample")

    aws.faults[:] = [lambda call: xml_error("ValidationError", "no") if call.action == "DescribeStacks" else None]
    with pytest.raises(AwsError, match="no"):
        stacks.get_stack("sample")


def test_pages_of_changes_are_all_read_with_what_is_replaced(aws: AwsServer, stacks: Stacks) -> None:
    def page(call: Call) -> Answer | None:
        if call.action != "DescribeChangeSet":
            return None
        is_first = "NextToken" not in call.parameters
        name, token = ("Role", "<NextToken>b</NextToken>") if is_first else ("Queue", "")
        change = (
            f"<Action>Modify</Action><LogicalResourceId>{name}</LogicalResourceId>"
            "<ResourceType>AWS::X::Y</ResourceType><Replacement>Conditional</Replacement>"
        )
        body = (
            f"<StackId>id</StackId><Status>CREATE_COMPLETE</Status>{token}"
            f"<Changes><member><ResourceChange>{change}</ResourceChange></member></Changes>"
        )
        return answer(call, body)

    aws.faults.append(page)

    found = stacks.get_change_set("arn")

    assert [(one.logical_id, one.replacement) for one in found.changes] == [
        ("Role", "Conditional"),
        ("Queue", "Conditional"),
    ]


def test_answer_that_lacks_what_it_must_have_is_an_error(aws: AwsServer, stacks: Stacks) -> None:
    aws.faults.append(lambda call: answer(call, "<Stacks><member><StackName>x</StackName></member></Stacks>"))

    with pytest.raises(Malformed, match="StackId"):
        stacks.get_stack("sample")


# -- what the statuses mean


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("REVIEW_IN_PROGRESS", Standing.ABSENT),
        ("DELETE_COMPLETE", Standing.ABSENT),
        ("CREATE_COMPLETE", Standing.READY),
        ("UPDATE_COMPLETE", Standing.READY),
        ("UPDATE_ROLLBACK_COMPLETE", Standing.READY),
        ("IMPORT_COMPLETE", Standing.READY),
        ("CREATE_IN_PROGRESS", Standing.BUSY),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Standing.BUSY),
        ("DELETE_IN_PROGRESS", Standing.BUSY),
        ("ROLLBACK_COMPLETE", Standing.UNRECOVERABLE),
        ("ROLLBACK_FAILED", Standing.STUCK),
        ("CREATE_FAILED", Standing.STUCK),
        ("DELETE_FAILED", Standing.STUCK),
        ("UPDATE_ROLLBACK_FAILED", Standing.STUCK),
        ("SOMETHING_NEW", Standing.STUCK),
    ],
)
def test_status_tells_what_can_be_done(aws: AwsServer, stacks: Stacks, status: str, standing: Standing) -> None:
    shown = f"<StackId>i</StackId><StackName>n</StackName><StackStatus>{status}</StackStatus>"
    aws.faults.append(lambda call: answer(call, f"<Stacks><member>{shown}</member></Stacks>"))

    stack = stacks.get_stack("n")

    assert stack is not None
    assert stack.standing is standing


def test_resource_that_was_given_up_did_not_fail_by_itself() -> None:
    def event(status: str, reason: str) -> StackEvent:
        return StackEvent(id="1", logical_id="Role", type="AWS::IAM::Role", status=status, reason=reason)

    assert event("CREATE_FAILED", "no such thing").has_failed
    assert not event("CREATE_FAILED", "Resource creation cancelled").has_failed
    assert event("CREATE_FAILED", "Resource creation cancelled").is_given_up
    assert not event("CREATE_COMPLETE", "").is_given_up


@pytest.mark.parametrize(
    ("reason", "is_empty"),
    [
        (
            "The submitted information didn't contain changes. Submit different information to create a change set.",
            True,
        ),
        ("No updates are to be performed.", True),
        ("Template error: instance of Fn::GetAtt references undefined resource", False),
    ],
)
def test_failed_change_set_is_empty_or_wrong(reason: str, is_empty: bool) -> None:
    assert ChangeSet(id="i", stack_id="s", status="FAILED", reason=reason).is_empty is is_empty


# -- StackSets


def test_instances_of_all_pages_are_listed_as_what_the_caller_is(aws: AwsServer) -> None:
    def page(call: Call) -> Answer:
        number = 2 if "NextToken" in call.parameters else 1
        token = "<NextToken>b</NextToken>" if number == 1 else ""
        instance = f"<Account>{number:012}</Account><Region>us-east-1</Region>"
        return answer(call, f"<Summaries><member>{instance}</member></Summaries>{token}")

    aws.faults.append(page)

    assert make_stack_sets().list_instances("orgmfa:1") == (
        ("000000000001", "us-east-1"),
        ("000000000002", "us-east-1"),
    )
    assert {call.parameters["CallAs"] for call in aws.calls} == {"DELEGATED_ADMIN"}


def test_stack_set_that_does_not_exist_has_no_instances(aws: AwsServer) -> None:
    aws.faults.append(lambda _: xml_error("StackSetNotFoundException", status=404))

    assert make_stack_sets().list_instances("orgmfa") == ()


def test_other_refusals_of_stack_sets_are_errors(aws: AwsServer) -> None:
    aws.faults.append(lambda _: xml_error("AccessDenied", status=403))
    stack_sets = make_stack_sets()

    with pytest.raises(AccessDenied):
        stack_sets.list_instances("orgmfa")
    with pytest.raises(AccessDenied):
        stack_sets.delete_instances("orgmfa", target_ids=["r-ab12"], regions=["us-east-1"], operation_id="one")


def test_instances_are_deleted_with_their_stacks_everywhere_at_once(aws: AwsServer) -> None:
    aws.faults.append(lambda call: answer(call, "<OperationId>one</OperationId>"))

    make_stack_sets().delete_instances("orgmfa", target_ids=["r-ab12"], regions=["us-east-1"], operation_id="one")

    [call] = aws.calls
    assert call.parameters["RetainStacks"] == "false"
    assert call.parameters["DeploymentTargets.OrganizationalUnitIds.member.1"] == "r-ab12"
    assert call.parameters["OperationPreferences.ConcurrencyMode"] == "SOFT_FAILURE_TOLERANCE"
    assert call.parameters["OperationId"] == "one"


def test_deletion_whose_answer_was_lost_is_not_begun_twice(aws: AwsServer) -> None:
    aws.faults.append(lambda _: xml_error("OperationIdAlreadyExistsException", status=409))

    make_stack_sets().delete_instances("orgmfa", target_ids=["r-ab12"], regions=["us-east-1"], operation_id="one")

    assert aws.actions() == ["DeleteStackInstances"]


@pytest.mark.parametrize(
    ("status", "reason", "end"),
    [
        ("RUNNING", "", None),
        ("QUEUED", "", None),
        ("STOPPING", "", None),
        ("SUCCEEDED", "", "SUCCEEDED"),
        ("FAILED", "", "FAILED"),
        ("STOPPED", "", "STOPPED"),
        ("FAILED", "no trusted access", "FAILED: no trusted access"),
    ],
)
def test_operation_has_an_end_when_it_succeeded_failed_or_was_stopped(
    aws: AwsServer, status: str, reason: str, end: str | None
) -> None:
    told = f"<Status>{status}</Status><StatusReason>{reason}</StatusReason>"
    aws.faults.append(lambda call: answer(call, f"<StackSetOperation>{told}</StackSetOperation>"))

    assert make_stack_sets().find_end("orgmfa", "one") == end


def test_failures_name_account_and_reason(aws: AwsServer) -> None:
    results = "".join(
        f"<member><Account>{number:012}</Account><Status>{status}</Status>{reason}</member>"
        for number, status, reason in [
            (1, "SUCCEEDED", ""),
            (2, "FAILED", "<StatusReason>policy attached</StatusReason>"),
            (3, "CANCELLED", ""),
        ]
    )
    aws.faults.append(lambda call: answer(call, f"<Summaries>{results}</Summaries>"))

    assert make_stack_sets().list_failures("orgmfa", "one") == {
        "000000000002": "policy attached",
        "000000000003": "CANCELLED",
    }


# -- artifacts


@pytest.fixture
def bucket(aws: AwsServer) -> ArtifactBucket:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    aws.forget_calls()
    return ArtifactBucket(make_clients(connections=2).s3, BUCKET)


def test_artifact_is_uploaded_once(aws: AwsServer, bucket: ArtifactBucket) -> None:
    first = bucket.put("artifacts/a.zip", b"hello", sha256=SHA256)
    second = bucket.put("artifacts/a.zip", b"hello", sha256=SHA256)

    assert (first, second) == (True, False)
    assert [action.split()[0] for action in aws.actions()] == ["HEAD", "PUT", "HEAD"]


def test_object_of_that_key_with_another_content_is_replaced(aws: AwsServer, bucket: ArtifactBucket) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key="artifacts/a.zip", Body=b"somebody else's")

    assert bucket.put("artifacts/a.zip", b"hello", sha256=SHA256)

    assert aws.client("s3").get_object(Bucket=BUCKET, Key="artifacts/a.zip")["Body"].read() == b"hello"


def test_artifact_that_may_not_be_looked_at_is_an_error(aws: AwsServer, bucket: ArtifactBucket) -> None:
    aws.faults.append(lambda call: xml_error("AccessDenied", status=403) if call.action.startswith("HEAD") else None)

    with pytest.raises(AwsError):
        bucket.put("artifacts/a.zip", b"hello", sha256=SHA256)


def test_bucket_is_cleared_of_every_version_below_a_prefix(aws: AwsServer, bucket: ArtifactBucket) -> None:
    s3 = aws.client("s3")
    for key in ("artifacts/a.zip", "artifacts/a.zip", "artifacts/b.yaml"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="artifacts/b.yaml")

    assert bucket.is_empty(but_for="artifacts/")
    assert not bucket.is_empty(but_for="archive/")
    bucket.clear("artifacts/")
    assert bucket.is_empty(but_for="nothing/")
    bucket.delete()

    assert s3.list_buckets()["Buckets"] == []
    assert bucket.is_empty(but_for="nothing/")
    bucket.delete()  # a second time


def test_version_that_cannot_be_deleted_is_an_error(aws: AwsServer, bucket: ArtifactBucket) -> None:
    bucket.put("artifacts/a.zip", b"hello", sha256=SHA256)
    refusal = "<Error><Key>artifacts/a.zip</Key><Code>AccessDenied</Code><Message>held</Message></Error>"
    aws.faults.append(
        lambda call: Answer(200, f"<DeleteResult>{refusal}</DeleteResult>") if call.action.startswith("POST") else None
    )

    with pytest.raises(AwsError, match=r"artifacts/a\.zip: held"):
        bucket.clear("artifacts/")


# -- the operator's role, and the Region


def test_operators_clients_speak_for_the_role_in_the_same_region(aws: AwsServer) -> None:
    clients = make_clients(connections=2)
    role = "arn:aws:iam::123456789012:role/orgmfa-operator"

    operator = as_role(clients, make_retrier(), role_arn=role, session_name="deploy")

    assert get_caller(clients, make_retrier()).arn.endswith("user/moto")
    assert get_caller(operator, make_retrier()).arn == ("arn:aws:sts::123456789012:assumed-role/orgmfa-operator/deploy")
    assert operator.region == clients.region == "eu-central-1"


def test_region_is_taken_from_either_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    clients = make_clients(connections=2)

    assert (
        clients.region
        == clients.connect("cloudformation").meta.region_name
        == clients.s3.meta.region_name
        == "eu-west-1"
    )


def answer(call: Call, body: str) -> Answer:
    result = f"<{call.action}Result>{body}</{call.action}Result>"
    return Answer(200, f"<{call.action}Response>{result}</{call.action}Response>")
