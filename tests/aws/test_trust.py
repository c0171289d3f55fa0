"""Over real TLS: the CA bundle is read once for all connections of a client, and whom it does not know is refused."""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError
from botocore.httpsession import URLLib3Session

from orchestrator.aws.clients import make_clients
from orchestrator.aws.trust import reading_bundle_once
from tests.tls import Authority, Served, serve_proxy, serve_sts

THREADS = 8


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def sts(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serve_sts(authority.issue()) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
        yield served


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The bundles that TLS contexts read, in a list that grows."""
    found: list[Any] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(self: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        found.append(cafile)
        load(self, cafile, capath, cadata)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    return found


def call_at_once(client: Any, sts: Served) -> None:
    """Make calls that are all under way together, each on a connection of its own."""
    sts.together = Barrier(THREADS)
    with ThreadPoolExecutor(THREADS) as pool:
        answers = [
            future.result(timeout=60) for future in [pool.submit(client.get_caller_identity) for _ in range(THREADS)]
        ]
    assert {answer["Account"] for answer in answers} == {"123456789012"}
    assert len(sts.connections) == THREADS


def test_bundle_is_read_once_for_all_connections_of_a_client(
    sts: Served, authority: Authority, loads: list[Any]
) -> None:
    call_at_once(make_clients(connections=THREADS).sts, sts)

    assert loads == [str(authority.bundle)]


def test_botocore_alone_reads_it_for_each_connection(sts: Served, loads: list[Any]) -> None:
    """What the module is for; where this fails, botocore or urllib3 has learned it."""
    call_at_once(boto3.client("sts", config=Config(max_pool_connections=THREADS)), sts)

    assert len(loads) == THREADS


def test_bundle_is_read_once_through_a_proxy_too(
    sts: Served, authority: Authority, loads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "")
        client = make_clients(connections=THREADS).sts
        client.get_caller_identity()  # threads that meet the proxy first make a pool, and a context, each
        call_at_once(client, sts)

    assert loads == [str(authority.bundle)]


def test_certificate_of_an_unknown_authority_is_refused(
    sts: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(Authority(tmp_path, "another").bundle))

    client = make_clients(connections=1).sts
    for _ in range(2):
        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            client.get_caller_identity()


def test_authorities_that_come_with_botocore_do_not_know_ours(sts: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")

    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        make_clients(connections=1).sts.get_caller_identity()


def test_certificate_for_another_name_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with serve_sts(authority.issue("127.0.0.2")) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        client = make_clients(connections=1).sts
        for _ in range(2):
            with pytest.raises(SSLError, match="doesn't match"):
                client.get_caller_identity()


def test_missing_bundle_stays_an_error(sts: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))

    client = make_clients(connections=1).sts
    for _ in range(2):
        with pytest.raises(SSLError):
            client.get_caller_identity()


def test_client_certificate_is_shown(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with serve_sts(authority.issue(), client_bundle=authority.bundle) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        config = Config(client_cert=str(authority.issue(name="client")))
        client = reading_bundle_once(boto3.client("sts", config=config))

        assert client.get_caller_identity()["Account"] == "123456789012"


def test_client_that_does_not_verify_stays_so(sts: Served, loads: list[Any]) -> None:
    client = reading_bundle_once(boto3.client("sts", verify=False))
    with pytest.warns(match="Unverified HTTPS request"):
        client.get_caller_identity()

    assert loads == []


class OtherSession(URLLib3Session):
    """An HTTP session that somebody else has put in the place of botocore's."""


def test_client_that_is_not_built_as_expected_is_left_as_it_is(sts: Served, loads: list[Any]) -> None:
    client = boto3.client("sts", config=Config(max_pool_connections=THREADS))
    endpoint: Any = client._endpoint  # type: ignore[attr-defined]  # botocore's own, told by no stub
    endpoint.http_session.__class__ = OtherSession

    call_at_once(reading_bundle_once(client), sts)

    assert len(loads) == THREADS
    assert reading_bundle_once("no client") == "no client"
