"""Which certificates Slack may show: the bundle that AWS gets, Slack gets; what is not trusted is said at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.domain.config import Config
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import DeliveryError, DigestError, StartError
from orchestrator.output.slack.client import SlackClient
from orchestrator.output.slack.messenger import SlackMessenger
from orchestrator.wiring import Hub, make_slack_client
from tests.cli.calling import Cli, assert_refused
from tests.tls import Authority, Served, serve_proxy, serve_sts

BY_WEBHOOK, BY_TOKEN = "webhook", "bot token"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "proxy")


@pytest.fixture
def slack(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):  # of the machine that the tests run on
        monkeypatch.delenv(name, raising=False)
    with serve_sts(authority.issue()) as served:
        served.answer = b"ok"
        yield served


def make_hub() -> Hub:
    return Hub(Config(), {}, make_clients(connections=1))


def send(slack: Served) -> None:
    make_slack_client(SlackCredentials(webhook_url=f"{slack.url}/services/T/B/s3cret"), make_hub()).send("hello", [])


@pytest.mark.parametrize("place", ["AWS_CA_BUNDLE", "ca_bundle", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_bundle_of_aws_and_that_of_python_are_trusted(
    slack: Served, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "ca_bundle":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority.bundle}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv(place, str(authority.bundle))

    send(slack)

    assert len(slack.connections) == 1


def test_bundle_is_trusted_through_a_proxy_too(
    slack: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    monkeypatch.setenv("NO_PROXY", "")
    with serve_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        send(slack)

    assert len(slack.connections) == 1


@pytest.mark.parametrize("way", [BY_WEBHOOK, BY_TOKEN])
@pytest.mark.parametrize("trusted", ["nothing", "another"])
def test_certificate_that_is_not_trusted_is_said_after_one_try(
    slack: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, way: str
) -> None:
    if trusted == "another":
        monkeypatch.setenv("AWS_CA_BUNDLE", str(Authority(tmp_path, "another").bundle))
    naps: list[float] = []
    credentials = (
        SlackCredentials(webhook_url=f"{slack.url}/services/T/B/s3cret")
        if way == BY_WEBHOOK
        else SlackCredentials(bot_token="xoxb-s3cret")
    )
    client = SlackClient(
        credentials,
        channel="C0123456789",
        base_url=f"{slack.url}/api/",
        tls=make_clients(connections=1).tls_context(),
        sleep=naps.append,
    )

    with pytest.raises(DigestError, match="not trusted") as caught:
        client.send("hello", [])

    told = str(caught.value)
    assert "AWS_CA_BUNDLE" in told
    assert "SSL_CERT_FILE" in told
    assert "check the network" not in told
    assert "s3cret" not in told
    assert naps == []


def test_certificate_that_is_not_trusted_ends_the_messages_to_users_of_a_run(slack: Served) -> None:
    tls = make_clients(connections=1).tls_context()
    messenger = SlackMessenger("xoxb-s3cret", tls=tls, base_url=f"{slack.url}/api/")

    with pytest.raises(DeliveryError, match="not trusted") as caught:
        messenger.find("alice@acme.com")

    assert caught.value.is_general


@pytest.mark.parametrize("kind", ["missing", "a folder", "no PEM"])
def test_bundle_that_cannot_be_used_is_told_with_the_variable(
    slack: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bundle = tmp_path / "bundle"
    if kind == "a folder":
        bundle.mkdir()
    if kind == "no PEM":
        bundle.write_text("x")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))

    with pytest.raises(StartError, match=f"AWS_CA_BUNDLE names cannot be used: {bundle}"):
        send(slack)
    done = Cli(tmp_path)("plan")
    assert_refused(done, "AWS_CA_BUNDLE", str(bundle), "PEM")
    assert len(done.stderr.strip().splitlines()) == 1
