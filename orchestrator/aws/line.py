"""An open connection over which a plain request is written, and its answer read, without http.client.

A request is written in one piece, and an answer read in as few as it comes in. An answer of another form than the
usual one is http.client's to read.
"""

import io
import re
import select
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from ssl import SSLWantReadError, SSLWantWriteError
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MOST_AT_ONCE = 16_384
"""Bytes: the most that a TLS record holds, so that none is left in the TLS layer, where nobody sees it from outside."""
_LONGEST_HEAD = 65_536
_END_OF_HEAD = b"\r\n\r\n"
_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
_FOLD = re.compile(r"\r\n[ \t]+").sub
_USUAL_HEAD = re.compile(r"HTTP/1\.1 ([2-5]\d\d) [^\r\n]*((?:\r\n[!-9;-~]+:[^\r\n]*)+)").fullmatch


class Answer(NamedTuple):
    """An HTTP answer, read whole, with its headers by lower-case name."""

    status: int
    headers: dict[str, str]
    content: bytes
    keeps_open: bool
    """Whether the connection can be used again."""


@dataclass(frozen=True, slots=True)
class Line:
    """An open connection, which never blocks: whatever has to be waited for is waited for here, once."""

    connection: HTTPConnection
    head: str
    """What all its requests begin with, as http.client writes it."""
    timeout: int | None
    """Milliseconds that each wait may take; None: as long as it takes."""
    incoming: "select.poll"
    outgoing: "select.poll"

    @classmethod
    def over(cls, connection: HTTPConnection, timeout: float | None) -> "Line":
        """Return a line over a connection, with the seconds that each wait may take, if there is an end to it."""
        host = f"[{connection.host}]" if ":" in connection.host else connection.host
        if connection.port != connection.default_port:
            host = f"{host}:{connection.port}"
        connection.sock.settimeout(0)
        incoming, outgoing = select.poll(), select.poll()
        incoming.register(connection.sock, select.POLLIN)
        outgoing.register(connection.sock, select.POLLOUT)
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n"
        return cls(connection, head, None if timeout is None else int(1000 * timeout), incoming, outgoing)

    def is_dropped(self) -> bool:
        """Return whether there is something to read though nothing was asked: that the server closes, most often."""
        return bool(self.incoming.poll(0))

    def write(self, request: Any) -> bytes:  # noqa: ANN401 - an AWSPreparedRequest, of which the stubs tell too little
        """Return a request as http.client would write it."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        return f"{self.head}{lines}\r\n".encode("ascii") + request.body  # type: ignore[no-any-return]

    def exchange(self, content: bytes) -> Answer:
        """Send a request and return its answer.

        Raises the OSErrors of the socket, TimeoutError too, and HTTPException for an answer that breaks off or is none.
        """
        self._send(content)
        self._wait(self.incoming)
        received = self.receive()
        while (end := received.find(_END_OF_HEAD)) < 0 and len(received) <= _LONGEST_HEAD:
            more = self.receive()
            if received and not more:  # http.client would take this for the end of the head
                raise IncompleteRead(received)
            if not more:
                break
            received += more
        usual = None if end < 0 else _read_head(received[:end])
        if usual is None:
            return _read_as_http_client_does(self, received)
        status, headers, length = usual
        parts = [received[end + len(_END_OF_HEAD) :]]
        missing = length - len(parts[0])
        while missing > 0:
            more = self.receive()
            if not more:
                raise IncompleteRead(b"".join(parts), missing)
            parts.append(more)
            missing -= len(more)
        keeps_open = missing == 0 and headers.get("connection", "keep-alive").lower() == "keep-alive"
        return Answer(status, headers, b"".join(parts)[:length], keeps_open)

    def receive(self) -> bytes:
        """Return what comes next, nothing at the end. Raises OSError."""
        while True:
            try:
                return self.connection.sock.recv(_MOST_AT_ONCE)
            except (SSLWantReadError, BlockingIOError):
                self._wait(self.incoming)
            except SSLWantWriteError:
                self._wait(self.outgoing)

    def _send(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            try:
                left = left[self.connection.sock.send(left) :]
            except SSLWantReadError:
                self._wait(self.incoming)
            except (SSLWantWriteError, BlockingIOError):
                self._wait(self.outgoing)

    def _wait(self, poll: "select.poll") -> None:
        if not poll.poll(self.timeout):
            message = f"nothing came or went for {self.timeout} ms"
            raise TimeoutError(message)


def _read_head(head: bytes) -> tuple[int, dict[str, str], int] | None:
    """Return an answer's status, its headers by lower-case name and its length; None where it is of another form."""
    text = head.decode("latin-1")
    usual = _USUAL_HEAD(text)
    if usual is None:
        return None
    headers, (_, *lines) = {}, usual[2].split("\r\n")
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    status, length = int(usual[1]), headers.get("content-length", "")
    is_sized = length.isdecimal() and "transfer-encoding" not in headers and status not in _BODILESS
    return (status, headers, int(length)) if is_sized and len(headers) == len(lines) else None


def _read_as_http_client_does(line: Line, received: bytes) -> Answer:
    """Return an answer that is read to its end by http.client, from what has come already on."""
    response = HTTPResponse(_Continued(line, received), method="POST")  # type: ignore[arg-type]  # makefile will do
    try:
        response.begin()
        content = response.read()
        headers: dict[str, str] = {}
        for name, text in response.getheaders():
            known, value = headers.get(name.lower()), _FOLD(" ", text)
            headers[name.lower()] = value if known is None else f"{known}, {value}"
        return Answer(response.status, headers, content, keeps_open=not response.will_close)
    finally:
        response.close()


class _Continued(io.RawIOBase):
    """What has come over a connection, and then what still comes."""

    def __init__(self, line: Line, received: bytes) -> None:
        super().__init__()
        self._line, self._received = line, received

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return this to be read, as http.client asks a socket to."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer and return how far; 0 at the end."""
        into = memoryview(buffer)
        self._received = self._received or self._line.receive()
        piece, self._received = self._received[: len(into)], self._received[len(into) :]
        into[: len(piece)] = piece
        return len(piece)
