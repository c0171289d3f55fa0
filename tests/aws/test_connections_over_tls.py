"""Certificates, bundles and proxies of connections over TLS."""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    SSLError,
)

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import Retrier
from orchestrator.aws.transport import send_through
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import LocalFault
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


def test_bundle_is_read_once_for_all_connections_of_all_clients(
    sts: Served, authority: Authority, loads: list[Any]
) -> None:
    clients = make_clients(connections=THREADS)

    call_at_once(clients.sts, sts)
    sts.together = None
    clients.connect("sts", region="us-east-1").get_caller_identity()

    assert loads == [str(authority.bundle)]


def test_botocore_alone_reads_it_for_each_connection(sts: Served, loads: list[Any]) -> None:
    """What the one context is for; where this fails, botocore or urllib3 has learned it."""
    call_at_once(boto3.client("sts", config=Config(max_pool_connections=THREADS)), sts)

    assert len(loads) == THREADS


def test_call_goes_through_a_proxy_by_botocore(sts: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "")
        client = make_clients(connections=THREADS).sts
        client.get_caller_identity()  # threads that meet the proxy first make a pool, and a context, each
        call_at_once(client, sts)


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


@pytest.mark.parametrize("place", ["profile", "REQUESTS_CA_BUNDLE"])
def test_bundle_may_be_named_in_other_places(
    sts: Served, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    if place == "profile":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority.bundle}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv(place, str(authority.bundle))

    assert make_clients(connections=1).sts.get_caller_identity()["Account"] == "123456789012"


def test_certificate_for_another_name_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with serve_sts(authority.issue("127.0.0.2")) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        client = make_clients(connections=1).sts
        for _ in range(2):
            with pytest.raises(SSLError, match=r"certificate is not valid for '127\.0\.0\.1'"):
                client.get_caller_identity()


@pytest.mark.parametrize("kind", ["missing", "a folder", "no PEM", "empty", "no permission"])
@pytest.mark.parametrize("place", ["AWS_CA_BUNDLE", "ca_bundle of profile default", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("service", ["sts", "s3"])
def test_bundle_that_cannot_be_used_is_told_at_once_with_the_setting(
    sts: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, place: str, kind: str
) -> None:
    bundle, reason = tmp_path / "bundle.pem", "PEM"
    match kind:
        case "missing":
            reason = "No such file"
        case "a folder":
            bundle.mkdir()
            reason = "Is a directory"
        case "no permission":
            bundle = bundle / "below-a-file"
            (tmp_path / "bundle.pem").write_text("x")
            reason = "Not a directory"
        case _:
            bundle.write_text("" if kind == "empty" else "not a certificate")
    monkeypatch.delenv("AWS_CA_BUNDLE")
    if place.startswith("ca_bundle"):
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {bundle}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv(place, str(bundle))
    clients = make_clients(connections=1)

    for _ in range(2):
        with pytest.raises(LocalFault, match=reason) as caught:
            getattr(clients, service)
        assert f"the CA bundle that {place} names cannot be used: {bundle}" in str(caught.value)
        assert caught.value.code == "CaBundle"
    assert sts.connections == []


@pytest.mark.parametrize("service", ["sts", "s3", "through a proxy"])
def test_certificate_that_is_not_trusted_is_not_tried_again(
    sts: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(Authority(tmp_path, "another").bundle))
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    with serve_proxy() as proxy:
        if service == "through a proxy":
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            monkeypatch.setenv("NO_PROXY", "")
        clients = make_clients(connections=1)
        call = clients.s3.list_buckets if service == "s3" else clients.sts.get_caller_identity

        with pytest.raises(LocalFault, match="CERTIFICATE_VERIFY_FAILED") as caught:
            retrier.call(call)

    assert caught.value.code == "UntrustedCertificate"
    assert retrier.calls == 1


def test_client_certificate_is_shown_by_botocore(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with serve_sts(authority.issue(), client_bundle=authority.bundle) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        clients = make_clients(connections=1)
        config = clients.sts.meta.config.merge(Config(client_cert=str(authority.issue(name="client"))))
        client = send_through(clients.hub.client("sts", config=config), clients.hub, clients.connections)

        assert client.get_caller_identity()["Account"] == "123456789012"
