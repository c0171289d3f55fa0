"""Requests that are built in one pass are those that botocore would build, to the byte."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import RFC_4122, UUID

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.endpoint import Endpoint
from botocore.exceptions import NoCredentialsError

from orchestrator.aws.signing import signing_plainly
from tests.aws_server import AwsServer

ODD = "grüße +x@y=,.~*/%&; ü"
DOCUMENT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny",\n "Action": "*"}]}'

Make = Callable[[Any], Any]
PLAIN: dict[str, tuple[str, Make]] = {
    "name": ("iam", lambda client: client.list_mfa_devices(UserName=ODD, MaxItems=1000)),
    "nothing": ("iam", lambda client: client.get_account_summary()),
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
}
OTHER: dict[str, tuple[str, Make]] = {
    "GET": ("s3", lambda client: client.get_object(Bucket="bucket", Key="key")),
    "a body that can be read": ("s3", lambda client: client.put_object(Bucket="bucket", Key="key", Body=b"content")),
    "a path": ("securityhub", lambda client: client.enable_security_hub()),
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
    for module in ("botocore.auth", "orchestrator.aws.signing"):
        monkeypatch.setattr(f"{module}.get_current_datetime", lambda: moment)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    # Powertools, once imported, has every session in the process add its own name to the user agent, by a handler of
    # `request-created`. That handler is not called for plain requests (DECISIONS 32), and is no part of botocore.
    monkeypatch.setattr("botocore._INITIALIZERS", [])


def make_client(service: str, endpoint: str | None = None, **config: Any) -> Any:
    settings = Config(retries={"mode": "standard", "total_max_attempts": 1}, **config)
    session = botocore.session.Session()
    session.register_component("data_loader", LOADER)
    return boto3.Session(botocore_session=session).client(service, endpoint_url=endpoint, config=settings)  # type: ignore[call-overload]


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


@pytest.mark.parametrize("call", PLAIN)
def test_plain_request_is_the_one_that_botocore_builds(call: str) -> None:
    service, make = PLAIN[call]

    ours, theirs = capture(signing_plainly(make_client(service)), make), capture(make_client(service), make)

    assert ours == theirs
    assert "Signature=" in ours[2]["authorization"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_so_it_is_at_any_endpoint_and_with_any_credentials(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, token: str | None
) -> None:
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    _, make = PLAIN["name"]

    ours = capture(signing_plainly(make_client("iam", endpoint)), make)

    assert ours == capture(make_client("iam", endpoint), make)
    assert ours[2].get("x-amz-security-token") == token


@pytest.mark.parametrize("call", OTHER)
def test_any_other_request_is_left_to_botocore(call: str) -> None:
    service, make = OTHER[call]

    ours = capture(signing_plainly(make_client(service)), make)

    assert ours == capture(make_client(service), make)


@pytest.mark.parametrize("service", ["iam", "organizations"])
@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_region_that_signs_is_that_of_the_endpoint(service: str, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    _, make = PLAIN["nothing" if service == "iam" else "json"]

    assert capture(signing_plainly(make_client(service)), make) == capture(make_client(service), make)


def test_region_that_a_handler_names_signs() -> None:
    def name_region(context: dict[str, Any], **_: Any) -> None:
        context["signing"] = {"region": "eu-south-1", "signing_name": "another"}

    clients = signing_plainly(make_client("iam")), make_client("iam")
    for client in clients:
        client.meta.events.register("before-call", name_region)
    ours, theirs = (capture(client, PLAIN["nothing"][1]) for client in clients)

    assert ours == theirs
    assert "/eu-south-1/another/" in ours[2]["authorization"]


def test_client_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(NoCredentialsError):
        signing_plainly(make_client("iam")).get_account_summary()


def test_client_that_signs_otherwise_is_left_as_it_is() -> None:
    client = make_client("s3")

    signing_plainly(client)

    assert type(client._endpoint) is Endpoint
    assert signing_plainly("no client") == "no client"


def test_error_of_aws_comes_through_as_ever(aws: AwsServer) -> None:
    client = signing_plainly(make_client("iam", aws.url))

    with pytest.raises(client.exceptions.NoSuchEntityException):
        client.get_user(UserName=ODD.replace("/", ""))

    assert [call.action for call in aws.calls] == ["GetUser"]


def test_each_call_has_a_random_id_of_its_own() -> None:
    found: list[UUID] = []
    client = signing_plainly(make_client("iam"))

    def keep(request: AWSPreparedRequest, **_: Any) -> None:
        found.append(UUID(dict(request.headers)["amz-sdk-invocation-id"]))
        raise Captured

    client.meta.events.register("before-send", keep)
    for _ in range(50):
        with pytest.raises(Captured):
            client.get_account_summary()

    assert len(set(found)) == 50
    assert {(one.version, one.variant) for one in found} == {(4, RFC_4122)}
