"""What is sent over kept connections, and what comes back, is what it is with botocore's own HTTP session."""

import gc
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Thread
from time import sleep
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParserError

from orchestrator.aws.clients import make_clients
from orchestrator.aws.connections import Connections
from orchestrator.aws.transport import send_through
from tests.tls import CALLER, Authority, Served, serve_proxy, serve_sts

FORBIDDEN = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
CHUNKED = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (CALLER[:7], CALLER[7:])) + b"0\r\n"


def answer(content: bytes, *lines: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join((version + b" " + status, b"x-amzn-RequestId: 7", *lines, b"", content))


def sized(content: bytes, *lines: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return answer(content, b"Content-Length: %d" % len(content), *lines, status=status, version=version)


USUAL = sized(CALLER)


@dataclass
class Script:
    """A server that answers each request with the next of its answers, and keeps what it was sent."""

    listener: socket.socket
    context: ssl.SSLContext | None = None
    answers: list[list[bytes]] = field(default_factory=list)
    """Each in pieces; the connection is closed after one that ends with an empty piece."""
    requests: list[bytes] = field(default_factory=list)
    peers: set[object] = field(default_factory=set)
    """Where the requests came from."""
    connections: int = 0
    closed: int = 0
    together: Barrier | None = None
    """How many requests wait for one another before they are answered, if any do."""

    @property
    def url(self) -> str:
        host, port = self.listener.getsockname()[:2]
        return f"{'https' if self.context else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection: socket.socket) -> None:
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        with connection, suppress(OSError):
            self.answer(connection)
        self.closed += 1

    def answer(self, connection: socket.socket) -> None:
        while request := read_request(connection):
            self.requests.append(request)
            self.peers.add(connection.getpeername())
            if self.together is not None:
                self.together.wait(timeout=30)
            for piece in self.answers.pop(0) if self.answers else [USUAL]:
                if not piece:
                    return
                connection.sendall(piece)


def read_request(connection: socket.socket) -> bytes:
    """Return one whole request, or nothing where the other end has closed."""
    received = b""
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < length_of(received):
        piece = connection.recv(65_536)
        if not piece:
            return b""
        received += piece
    return received


def length_of(request: bytes) -> int:
    head = request.partition(b"\r\n\r\n")[0].lower()
    return int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])


