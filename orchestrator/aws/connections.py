"""Persistent HTTP connections to AWS: opened, reused for later calls, and closed.

http.client writes the requests and reads the answers. A request is sent once; only `retries` decides whether a failed
one is sent again. Calls through a proxy do not use this module (`transport`).
"""

import io
import re
import selectors
import weakref
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from ssl import SSLError as TLSError
from threading import Lock
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.awsrequest import AWSResponse

from orchestrator.domain.errors import LocalFault

_BUFFER_SIZE = 65_536
_FOLD = re.compile(r"\r?\n[ \t]+").sub
_PORTS = {"http": 80, "https": 443}
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Address(NamedTuple):
    """Scheme, host and port of an endpoint."""

    scheme: str
    host: str
    port: int

    @property
    def host_header(self) -> str:
        """Value of the `Host` header, as http.client writes it and as it is signed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"


@lru_cache(maxsize=64)
def split_url(url: str) -> tuple[Address, str]:
    """Return the address of a URL, and its path with the query."""
    parts = urlsplit(url)
    address = Address(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
    return address, parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()


@dataclass(eq=False, kw_only=True)
class Connections:
    """Pool of connections to all endpoints; idle ones are kept for reuse. Thread-safe.

    The CA bundle is read once, when the first TLS connection is opened; `bundle_source` is the setting that names it,
    empty for the one that comes with the SDK. Timeouts are in seconds (None: no limit), `max_idle` is the most idle
    connections to keep for each address. When the pool is garbage-collected, its idle connections are closed.
    """

    ca_bundle: str
    connect_timeout: float
    read_timeout: float | None
    max_idle: int
    bundle_source: str = ""
    _context: SSLContext | None = field(default=None, init=False)
    _idle: "dict[Address, list[Connection]]" = field(default_factory=dict, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, _close_all, self._idle)

    def send(self, request: Any) -> AWSResponse:  # noqa: ANN401 - an AWSPreparedRequest, of which the stubs tell too little
        """Return the answer to a request. Raises the HTTPClientErrors that botocore's own HTTP session raises."""
        address, _ = split_url(request.url)
        connection = self._take_idle(address) or self._open(address, request.url)
        is_reusable = False
        try:
            answer, is_reusable = connection.exchange(request)
        except TimeoutError as error:
            raise exceptions.ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except TLSError as error:
            raise exceptions.SSLError(endpoint_url=request.url, error=error) from error
        except (OSError, HTTPException) as error:
            raise exceptions.ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
        except ValueError as error:  # http.client refuses a header that could end the head
            raise exceptions.HTTPClientError(error=error) from error
        finally:
            if not (is_reusable and self._keep(address, connection)):
                connection.close()
        return answer

    def _take_idle(self, address: Address) -> "Connection | None":
        """Return the most recently used idle connection that the server has not closed, or None."""
        while True:
            with self._lock:
                idle = self._idle.get(address)
                connection = idle.pop() if idle else None
            if connection is None or not connection.is_dropped():
                return connection
            connection.close()

    def _keep(self, address: Address, connection: "Connection") -> bool:
        """Keep a connection for later calls unless there are enough, and return whether it is kept."""
        with self._lock:
            idle = self._idle.setdefault(address, [])
            has_room = len(idle) < self.max_idle
            if has_room:
                idle.append(connection)
        return has_room

    def _open(self, address: Address, url: str) -> "Connection":
        if address.scheme == "http":
            http = _HttpConnection(address.host, address.port, timeout=self.connect_timeout)
        else:
            context = self.tls_context()
            http = _HttpsConnection(address.host, address.port, timeout=self.connect_timeout, context=context)
        try:
            http.connect()
            http.sock.settimeout(self.read_timeout)
            return Connection(http)
        except OSError as error:
            http.close()
            if isinstance(error, TimeoutError):
                raise exceptions.ConnectTimeoutError(endpoint_url=url, error=error) from error
            if isinstance(error, TLSError):
                raise exceptions.SSLError(endpoint_url=url, error=error) from error
            raise exceptions.EndpointConnectionError(endpoint_url=url, error=error) from error

    def tls_context(self) -> SSLContext:
        """Return the TLS context that all connections share. Raises LocalFault where the CA bundle cannot be used."""
        with self._lock:
            if self._context is None:
                context = SSLContext(PROTOCOL_TLS_CLIENT)  # which verifies certificates and host names
                try:
                    context.load_verify_locations(self.ca_bundle)
                except OSError as error:
                    reason = "it holds no certificate in PEM" if isinstance(error, TLSError) else error.strerror
                    named = f" that {self.bundle_source} names" if self.bundle_source else ""
                    message = f"the CA bundle{named} cannot be used: {self.ca_bundle}: {reason}"
                    raise LocalFault(message, code="CaBundle") from error
                self._context = context
            return self._context


