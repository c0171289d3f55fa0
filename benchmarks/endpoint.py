"""A fake AWS endpoint over TLS: one process, one thread, thousands of calls waiting at once.

`python -m benchmarks.endpoint SCENARIO CERTIFICATE KEY` serves a scenario (JSON) on a free port of 127.0.0.1, prints
the port, and ends when its standard input does. `GET /books` shows what was called. Each call waits the latency of the
scenario. Signatures are not verified: the access key names the account, the credential scope the service.
"""

import asyncio
import json
import re
import ssl
import sys

from benchmarks.aws import Aws
from benchmarks.books import Call
from benchmarks.organization import HUB_ACCOUNT_ID, Scenario
from benchmarks.wire import http

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CREDENTIAL = re.compile(rb"Credential=(\w+)/\d+/[\w-]+/(\w+)/")
_TARGET = re.compile(rb"\r\nx-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_END_OF_HEAD = b"\r\n\r\n"
_ASSUMED = b"ASIA"


class Connection(asyncio.Protocol):
    """One connection: calls in, answers out, one after the other."""

    def __init__(self, aws: Aws, latency_seconds: float) -> None:
        """Take what answers, and how long each answer waits."""
        self._aws = aws
        self._latency_seconds = latency_seconds
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each call that has arrived whole."""
        self._received += data
        while (end := self._received.find(_END_OF_HEAD)) >= 0:
            head = self._received[:end]
            found = _LENGTH.search(head)
            whole = end + len(_END_OF_HEAD) + (int(found[1]) if found else 0)
            if len(self._received) < whole:
                return
            body = self._received[end + len(_END_OF_HEAD) : whole]
            self._received = self._received[whole:]
            self._respond(head, body)

    def _respond(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /books"):
            self._send(http(json.dumps(self._aws.to_json()).encode(), content_type="application/json"))
            return
        answer = self._aws.answer(read_call(head, body))
        if self._latency_seconds:
            self._loop.call_later(self._latency_seconds, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def read_call(head: bytes, body: bytes) -> Call:
    """Return the call that a request makes; the account is told by the access key that AssumeRole handed out."""
    credential = _CREDENTIAL.search(head)
    key, service = credential.groups() if credential else (b"", b"")
    account = key[4:16].decode() if key.startswith(_ASSUMED) else HUB_ACCOUNT_ID
    action = _TARGET.search(head) or _ACTION.search(body)
    return Call(service.decode(), action[1].decode() if action else "", account, body)


async def serve(scenario: Scenario, certificate: str, key: str) -> None:
    """Serve until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    aws, loop = Aws(scenario), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(aws, scenario.latency_ms / 1000), "127.0.0.1", 0, ssl=context, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(Scenario(**json.loads(sys.argv[1])), *sys.argv[2:4]))
