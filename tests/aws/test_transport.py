"""Calls are signed as botocore would sign them, to the byte, and their answers are what botocore makes of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from traceback import walk_tb
from typing import Any
from uuid import RFC_4122, UUID

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

from orchestrator.aws.clients import make_clients
from orchestrator.aws.connections import Connections
from orchestrator.aws.transport import read_timestamp, send_through
from tests.aws_server import AwsServer

ODD = "grüße +x@y=,.~*/%&; ü"
DOCUMENT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny",\n "Action": "*"}]}'

Make = Callable[[Any], Any]
PLAIN: dict[str, tuple[str, Make]] = {
    "name": ("iam", lambda client: client.list_mfa_devices(UserName=ODD, MaxItems=1000)),
    "nothing": ("iam", lambda client: client.get_account_summary()),
    "user": ("iam", lambda client: client.get_user()),
    "lists": ("iam", lambda client: client.get_account_authorization_details(Filter=["User", "Group"], Marker="a=b")),
    "simulation": (
        "iam",
        lambda client: client.simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::111122223333:user/a/b",
            PolicyInputList=[DOCUMENT],
            ActionNames=["iam:EnableMFADevice"],
            ContextEntries=[{"ContextKeyName": "aws:username", "ContextKeyType": "string", "ContextKeyValues": [ODD]}],
        ),
    ),
    "role": (
        "sts",
        lambda client: client.assume_role(
            RoleArn="arn:aws:iam::111122223333:role/x", RoleSessionName="run", DurationSeconds=3600, Policy=DOCUMENT
        ),
    ),
    "json": ("organizations", lambda client: client.list_accounts(NextToken=ODD)),
    "json without parameters": ("organizations", lambda client: client.describe_organization()),
    "another json": ("ssm", lambda client: client.get_parameter(Name="/stop")),
    "secret": ("secretsmanager", lambda client: client.get_secret_value(SecretId="slack")),
    "stacks": ("cloudformation", lambda client: client.describe_stacks(StackName="orgmfa")),
    "a path": ("securityhub", lambda client: client.enable_security_hub(EnableDefaultStandards=False)),
    "a path with a body": (
        "securityhub",
        lambda client: client.batch_import_findings(
            Findings=[
                {
                    "SchemaVersion": "2018-10-08",
                    "Id": ODD,
                    "ProductArn": "arn:aws:securityhub:eu-central-1::product/a/b",
                    "GeneratorId": "g",
                    "AwsAccountId": "111122223333",
                    "CreatedAt": "c",
                    "UpdatedAt": "u",
                    "Title": "t",
                    "Description": "d",
                    "Resources": [{"Type": "AwsIamUser", "Id": "i"}],
                }
            ]
        ),
    ),
    "a path without a body": ("securityhub", lambda client: client.disassociate_from_administrator_account()),
}
OTHER: dict[str, tuple[str, Make]] = {
    "GET": ("s3", lambda client: client.get_object(Bucket="bucket", Key="key")),
    "a body that can be read": ("s3", lambda client: client.put_object(Bucket="bucket", Key="key", Body=b"content")),
    "GET of a service whose POST is ours": ("securityhub", lambda client: client.describe_hub()),
    "a POST that S3 signs": ("s3", lambda client: client.create_multipart_upload(Bucket="bucket", Key="key")),
    "an answer that is a stream": ("lambda", lambda client: client.invoke(FunctionName="f", Payload=b"{}")),
    "nothing to sign": (
        "sts",
        lambda client: client.assume_role_with_web_identity(
            RoleArn="arn:aws:iam::111122223333:role/x", RoleSessionName="run", WebIdentityToken="token"
        ),
    ),
}
LOADER = botocore.loaders.create_loader()
"""Shared, so that the service models are read once."""
ENDPOINTS = [
    None,
    "http://127.0.0.1:4566",
    "https://p.example.com:443",
    "https://[::1]:8443",
    "https://p.example.com/a%20b",
]


class Captured(Exception):
    """Raised in the place of sending."""


@pytest.fixture(autouse=True)
def fixed_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 3, 2, 12, 0, 7, tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    # Powertools, once imported, has every session in the process add its own name to the user agent, by a handler of
    # `request-created`. That handler is not called for signed POST calls (DECISIONS 42), and is no part of botocore.
    monkeypatch.setattr("botocore._INITIALIZERS", [])


def make_client(service: str, endpoint: str | None = None, *, ours: bool = True, attempts: int = 1) -> Any:
    settings = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    core = botocore.session.Session()
    core.register_component("data_loader", LOADER)
    session = boto3.Session(botocore_session=core)
    client: Any = session.client(service, endpoint_url=endpoint, config=settings)  # type: ignore[call-overload]
    connections = Connections(ca_bundle="none", connect_timeout=5, read_timeout=5, max_idle=1)
    return send_through(client, session, connections) if ours else client


def capture(client: Any, make: Make) -> tuple[str, str, dict[str, str], bytes]:
    """Return what a call would send."""
    requests: list[AWSPreparedRequest] = []

    def keep(request: AWSPreparedRequest, **_: Any) -> None:
        requests.append(request)
        raise Captured

    client.meta.events.register("before-send", keep)
    with pytest.raises(Captured):
        make(client)
    (request,) = requests
    values: dict[str, Any] = dict(request.headers)
    headers = {name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
    headers["amz-sdk-invocation-id"] = "random"
    headers["user-agent"] = " ".join(sorted(headers["user-agent"].replace("m/", ",").replace(" ", ",").split(",")))
    body: Any = request.body
    content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
    return request.method, request.url, headers, content


def is_sent_by_botocore(client: Any, make: Make) -> bool:
    """Return whether botocore builds the request of a call."""
    found: list[Any] = []
    client.meta.events.register("request-created", lambda request, **_: found.append(request))
    capture(client, make)
    return bool(found)


@pytest.mark.parametrize("call", PLAIN)
def test_request_is_the_one_that_botocore_builds(call: str) -> None:
    service, make = PLAIN[call]

    ours, theirs = capture(make_client(service), make), capture(make_client(service, ours=False), make)

    assert ours == theirs
    assert "Signature=" in ours[2]["authorization"]
    assert not is_sent_by_botocore(make_client(service), make)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_so_it_is_at_any_endpoint_and_with_any_credentials(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, token: str | None
) -> None:
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    _, make = PLAIN["name"]

    ours = capture(make_client("iam", endpoint), make)

    assert ours == capture(make_client("iam", endpoint, ours=False), make)
    assert ours[2].get("x-amz-security-token") == token


@pytest.mark.parametrize("call", OTHER)
def test_any_other_request_is_left_to_botocore(call: str) -> None:
    service, make = OTHER[call]

    ours = capture(make_client(service), make)

    assert ours == capture(make_client(service, ours=False), make)
    assert is_sent_by_botocore(make_client(service), make)


def test_request_that_botocore_compresses_is_left_to_it() -> None:
    def make(client: Any) -> Any:
        return client.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 1.0}])

    assert is_sent_by_botocore(make_client("cloudwatch"), make)


def test_client_that_tries_by_itself_is_left_to_botocore() -> None:
    _, make = PLAIN["nothing"]

    assert is_sent_by_botocore(make_client("iam", attempts=2), make)


@pytest.mark.parametrize("service", ["iam", "organizations"])
@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_region_that_signs_is_that_of_the_endpoint(service: str, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    _, make = PLAIN["nothing" if service == "iam" else "json"]

    assert capture(make_client(service), make) == capture(make_client(service, ours=False), make)


def test_region_that_a_handler_names_signs() -> None:
    def name_region(context: dict[str, Any], **_: Any) -> None:
        context["signing"] = {"region": "eu-south-1", "signing_name": "another"}

    clients = make_client("iam"), make_client("iam", ours=False)
    for client in clients:
        client.meta.events.register("before-call", name_region)
    ours, theirs = (capture(client, PLAIN["nothing"][1]) for client in clients)

    assert ours == theirs
    assert "/eu-south-1/another/" in ours[2]["authorization"]


def test_headers_that_proxies_and_lambda_change_are_never_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orgmfa")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")

    def add_headers(params: dict[str, Any], **_: Any) -> None:
        params["headers"] |= {"Expect": "", "Transfer-Encoding": "identity", "Connection": "keep-alive"}

    client = make_client("iam")
    client.meta.events.register("before-call", add_headers)

    _, _, headers, _ = capture(client, PLAIN["nothing"][1])

    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert signed == "content-type;host;x-amz-date"
    assert headers["x-amzn-trace-id"] == "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    assert {"expect", "transfer-encoding", "connection", "user-agent"} <= headers.keys()


def test_client_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(NoCredentialsError):
        make_client("iam").get_account_summary()


def test_error_of_aws_comes_through(aws: AwsServer) -> None:
    client = make_client("iam", aws.url)

    with pytest.raises(client.exceptions.NoSuchEntityException):
        client.get_user(UserName=ODD.replace("/", ""))

    assert [call.action for call in aws.calls] == ["GetUser"]


def test_each_call_has_a_random_id_of_its_own() -> None:
    found: list[UUID] = []
    client = make_client("iam")

    def keep(request: AWSPreparedRequest, **_: Any) -> None:
        found.append(UUID(dict(request.headers)["amz-sdk-invocation-id"]))
        raise Captured

    client.meta.events.register("before-send", keep)
    for _ in range(50):
        with pytest.raises(Captured):
            client.get_account_summary()

    assert len(set(found)) == 50
    assert {(one.version, one.variant) for one in found} == {(4, RFC_4122)}


def answer_with(client: Any, status: int, content: bytes) -> None:
    """Have the calls of a client answered in the place of AWS."""

    class Raw:
        def stream(self) -> list[bytes]:
            return [content]

    headers: Any = {"x-amzn-RequestId": "7", "Content-Type": "whatever"}
    raw: Any = Raw()
    client.meta.events.register("before-send", lambda request, **_: AWSResponse(request.url, status, headers, raw))


def call(client: Any, make: Make) -> tuple[object, object]:
    """Return the kind of what comes of a call, and what it is; without botocore's note that it may not try again."""
    try:
        found = make(client)
    except ClientError as error:
        error.response["ResponseMetadata"].pop("MaxAttemptsReached", None)  # type: ignore[typeddict-item]
        return type(error).__name__, error.response
    except (ResponseParserError, AttributeError, TypeError) as error:
        *_, (frame, _) = walk_tb(error.__traceback__)
        return type(error).__name__, frame.f_globals["__name__"].split(".")[0]  # `errors` asks whose error it is
    found["ResponseMetadata"].pop("MaxAttemptsReached", None)
    return dict, found


