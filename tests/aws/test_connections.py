"""Which connections are opened, kept and closed, and which calls are left to botocore."""

import gc
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)
from botocore.httpsession import get_cert_path

from orchestrator.aws.connections import Connections
from orchestrator.aws.transport import send_through
from tests.aws.scripted_server import (
    Script,
    call,
    make_client,
    served,
    wait_until,
)


def test_host_of_six_is_named_in_brackets() -> None:
    with served("::1") as script:
        client = make_client(script, ours=True)
        for _ in range(2):
            client.get_caller_identity()
        expected = [f"Host: {script.url.removeprefix('http://')}".encode()]

    first, second = ([line for line in sent.split(b"\r\n") if line.startswith(b"Host:")] for sent in script.requests)
    assert first == second == expected


def call_together(script: Script, client: Any, times: int) -> None:
    """Make calls that are all under way together, each on a connection of its own."""
    script.together = Barrier(times)
    with ThreadPoolExecutor(times) as pool:
        for future in [pool.submit(client.get_caller_identity) for _ in range(times)]:
            assert future.result(timeout=60)["Account"] == "123456789012"
    script.together = None


def test_more_idle_connections_than_may_be_kept_are_closed(script: Script) -> None:
    client = make_client(script, ours=True, connections=2)

    call_together(script, client, 5)

    wait_until(lambda: script.closed == 3)
    call_together(script, client, 2)
    assert (script.connections, script.closed) == (5, 3)


def test_pool_is_not_filled_beyond_its_size(script: Script) -> None:
    client = make_client(script, ours=True, connections=1)
    for _ in range(5):
        client.get_caller_identity()

    assert script.connections == 1


def test_connection_used_last_is_used_first(script: Script) -> None:
    client = make_client(script, ours=True)
    call_together(script, client, 3)
    script.peers.clear()

    for _ in range(3):
        client.get_caller_identity()

    assert len(script.peers) == 1
    assert script.connections == 3


def test_idle_connections_are_closed_when_nobody_needs_them(script: Script) -> None:
    client = make_client(script, ours=True)
    call_together(script, client, 3)

    del client
    gc.collect()

    wait_until(lambda: script.closed == 3)


def test_endpoint_that_nobody_serves_is_told(script: Script) -> None:
    with served() as gone:
        client = make_client(gone, ours=True)

    with pytest.raises(EndpointConnectionError):
        client.get_caller_identity()


def test_endpoint_of_another_scheme_is_an_error_of_the_endpoint(script: Script) -> None:
    client = make_client(script, ours=False)
    client = boto3.client("sts", region_name="us-east-1", endpoint_url="ftp://127.0.0.1", config=client.meta.config)
    made = Connections(ca_bundle=str(get_cert_path(verify=True)), connect_timeout=5, read_timeout=5, max_idle=1)

    with pytest.raises(EndpointConnectionError):
        send_through(client, boto3.Session(), made).get_caller_identity()


def make_client_at(server: socket.socket, *, connect_timeout: float) -> Any:
    """Return a client of a server at an https URL."""
    url = f"https://127.0.0.1:{server.getsockname()[1]}"
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})
    client = boto3.client("sts", region_name="us-east-1", endpoint_url=url, config=config)
    bundle = str(get_cert_path(verify=True))
    made = Connections(ca_bundle=bundle, connect_timeout=connect_timeout, read_timeout=20, max_idle=1)
    return send_through(client, boto3.Session(), made)


def test_handshake_that_is_not_answered_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make_client_at(silent, connect_timeout=0.2)

        with pytest.raises(ConnectTimeoutError):
            client.get_caller_identity()


def test_server_that_speaks_no_tls_is_an_error_of_tls() -> None:
    def answer_at_once() -> None:
        connection, _ = plain.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as plain:
        Thread(target=answer_at_once, daemon=True).start()
        client = make_client_at(plain, connect_timeout=20)

        with pytest.raises(SSLError):
            client.get_caller_identity()


@pytest.mark.parametrize("config", [{}, {"proxies": {"http": "http://127.0.0.1:9"}}], ids=["environment", "config"])
def test_call_behind_a_proxy_is_left_to_botocore(
    script: Script, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    if not config:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    client = make_client(script, ours=False)
    settings = client.meta.config.merge(Config(**config))
    client = boto3.client("sts", region_name="us-east-1", endpoint_url=script.url, config=settings)
    made = Connections(ca_bundle="none", connect_timeout=5, read_timeout=5, max_idle=1)

    with pytest.raises(ProxyConnectionError):
        send_through(client, boto3.Session(), made).get_caller_identity()


def test_endpoint_that_is_spared_from_the_proxy_is_not_left_to_it(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    assert call(make_client(script, ours=True))["Account"] == "123456789012"