@contextmanager
def served(host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[Script]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        # Small pieces are to arrive as they were sent.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made = Script(listener, context)
        Thread(target=made.serve, daemon=True).start()
        yield made
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def script() -> Iterator[Script]:
    with served() as made:
        yield made


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """The same over TLS."""
    authority = Authority(tmp_path, "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with served(context=context) as made:
        yield made


def make_client(
    script: Script,
    *,
    ours: bool,
    connect_timeout: float = 5,
    read_timeout: float | None = 20,
    connections: int = 10,
) -> Any:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        read_timeout=read_timeout,
        max_pool_connections=connections,
    )
    session = boto3.Session()
    client = session.client("sts", region_name="us-east-1", endpoint_url=script.url, config=config)
    if not ours:
        return client
    made = Connections(
        ca_bundle=os.environ.get("AWS_CA_BUNDLE", str(get_cert_path(verify=True))),
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_idle=connections,
    )
    return send_through(client, session, made)


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait for what the server notices, on a thread of its own, a moment later."""
    for _ in range(3000):
        if is_true():
            return
        sleep(0.01)
    pytest.fail("it never came true")


def call(client: Any) -> Any:
    """Return the answer to a call, or the error it raised; without botocore's note that it may not try again."""
    found, kind = None, None
    try:
        found = client.get_caller_identity()
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        found, kind = getattr(error, "response", None), type(error)
    if found:
        found["ResponseMetadata"].pop("MaxAttemptsReached", None)
    return (kind, found) if kind else found


@pytest.fixture
def light(script: Script) -> Any:
    """A client with one open connection."""
    client = make_client(script, ours=True)
    client.get_caller_identity()
    assert script.connections == 1
    return client


USUAL_FORMS = {
    "one piece": [USUAL],
    "byte by byte": [bytes([byte]) for byte in USUAL],
    "an error": [sized(FORBIDDEN, status=b"403 Forbidden")],
    "an error of the server": [sized(b"<html>busy</html>", status=b"503 Slow Down")],
    "elsewhere": [sized(b"<html/>", b"Location: http://127.0.0.1:9/", status=b"307 Temporary Redirect")],
    "keep-alive said": [sized(CALLER, b"Connection: Keep-Alive")],
    "no reason": [sized(CALLER, status=b"200 ")],
    "no space after the colon": [sized(CALLER, b"x-a:b")],
    "an empty header": [sized(CALLER, b"x-a:")],
    "no content": [sized(b"")],
    "latin letters": [sized(CALLER, b"x-a: gr\xfc\xdfe")],
}
OTHER_FORMS = {
    "in chunks": [answer(CHUNKED + b"\r\n", b"Transfer-Encoding: chunked")],
    "in chunks, piece by piece": [answer(b"", b"Transfer-Encoding: chunked"), CHUNKED, b"\r\n"],
    "in chunks, with a trailer": [answer(CHUNKED + b"x-a: b\r\n\r\n", b"Transfer-Encoding: chunked")],
    "in chunks, whatever the length": [sized(CHUNKED + b"\r\n", b"Transfer-Encoding: chunked")],
    "a header of two lines": [sized(CALLER, b"x-a: b", b"  c")],
    "a header twice": [sized(CALLER, b"x-a: b", b"x-a: c")],
    "continue first": [b"HTTP/1.1 100 Continue\r\n\r\n", USUAL],
    "nothing to read": [answer(b"", status=b"204 No Content")],
    "not modified, with a length": [answer(b"", b"Content-Length: 7", status=b"304 Not Modified")],
}
CLOSING_FORMS = {
    "said": [sized(CALLER, b"Connection: close")],
    "no length": [answer(CALLER), b""],
    "an older version": [sized(CALLER, version=b"HTTP/1.0")],
    "more than its length": [USUAL + b"more"],
}


@pytest.mark.parametrize("form", USUAL_FORMS | OTHER_FORMS)
def test_answer_is_the_one_that_botocore_finds(script: Script, light: Any, form: str) -> None:
    pieces = (USUAL_FORMS | OTHER_FORMS)[form]
    script.answers = [pieces]
    found = call(light)
    assert call(light)["Account"] == "123456789012"
    assert script.connections == 1, "the connection is kept"

    script.answers = [[USUAL], pieces]
    theirs = make_client(script, ours=False)
    call(theirs)
    assert found == call(theirs)


def test_headers_of_an_answer_may_be_asked_for_in_any_case(script: Script, light: Any) -> None:
    script.answers = [[sized(CALLER, b"Date: today")]]
    found: list[Any] = []
    light.meta.events.register("after-call", lambda http_response, **_: found.append(http_response))

    light.get_caller_identity()

    (response,) = found
    assert isinstance(response, AWSResponse)
    assert response.headers["DATE"] == response.headers.get("Date") == "today"
    assert "X-Amzn-RequestId" in response.headers
    assert "Age" not in response.headers
    assert response.headers.get("Age", "none") == "none"
    assert (response.content, response.text) == (CALLER, CALLER.decode())


@pytest.mark.parametrize("form", CLOSING_FORMS)
def test_connection_that_cannot_be_kept_is_closed(script: Script, light: Any, form: str) -> None:
    script.answers = [CLOSING_FORMS[form]]

    assert call(light)["Account"] == "123456789012"
    assert call(light)["Account"] == "123456789012"
    assert script.connections == 2


BROKEN = {
    "nothing": [b""],
    "half a head": [USUAL[:20], b""],
    "half the content": [USUAL[:-9], b""],
    "half a chunk": [answer(CHUNKED[:-9], b"Transfer-Encoding: chunked"), b""],
    "no HTTP": [b"220 mail ESMTP\r\n\r\n", b""],
    "a status that is none": [sized(CALLER, status=b"2xx OK"), b""],
    "a head without end": [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000, b""],
}


@pytest.mark.parametrize("form", BROKEN)
def test_answer_that_breaks_off_or_is_none_is_a_closed_connection(script: Script, light: Any, form: str) -> None:
    script.answers = [BROKEN[form]]

    with pytest.raises(ConnectionClosedError):
        light.get_caller_identity()
    assert call(light)["Account"] == "123456789012"
    assert script.connections == 2
    assert len(script.requests) == 3, "nothing is sent twice"


def test_silence_is_a_timeout_and_the_late_answer_is_nobodys(script: Script) -> None:
    client = make_client(script, ours=True, read_timeout=0.2)
    client.get_caller_identity()
    script.answers = [[]]

    with pytest.raises(ReadTimeoutError):
        client.get_caller_identity()
    assert call(client)["Account"] == "123456789012"
    assert script.connections == 2


@pytest.mark.parametrize("read_timeout", [60, None])
def test_answer_may_take_longer_than_opening_a_connection(script: Script, read_timeout: float | None) -> None:
    client = make_client(script, ours=True, connect_timeout=0.3, read_timeout=read_timeout)
    script.together = Barrier(2)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get_caller_identity)
        wait_until(lambda: len(script.requests) == 1)
        sleep(0.6)
        script.together.wait(timeout=30)

        assert answer.result(timeout=60)["Account"] == "123456789012"