ACCOUNTS = b'{"Accounts": [{"Id": "111122223333", "JoinedTimestamp": 1772452807.25}], "NextToken": "n"}'
TOO_MANY = b'{"__type": "ConstraintViolationException", "Message": "m", "Reason": "ACCOUNT_NUMBER_LIMIT_EXCEEDED"}'
USER = (
    b"<GetUserResponse><GetUserResult><User><UserName>u</UserName><CreateDate>2026-03-02T12:00:07Z</CreateDate></User>"
    b"</GetUserResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetUserResponse>"
)
FINDINGS = b'{"FailedCount": 0, "SuccessCount": 1}'
DENIED = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>r</RequestId>"
ANSWERS: dict[str, tuple[str, int, bytes]] = {
    "XML": ("user", 200, USER),
    "JSON": ("json", 200, ACCOUNTS),
    "REST": ("a path with a body", 200, FINDINGS),
    "error in XML": ("name", 403, DENIED + b"</ErrorResponse>"),
    "error in JSON with a field of its own": ("json", 400, TOO_MANY),
    "error in JSON that no model knows": ("json", 400, b'{"__type": "Odd", "message": "m"}'),
    "error of REST": ("a path with a body", 404, b'{"Code": "c", "Message": "m"}'),
    "page of a server": ("json", 503, b"<html>busy</html>"),
    "nothing": ("json", 500, b""),
    "half an XML": ("user", 200, USER[:60]),
    "half a JSON": ("json", 200, ACCOUNTS[:20]),
    "list": ("json", 200, b"[]"),
    "text": ("json", 200, b'"text"'),
    "null": ("json", 200, b"null"),
    "error that is null": ("json", 400, b"null"),
    "error with a code that is none": ("json", 400, b'{"__type": ["a"]}'),
    "error that is a list": ("json", 400, b"[]"),
    "error that is a text": ("name", 400, b"<ErrorResponse><Error>text</Error></ErrorResponse>"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answer_is_what_botocore_makes_of_it(answer: str) -> None:
    name, status, content = ANSWERS[answer]
    service, make = PLAIN[name]
    clients = make_client(service), make_client(service, ours=False)
    for client in clients:
        answer_with(client, status, content)

    ours, theirs = (call(client, make) for client in clients)

    assert ours == theirs


def test_error_has_the_class_and_the_fields_of_its_code() -> None:
    client = make_client("organizations")
    answer_with(client, 400, TOO_MANY)

    with pytest.raises(client.exceptions.ConstraintViolationException) as caught:
        client.list_accounts()

    assert caught.value.response["Reason"] == "ACCOUNT_NUMBER_LIMIT_EXCEEDED"
    assert caught.value.response["ResponseMetadata"]["RequestId"] == "7"


def test_handlers_before_and_after_a_call_are_heard() -> None:
    heard: list[str] = []
    client = make_client("iam")
    for event in ("before-call.iam.GetUser", "before-send.iam.GetUser", "after-call.iam.GetUser"):
        client.meta.events.register(event, lambda event_name, **_: heard.append(event_name))
    answer_with(client, 200, USER)

    client.get_user()

    assert heard == ["before-call.iam.GetUser", "before-send.iam.GetUser", "after-call.iam.GetUser"]


@pytest.mark.parametrize("event", ["before-call", "before-call.iam", "before-call.iam.GetUser", "before-call.*.*"])
def test_handler_that_answers_a_call_comes_first(event: str) -> None:
    client, answer = make_client("iam"), AWSResponse("", 200, {}, None)  # type: ignore[arg-type]  # any mapping
    client.meta.events.register(event, lambda **_: (answer, {"User": {"UserName": "theirs"}}))

    assert client.get_user()["User"]["UserName"] == "theirs"


def test_user_agent_names_orgmfa_and_botocore_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "acme-mfa\r\nx: ü")
    client, found = make_clients(connections=1).sts, set()

    def keep(request: AWSPreparedRequest, **_: Any) -> None:
        found.add(dict(request.headers)["User-Agent"])
        raise Captured

    client.meta.events.register("before-send", keep)
    for _ in range(2):
        with pytest.raises(Captured):
            client.get_caller_identity()

    (text,) = found
    assert all(part in text for part in ("Boto3/", "Botocore", "orgmfa/", "app/acme-mfa"))
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-02T12:00:07Z",
        "2026-03-02T12:00:07.250Z",
        "2026-03-02T12:00:07+02:00",
        "2026-03-02T12:00:07",
        "Mon, 02 Mar 2026 12:00:07 GMT",
        "20260302T120007Z",
        1772452807,
        1772452807.25,
        "1772452807.5",
        "20260302",
    ],
)
def test_date_is_the_one_that_botocore_reads(value: Any) -> None:
    found, theirs = read_timestamp(value), parse_timestamp(value)

    assert (found, found.utcoffset()) == (theirs, theirs.utcoffset())


def test_text_that_is_no_date_is_refused_as_by_botocore() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        read_timestamp("yesterday")


def test_dates_of_answers_are_read_so() -> None:
    client = make_client("iam")
    answer_with(client, 200, USER)

    found = client.get_user()["User"]["CreateDate"]

    assert found == datetime(2026, 3, 2, 12, 0, 7, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(("attempts", "tries"), [(1, 1), (2, 2)])
def test_botocore_tries_as_often_as_it_may(monkeypatch: pytest.MonkeyPatch, attempts: int, tries: int) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    client = make_client("iam", attempts=attempts)
    sent: list[Any] = []
    client.meta.events.register("before-send", lambda request, **_: sent.append(request))
    answer_with(client, 400, b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>")

    with pytest.raises(ClientError, match="Throttling"):
        client.get_account_summary()
    assert len(sent) == tries
