"""The CA bundle, read once for each client rather than once for each connection.

urllib3 has the TLS context of a client read the bundle again whenever it opens a connection, tens of milliseconds of
CPU each time, though the context has it already. Verification, proxies, client certificates and AWS_CA_BUNDLE stay
botocore's.
"""

from ssl import SSLContext
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from botocore.httpsession import URLLib3Session

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, StrOrBytesPath

C = TypeVar("C")

_reading = Lock()


class _ReadsOnce(SSLContext):
    """A TLS context that reads no CA bundle a second time. A bundle that changes meanwhile counts in the next process.

    It takes the place of the class of a context that is set up already, so it adds nothing that `__init__` must set.
    """

    def load_verify_locations(
        self,
        cafile: "StrOrBytesPath | None" = None,
        capath: "StrOrBytesPath | None" = None,
        cadata: "str | ReadableBuffer | None" = None,
    ) -> None:
        """Load what is named, unless this context has loaded it; threads that come meanwhile wait."""
        named = (cafile, capath, cadata)
        with _reading:
            loaded: list[object] = self.__dict__.setdefault("loaded", [])
            if named not in loaded:
                super().load_verify_locations(*named)
                loaded.append(named)


class BundleOnceSession(URLLib3Session):
    """botocore's HTTP session, with such contexts also for the proxies it connects to later."""

    def _get_ssl_context(self) -> SSLContext:
        return _reading_once(super()._get_ssl_context())  # type: ignore[misc]  # botocore's own, told by no stub


def reading_bundle_once(client: C) -> C:
    """Return a botocore client as it is, but for how often it reads the CA bundle.

    Where botocore is not built as expected, nothing is changed at all.
    """
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    manager = getattr(session, "_manager", None)
    context = getattr(manager, "connection_pool_kw", {}).get("ssl_context")
    if type(session) is URLLib3Session and hasattr(session, "_get_ssl_context") and isinstance(context, SSLContext):
        session.__class__ = BundleOnceSession
        _reading_once(context)
    return client


def _reading_once(context: SSLContext) -> SSLContext:
    if type(context) is SSLContext:
        context.__class__ = _ReadsOnce
    return context
