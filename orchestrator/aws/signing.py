"""Requests built and signed in one pass, where botocore takes a chain of event handlers: a third of a call's CPU.

For plain calls alone: POST, the whole body at hand, Signature Version 4 in headers. Any other is left to botocore, and
so is all that comes before and after: parameters, endpoint, the `before-send` event, sending, parsing, errors. The
request is the same to the byte; a test compares them. Source: IAM User Guide, 'Create a signed AWS API request'.
"""

import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from random import getrandbits
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote_plus, urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import get_current_datetime
from botocore.endpoint import Endpoint
from botocore.signers import RequestSigner

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from botocore.model import OperationModel

C = TypeVar("C")

_UNSIGNED_HEADERS = frozenset({"user-agent"})
_PORTS = {"http": 80, "https": 443}
_PLAIN_SIGNING = frozenset({"region", "signing_name", "disableDoubleEncoding"})


def signing_plainly(client: C) -> C:
    """Return a botocore client as it is, but for how it builds plain requests.

    Where botocore is not built as expected, nothing is changed at all. Handlers of `request-created`, `choose-signer`
    and `before-sign` are not called for plain requests.
    """
    endpoint: Any = getattr(client, "_endpoint", None)
    signer: Any = getattr(client, "_request_signer", None)
    is_known = type(endpoint) is Endpoint and type(signer) is RequestSigner and signer.signature_version == "v4"
    if is_known:
        endpoint.__class__ = _PlainEndpoint
        endpoint.signer = signer
    return client


class _PlainEndpoint(Endpoint):
    """botocore's endpoint, with a way of its own to make a plain request."""

    signer: Any

    def _update_retries_context(self, context: dict[str, Any], attempt: int, success_response: object = None) -> None:
        """Name the call, at random; the operating system's random numbers, which botocore takes, make threads wait."""
        context.setdefault("retries", {}).setdefault("invocation-id", _random_id())
        super()._update_retries_context(context, attempt, success_response)  # type: ignore[misc]  # told by no stub

    def create_request(
        self, params: Mapping[str, Any], operation_model: "OperationModel | None" = None
    ) -> AWSPreparedRequest:
        """Return a request that is ready to be sent."""
        source = self.signer._credentials  # noqa: SLF001 - botocore hands them to its own signers alone
        if source is None or operation_model is None or not _is_plain(params, operation_model):
            request: AWSPreparedRequest = super().create_request(params, operation_model)
            return request
        credentials = source.get_frozen_credentials()
        context: dict[str, Any] = params["context"]
        body: Any = params["body"]
        content = _encode(body) if isinstance(body, dict) else body
        timestamp = context["timestamp"] = f"{get_current_datetime():%Y%m%dT%H%M%SZ}"
        headers: Any = {**params["headers"], "X-Amz-Date": timestamp}
        if credentials.token:
            headers["X-Amz-Security-Token"] = credentials.token
        signing = context.get("signing", {})
        headers["Authorization"] = sign(
            content,
            {**headers, "host": _split(params["url"])[0]},
            path=_split(params["url"])[1],
            credentials=credentials,
            scope=(
                timestamp[:8],
                signing.get("region") or self.signer.region_name,
                signing.get("signing_name") or self.signer.signing_name,
            ),
        )
        headers |= _retry_headers(context)
        headers["Content-Length"] = str(len(content))
        return AWSPreparedRequest("POST", params["url"], headers, content, stream_output=False, context=context)


def sign(
    content: bytes,
    headers: dict[str, str],
    *,
    path: str,
    credentials: "ReadOnlyCredentials",
    scope: tuple[str, str, str],
) -> str:
    """Return the Authorization header of a POST; the scope is the day of `X-Amz-Date`, the Region and the service."""
    lines = {
        name.lower(): " ".join(value.split()) if " " in value or "\t" in value else value
        for name, value in headers.items()
    }
    names = sorted(lines.keys() - _UNSIGNED_HEADERS)
    canonical = "\n".join(
        (
            "POST",
            path,
            "",
            *(f"{name}:{lines[name]}" for name in names),
            "",
            ";".join(names),
            sha256(content).hexdigest(),
        )
    )
    whole_scope = "/".join((*scope, "aws4_request"))
    digest = sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['X-Amz-Date']}\n{whole_scope}\n{digest}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope, "aws4_request"):  # not hmac.digest, which lets other threads run meanwhile
        key = hmac.new(key, part.encode(), "sha256").digest()
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    return (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{whole_scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )


def _random_id() -> str:
    """Return a random UUID of version 4, of the variant of RFC 9562."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[getrandbits(2)]}{digits[17:20]}-{digits[20:]}"


def _encode(parameters: Mapping[str, Any]) -> bytes:
    """Return parameters as a form, as `urlencode` writes it."""
    return "&".join(f"{_quote(name)}={_quote(str(value))}" for name, value in parameters.items()).encode()


_quote = lru_cache(maxsize=1024)(quote_plus)
"""Kept, because the same policy documents are sent again and again, and quoting a long text takes Python a while."""


def _is_plain(params: Mapping[str, Any], operation_model: "OperationModel") -> bool:
    """Return whether this module knows how to sign a request."""
    context, body = params["context"], params["body"]
    return (
        params["method"] == "POST"
        and bool(body)
        and isinstance(body, dict | bytes)
        and _split(params["url"])[1] == "/"
        and not operation_model.has_streaming_output
        and not operation_model.has_event_stream_output
        and context.get("auth_type") in {None, "v4"}
        and not context.get("unsigned_payload")
        and context.get("payload_signing_enabled", True)
        and context.get("signing", {}).keys() <= _PLAIN_SIGNING
        and context["retries"].keys() == {"attempt", "invocation-id"}
        and context["client_config"].signature_version == "v4"
    )


def _retry_headers(context: dict[str, Any]) -> dict[str, str]:
    """Return what botocore tells AWS of the tries of a call, of which it makes one itself."""
    retries = context["retries"]
    most = context["client_config"].retries["total_max_attempts"]
    return {
        "amz-sdk-invocation-id": retries["invocation-id"],
        "amz-sdk-request": f"attempt={retries['attempt']}; max={most}",
    }


@lru_cache(maxsize=64)
def _split(url: str) -> tuple[str, str]:
    """Return the host as it is signed, without the port that goes without saying, and the path and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port not in {None, _PORTS.get(parts.scheme)}:
        host = f"{host}:{parts.port}"
    return host, parts._replace(scheme="", netloc="").geturl()
