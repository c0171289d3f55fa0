import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.hub_services import read_secret
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, AwsError, Malformed, NotFound, Throttled, Unavailable
from tests.aws_server import AwsServer, error_for

WEBHOOK = "https://hooks.example.com/T/B/s3cret"


@pytest.fixture(autouse=True)
def one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # where the clients of the tests are


def read(name: str) -> str:
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    return read_secret(make_clients(connections=1).secretsmanager, retrier, name)


def test_secret_is_read_by_name_and_by_arn(aws: AwsServer) -> None:
    arn = aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=WEBHOOK)["ARN"]

    assert read("orgmfa/slack") == WEBHOOK
    assert read(arn) == WEBHOOK


def test_newest_version_counts(aws: AwsServer) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name="orgmfa/slack", SecretString="old")
    client.put_secret_value(SecretId="orgmfa/slack", SecretString=WEBHOOK)

    assert read("orgmfa/slack") == WEBHOOK


def test_missing_secret_is_told(aws: AwsServer) -> None:
    with pytest.raises(NotFound) as caught:
        read("orgmfa/slack")

    assert caught.value.operation == "GetSecretValue"


def test_secret_without_a_text_is_malformed(aws: AwsServer) -> None:
    aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretBinary=b"https://hooks.example.com")

    with pytest.raises(Malformed, match="lacks SecretString"):
        read("orgmfa/slack")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDeniedException", 400, AccessDenied),
        ("ThrottlingException", 400, Throttled),
        ("InternalServiceError", 500, Unavailable),
        ("DecryptionFailure", 400, AwsError),
    ],
)
def test_secret_that_cannot_be_read_is_an_error_that_does_not_repeat_it(
    aws: AwsServer, code: str, status: int, kind: type[AwsError]
) -> None:
    aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=WEBHOOK)
    aws.faults.append(lambda call: error_for(call, code, status=status))

    with pytest.raises(kind) as caught:
        read("orgmfa/slack")

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.operation) == (code, "GetSecretValue")
    assert "s3cret" not in f"{caught.value!r} {caught.value}"


def test_throttled_read_is_tried_again(aws: AwsServer) -> None:
    aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=WEBHOOK)
    refusals = [error_for(aws.calls[-1], "ThrottlingException")] * 2
    aws.faults.append(lambda _: refusals.pop() if refusals else None)

    assert read("orgmfa/slack") == WEBHOOK
    assert refusals == []
