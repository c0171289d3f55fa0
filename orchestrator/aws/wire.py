"""Requests sent over connections that are open already, without http.client's way of writing and reading them.

urllib3 opens and verifies connections, goes through proxies, and makes the first call on each. Then they are kept here,
and later plain calls (a POST whose whole body is at hand) are written in one piece and their answers read in as few as
they come in. That spares two fifths of a call's CPU, and waiting: other threads run whenever one turns to the network,
and a call turns to it less often. An answer of another form is http.client's to read.
"""

import io
import re
import select
import weakref
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from ssl import SSLError as TLSError
from ssl import SSLWantReadError, SSLWantWriteError
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError, SSLError

from orchestrator.aws.trust import BundleOnceSession

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from urllib3 import PoolManager

C = TypeVar("C")

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


def sending_lightly(client: C) -> C:
    """Return a botocore client as it is, but for how it sends plain requests on connections that are open.

    Where botocore is not built as expected, nothing is changed at all.
    """
    session: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
    proxies = getattr(getattr(session, "_proxy_config", None), "_proxies", None)
    is_known = type(session) is BundleOnceSession and hasattr(session, "_manager")
    if is_known and proxies == {} and hasattr(select, "poll"):
        session.__class__ = _LightSession
        session.lines = {}
        weakref.finalize(session, _close, session.lines)
    return client


def _close(lines: "dict[str, deque[_Line]]") -> None:
    while lines:
        for line in lines.popitem()[1]:
            line.connection.close()


class _Headers(dict[str, str]):
    """Headers by lower-case name, which may be asked for in any case, as botocore's may."""

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict.get
        """Return a header, or the default."""
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class _LightResponse(AWSResponse):
    """botocore's response, without its mapping of headers, whose keys are objects of their own."""

    def __init__(self, url: str, answer: Answer) -> None:
        """Take an answer that is read whole."""
        self.url = url
        self.status_code = answer.status
        self.headers = _Headers(answer.headers)  # type: ignore[assignment]  # all that botocore asks of it
        self.raw = answer
        self._content = answer.content


class _LightSession(BundleOnceSession):
    """botocore's HTTP session, which sends plain requests itself where a connection is open."""

    lines: "dict[str, deque[_Line]]"
    """The connections that nobody uses now, by URL; the one used last comes first."""
    _manager: "PoolManager"
    _max_pool_connections: int

    def send(self, request: Any) -> AWSResponse:  # noqa: ANN401 - an AWSPreparedRequest, of which the stubs tell too little
        """Return the answer to a request. Raises what botocore's own session raises."""
        if not _is_plain(request):
            return super().send(request)
        line = self._take(request.url)
        if line is None:
            response = super().send(request)
            self._adopt(request.url)
            return response
        answer = None
        try:
            answer = line.exchange(line.write(request))
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except TLSError as error:
            raise SSLError(endpoint_url=request.url, error=error) from error
        except (OSError, HTTPException) as error:
            raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
        finally:
            if answer is not None and answer.keeps_open:
                self._keep(request.url, line)
            else:
                line.connection.close()
        return _LightResponse(request.url, answer)

    def close(self) -> None:
        """Close the connections, as botocore does."""
        _close(self.lines)
        super().close()

    def _take(self, url: str) -> "_Line | None":
        """Return a connection that its server has not closed, or none."""
        kept = self.lines.get(url)
        while kept:
            try:
                line = kept.pop()
            except IndexError:  # another thread was faster
                return None
            if not line.is_dropped():
                return line
            line.connection.close()
        return None

    def _adopt(self, url: str) -> None:
        """Take over a connection that urllib3 has opened and used, if one is idle."""
        pool: Any = self._manager.connection_from_url(url)
        connection = pool._get_conn()  # noqa: SLF001 - urlopen, its only caller, sends as well
        if connection.sock is None:
            pool._put_conn(connection)  # noqa: SLF001 - as above
        else:
            self._keep(url, _Line.over(connection, pool.timeout.read_timeout))

    def _keep(self, url: str, line: "_Line") -> None:
        kept = self.lines.setdefault(url, deque())
        if len(kept) < self._max_pool_connections:
            kept.append(line)
        else:
            line.connection.close()


def _is_plain(request: Any) -> bool:  # noqa: ANN401 - as above
    """Return whether a request can be written in one piece: all of it text without line breaks, and a body at hand."""
    body, headers = request.body, request.headers
    return (
        request.method == "POST"
        and isinstance(body, bytes)
        and not request.stream_output
        and headers.get("Content-Length") == str(len(body))
        and "Expect" not in headers
        and "Host" not in headers
        and all(isinstance(value, str) and value.isprintable() and value.isascii() for value in headers.values())
        and urlsplit(request.url).path == "/"
        and not (request.context or {}).get("read_timeout")
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """An open connection, which never blocks: whatever has to be waited for is waited for here, once."""

    connection: HTTPConnection
    head: str
    """What all its requests begin with, as http.client writes it."""
    timeout: int | None
    """Milliseconds that each wait may take; None: as long as it takes."""
    incoming: "select.poll"
    outgoing: "select.poll"

    @classmethod
    def over(cls, connection: HTTPConnection, timeout: float | None) -> "_Line":
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

    def write(self, request: Any) -> bytes:  # noqa: ANN401 - as above
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


def _read_as_http_client_does(line: _Line, received: bytes) -> Answer:
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

    def __init__(self, line: _Line, received: bytes) -> None:
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