def test_client_without_a_timeout_waits_for_as_long_as_it_takes(script: Script) -> None:
    client = make_client(script, ours=True, read_timeout=None)

    assert [call(client)["Account"] for _ in range(3)] == 3 * ["123456789012"]
    assert script.connections == 1


def test_connection_that_the_server_closed_meanwhile_is_not_used(script: Script, light: Any) -> None:
    script.answers = [[USUAL, b""]]
    light.get_caller_identity()
    wait_until(lambda: script.closed == 1)

    assert call(light)["Account"] == "123456789012"
    assert script.connections == 2


def test_request_is_the_one_that_botocore_sends(script: Script, light: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {}
    for name, client in (("ours", light), ("theirs", make_client(script, ours=False))):
        call(client)
        call(client)
        head, _, body = script.requests[-1].partition(b"\r\n\r\n")
        changing = (b"authorization:", b"x-amz-date:", b"amz-sdk-invocation-id:", b"user-agent:")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(changing)]
        sent[name] = (lines[0], sorted(lines[1:]), len(head.split(b"\r\n")), body)

    assert sent["ours"] == sent["theirs"]


def test_header_that_could_end_the_head_is_not_written(script: Script, light: Any) -> None:
    def smuggle(request: Any, **_: Any) -> None:
        request.headers["x-a"] = "b\r\nx-c: d"

    light.meta.events.register("before-send", smuggle)
    with pytest.raises(HTTPClientError, match="Invalid header value"):
        light.get_caller_identity()
    assert len(script.requests) == 1


LARGE = CALLER.replace(b"AIDAEXAMPLE", b"A" * 300_000)


@pytest.mark.parametrize(
    "pieces",
    [
        [USUAL],
        [bytes([byte]) for byte in USUAL],
        [sized(LARGE)],
        [answer(b"", b"Transfer-Encoding: chunked"), CHUNKED, b"\r\n"],
    ],
    ids=["one piece", "byte by byte", "large", "in chunks"],
)
def test_answer_over_tls_is_read_whole(secret: Script, pieces: list[bytes]) -> None:
    client = make_client(secret, ours=True)
    client.get_caller_identity()
    secret.answers = [pieces]

    found = call(client)

    assert found["UserId"] in {"AIDAEXAMPLE", "A" * 300_000}
    assert call(client)["Account"] == "123456789012"
    assert (secret.connections, len(secret.requests)) == (1, 3)


@pytest.mark.parametrize("kind", ["script", "secret"])
def test_request_larger_than_any_buffer_arrives_whole(kind: str, request: pytest.FixtureRequest) -> None:
    script: Script = request.getfixturevalue(kind)
    client = make_client(script, ours=True)
    client.get_caller_identity()
    message = "x" * 12_000_000
    script.answers = [[sized(FORBIDDEN, status=b"403 Forbidden")]]

    with pytest.raises(ClientError, match="AccessDenied"):
        client.decode_authorization_message(EncodedMessage=message)

    assert script.requests[-1].endswith(b"EncodedMessage=" + message.encode())
    assert script.connections == 1


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
    clients.sts_at("us-east-1").get_caller_identity()

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


def test_missing_bundle_stays_an_error(sts: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))

    client = make_clients(connections=1).sts
    for _ in range(2):
        with pytest.raises(SSLError, match=r"none\.pem cannot be read"):
            client.get_caller_identity()


def test_client_certificate_is_shown_by_botocore(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with serve_sts(authority.issue(), client_bundle=authority.bundle) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        clients = make_clients(connections=1)
        config = clients.sts.meta.config.merge(Config(client_cert=str(authority.issue(name="client"))))
        client = send_through(clients.hub.client("sts", config=config), clients.hub, clients.connections)

        assert client.get_caller_identity()["Account"] == "123456789012"
