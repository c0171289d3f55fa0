"""What is kept for all calls of a client is what botocore works out for each."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.regions import EndpointRulesetResolver
from botocore.utils import parse_timestamp

from orchestrator.aws.clients import make_clients
from orchestrator.aws.repeats import keeping_repeats, read_timestamp, trying_once


@pytest.fixture(autouse=True)
def real_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations whose endpoint botocore works out, in a list that grows."""
    found: list[str] = []
    construct = EndpointRulesetResolver.construct_endpoint

    def noted(self: Any, operation_model: Any, call_args: Any, request_context: Any) -> Any:
        found.append(operation_model.name)
        return construct(self, operation_model, call_args, request_context)

    monkeypatch.setattr(EndpointRulesetResolver, "construct_endpoint", noted)
    return found


def send_to(client: Any, operation: str, **parameters: Any) -> str:
    """Return the URL that a call would be sent to."""
    urls: list[str] = []

    def keep(request: Any, **_: Any) -> None:
        urls.append(request.url)
        raise ConnectionAbortedError

    client.meta.events.register("before-send", keep, unique_id="keep")
    with pytest.raises(ConnectionAbortedError):
        getattr(client, operation)(**parameters)
    client.meta.events.unregister("before-send", unique_id="keep")
    return urls[0]


def test_endpoint_is_worked_out_once_for_an_operation(resolved: list[str]) -> None:
    client = make_clients(connections=1).sts
    resolved.clear()

    urls = {send_to(client, "get_caller_identity") for _ in range(3)}

    assert urls == {"https://sts.eu-central-1.amazonaws.com/"}
    assert resolved == ["GetCallerIdentity"]


def test_endpoint_that_a_parameter_decides_on_is_worked_out_for_each_call(resolved: list[str]) -> None:
    client = make_clients(connections=1).s3

    urls = [send_to(client, "list_objects_v2", Bucket=bucket) for bucket in ("one-bucket", "two-bucket")]

    assert [url.split(".", maxsplit=1)[0] for url in urls] == ["https://one-bucket", "https://two-bucket"]


def test_user_agent_names_orgmfa_and_botocore_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "acme-mfa")
    client: Any = make_clients(connections=1).sts

    texts = {client._user_agent_creator.to_string() for _ in range(2)}

    (text,) = texts
    assert all(part in text for part in ("Boto3/", "Botocore", "orgmfa/", "app/acme-mfa"))


def test_client_that_is_not_built_as_expected_is_left_as_it_is() -> None:
    assert keeping_repeats("no client") == "no client"


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


def test_dates_of_all_clients_are_read_so() -> None:
    clients = make_clients(connections=1)

    made: list[Any] = [clients.iam, clients.sts, clients.organizations]
    for client in made:
        assert client._endpoint._response_parser_factory.create_parser("query")._timestamp_parser is read_timestamp
    assert read_timestamp("2026-03-02T12:00:07Z") == datetime(2026, 3, 2, 12, 0, 7, tzinfo=UTC)
    assert read_timestamp("2026-03-02T12:00:07Z").utcoffset() == timedelta(0)


@pytest.mark.parametrize(("attempts", "tries"), [(1, 1), (2, 2)])
def test_botocore_tries_as_often_as_it_may(monkeypatch: pytest.MonkeyPatch, attempts: int, tries: int) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    client = trying_once(boto3.client("iam", region_name="us-east-1", config=config))
    sent: list[Any] = []

    def throttle(request: Any, **_: Any) -> Any:
        sent.append(request)
        response: Any = AWSResponse(request.url, 400, {}, None)  # type: ignore[arg-type]  # any mapping
        response._content = b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"
        return response

    client.meta.events.register("before-send", throttle)

    with pytest.raises(ClientError, match="Throttling"):
        client.get_account_summary()
    assert len(sent) == tries


def test_client_of_another_make_is_not_asked_how_often_it_tries() -> None:
    stranger = object()

    assert trying_once(stranger) is stranger
