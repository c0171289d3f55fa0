"""HTTPS without a library: connections that are kept, one call at a time on each, and SigV4 by hand."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from benchmarks.sigv4 import Signer

MAX_ATTEMPTS = 12
FIRST_WAIT_SECONDS = 0.4
MAX_WAIT_SECONDS = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_THROTTLED = re.compile(rb"Throttling|TooManyRequestsException")
_END_OF_HEAD = b"\r\n\r\n"


class CallFailed(Exception):
    """A call that was answered with an error, or was throttled to the end."""


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._received = b""
        self._whole = 0
        self._waiting: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._whole:
            end = self._received.find(_END_OF_HEAD)
            if end < 0:
                return
            found = _LENGTH.search(self._received, 0, end)
            self._whole = end + len(_END_OF_HEAD) + (int(found[1]) if found else 0)
        if len(self._received) < self._whole:
            return
        head, _, body = self._received.partition(_END_OF_HEAD)
        self._received, self._whole = b"", 0
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result((head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or CallFailed("the connection was closed"))

    def send(self, request: bytes) -> "asyncio.Future[tuple[bytes, bytes]]":
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Request:
    """A call to be made: who signs it, its body, and the headers that tell the protocol."""

    signer: Signer
    body: bytes
    headers: dict[str, str]


class Connections:
    """The connections to one endpoint, opened as they are needed, up to so many."""

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext, most: int) -> None:
        """Take where to connect to, and how many connections there may be."""
        self._where = (host, port, context)
        self._idle: list[_Line] = []
        self._free = asyncio.Semaphore(most)
        self._random = Random()  # noqa: S311 - for the waits between tries

    async def call(self, request: Request) -> bytes:
        """Return the body of the answer. Raises CallFailed where it is an error; what was throttled is tried again."""
        for attempt in range(MAX_ATTEMPTS):
            head, body = await self._exchange(request)
            if head.startswith(b"HTTP/1.1 200"):
                return body
            if not _THROTTLED.search(body):
                raise CallFailed(body.decode())
            await asyncio.sleep(self._random.uniform(0, min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**attempt)))
        raise CallFailed("throttled to the end")

    async def _exchange(self, request: Request) -> tuple[bytes, bytes]:
        async with self._free:
            line = self._idle.pop() if self._idle else await self._open()
            answer = await line.send(_render(request))
            self._idle.append(line)
            return answer

    async def _open(self) -> _Line:
        host, port, context = self._where
        _, line = await asyncio.get_running_loop().create_connection(_Line, host, port, ssl=context)
        return line

    def close(self) -> None:
        """Close them all."""
        for line in self._idle:
            line.close()


def _render(request: Request) -> bytes:
    headers = request.signer.headers(request.body, datetime.now(UTC), request.headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}content-length: {len(request.body)}\r\n\r\n".encode() + request.body
