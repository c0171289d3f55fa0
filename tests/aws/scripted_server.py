"""Scripted HTTP server and its client, for the tests of connections: each request gets the next of its answers."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Barrier, Thread
from time import sleep
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
)
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParserError

from orchestrator.aws.connections import Connections
from orchestrator.aws.transport import send_through
from tests.tls import CALLER

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