class Connection:
    """An open connection, for one request at a time."""

    def __init__(self, http: "_HttpConnection") -> None:
        self._http = http
        self._selector: selectors.BaseSelector = _Selector()
        self._selector.register(http.sock, selectors.EVENT_READ)

    def is_dropped(self) -> bool:
        """Return whether the server closed this idle connection: then it has something to read."""
        return bool(self._selector.select(0))

    def exchange(self, request: Any) -> tuple[AWSResponse, bool]:  # noqa: ANN401 - as in Connections.send
        """Return the answer, and whether the connection can be reused. Raises OSError, HTTPException for a bad one."""
        http = self._http
        http.request(request.method, split_url(request.url)[1], request.body, request.headers)
        outgoing, http.outgoing = http.outgoing, b""
        http.sock.sendall(outgoing)
        with cast("_Response", http.getresponse()) as response:
            content = response.read()
            is_reusable = not response.will_close and not response.incoming.unread
        headers: Any = {}
        for name, text in response.getheaders():
            known, value = headers.get(name.lower()), _FOLD(" ", text)
            headers[name.lower()] = value if known is None else f"{known}, {value}"
        raw: Any = SimpleNamespace(stream=lambda: (content,))  # as botocore reads it
        return AWSResponse(request.url, response.status, headers, raw), is_reusable

    def close(self) -> None:
        """Close the connection."""
        self._selector.close()
        self._http.close()


def _close_all(idle: dict[Address, list[Connection]]) -> None:
    while idle:
        for connection in idle.popitem()[1]:
            connection.close()


class _Incoming:
    """Buffered reader of a connection's socket, for http.client.

    A line that is cut short is an error here; http.client's own reader takes half a head for a whole one. After an
    answer, `unread` holds what the server sent beyond it.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.unread = b""

    def readline(self, limit: int) -> bytes:
        while (end := self.unread.find(b"\n") + 1) == 0 and len(self.unread) < limit:
            more = self._raw.read(_BUFFER_SIZE)
            if not more:
                raise IncompleteRead(self.unread)
            self.unread += more
        return self._take(min(end or limit, limit))

    def read(self, size: int = -1) -> bytes:
        pieces, length = [self.unread], len(self.unread)
        while (size < 0 or length < size) and (more := self._raw.read(_BUFFER_SIZE)):
            pieces.append(more)
            length += len(more)
        self.unread = b"".join(pieces)
        return self._take(length if size < 0 else size)

    def _take(self, size: int) -> bytes:
        taken, self.unread = self.unread[:size], self.unread[size:]
        return taken

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._raw.close()


class _Response(HTTPResponse):
    """HTTP response that is read through `_Incoming`."""

    fp: Any

    def begin(self) -> None:
        self.incoming = self.fp = _Incoming(self.fp.detach())
        super().begin()


class _HttpConnection(HTTPConnection):
    """HTTP connection that buffers what http.client writes, so that head and body are sent in one piece."""

    response_class: Any = _Response
    outgoing = b""

    def send(self, data: Any) -> None:  # noqa: ANN401 - bytes; http.client allows more
        self.outgoing += data


class _HttpsConnection(_HttpConnection, HTTPSConnection):
    """The same over TLS."""
