"""Fast transport for AWS calls: signs, sends and parses in a handler of botocore's public event `before-call`.

botocore sends through urllib3 and a chain of event handlers, which takes several times the CPU (DECISIONS 42). Here
botocore's SigV4 signs, `connections` sends and botocore's parser reads the answer. botocore still handles parameters,
endpoints and errors, and every call that is not a signed POST, goes through a proxy or uses a client certificate. Of
botocore's events between `before-call` and `after-call` only `before-send` is emitted. There are no retries here.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from random import getrandbits
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit
from uuid import UUID

from botocore.auth import SIGNED_HEADERS_BLACKLIST, SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.endpoint import convert_to_response_dict
from botocore.hooks import first_non_none_response
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.utils import get_environ_proxies, parse_timestamp

from orchestrator.aws.connections import Connections, split_url

if TYPE_CHECKING:
    import boto3
    from botocore.model import OperationModel
    from botocore.signers import RequestSigner

C = TypeVar("C")

_log = logging.getLogger(__name__)
_NEVER_SIGNED = frozenset(SIGNED_HEADERS_BLACKLIST)
_KNOWN_SIGNING = {"region", "signing_name", "disableDoubleEncoding"}
_quote = lru_cache(maxsize=1024)(quote_plus)
"""Cached, because the same policy documents are sent again and again."""


def send_through(client: C, session: "boto3.Session", connections: Connections) -> C:
    """Return a client whose signed POST calls use these connections, unless it has a proxy, certificate or retries."""
    meta: Any = client.meta  # type: ignore[attr-defined]  # each client has it
    config, url = meta.config, meta.endpoint_url
    proxies = get_environ_proxies(url) if config.proxies is None else config.proxies
    tries_once = (config.retries or {}).get("total_max_attempts") == 1
    if tries_once and not config.client_cert and not proxies.get(urlsplit(url).scheme):
        meta.events.register_last("before-call", Transport(meta, session, connections).call)
    return client


class Transport:
    """Transport of the calls of one client. Thread-safe."""

    def __init__(self, meta: Any, session: "boto3.Session", connections: Connections) -> None:  # noqa: ANN401 - see send_through
        factory = ResponseParserFactory()
        factory.set_parser_defaults(timestamp_parser=read_timestamp)
        self._parser = factory.create_parser(meta.service_model.resolved_protocol)
        self._service = meta.service_model.service_id.hyphenize()
        self._events = meta.events
        self._session = session
        self._connections = connections

    def call(
        self,
        *,
        model: "OperationModel",
        params: Mapping[str, Any],
        request_signer: "RequestSigner",
        context: dict[str, Any],
        **_: object,
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """Return the HTTP answer to a call and the parsed one; None leaves the call to botocore."""
        if request_signer.signature_version != "v4" or not _is_signed_post(model, params, context):
            return None
        request = self._make_request(params, request_signer, context)
        answers = self._events.emit(f"before-send.{self._service}.{model.name}", request=request)
        http = first_non_none_response(answers)
        if http is None:
            http = self._connections.send(request)
        _log.debug("%s %s: HTTP %s from %s", self._service, model.name, http.status_code, params["url"])
        return http, self._parse(http, model)

    def _make_request(self, params: Mapping[str, Any], signer: "RequestSigner", context: dict[str, Any]) -> "_Request":
        body = params["body"]
        content = urlencode(body, quote_via=_quote).encode() if isinstance(body, dict) else body
        headers: Any = dict(params["headers"])
        request = _Request("POST", params["url"], headers, content, stream_output=False, context=context)
        credentials: Any = self._session.get_credentials()
        signing = context.get("signing", {})
        auth: Any = _Signer(
            credentials and credentials.get_frozen_credentials(),
            signing.get("signing_name") or signer.signing_name,
            signing.get("region") or signer.region_name,
        )
        auth.add_auth(request)
        # Not uuid4: threads wait for one another to get random numbers of the operating system.
        headers["amz-sdk-invocation-id"] = str(UUID(int=getrandbits(128), version=4))
        headers["amz-sdk-request"] = "attempt=1; max=1"
        headers["Content-Length"] = str(len(content))
        return request

    def _parse(self, http: AWSResponse, model: "OperationModel") -> dict[str, Any]:
        """Return an answer as botocore parses it; an error has the fields that the model gives its code."""
        answer, shape = convert_to_response_dict(http, model), model.output_shape
        parsed: Any = self._parser.parse(answer, shape)  # type: ignore[arg-type]  # the stubs leave out that it may be None
        if not isinstance(parsed, dict):  # JSON that is no object, such as null
            raise ResponseParserError("the answer is no object")
        error = parsed.get("Error")
        code = error.get("Code") if isinstance(error, dict) else None
        error_shape: Any = None if code is None else model.service_model.shape_for_error_code(code)
        if error_shape is not None and http.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            parsed |= self._parser.parse(answer, error_shape)
        parsed["ResponseMetadata"]["RetryAttempts"] = 0
        return parsed


def _is_signed_post(model: "OperationModel", params: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """Return whether a call is a POST with a body in memory, signed in headers and answered without streaming."""
    return (
        params["method"] == "POST"
        and isinstance(params["body"], dict | bytes)
        and context.get("auth_type") in {None, "v4"}
        and context.get("signing", {}).keys() <= _KNOWN_SIGNING
        and not context.get("unsigned_payload")
        and not context.get("checksum")
        and context.get("read_timeout") is None
        and not model.request_compression
        and not model.has_streaming_output
        and not model.has_event_stream_output
    )


class _Request(AWSPreparedRequest):
    """Prepared request that SigV4Auth can sign; it reads the parameters of the query, which a POST does not have."""

    params = None


class _SignedHeaders(dict[str, str]):
    """Headers by lower-case name, with the method that SigV4Auth calls."""

    def get_all(self, name: str) -> list[str]:
        return [self[name]]


class _Signer(SigV4Auth):
    """SigV4 signer with a faster `headers_to_sign`: botocore's own builds an e-mail message from the headers."""

    def headers_to_sign(self, request: Any) -> Any:  # noqa: ANN401 - not the request and headers of the stubs
        signed = _SignedHeaders(host=split_url(request.url)[0].host_header)
        for name, value in request.headers.items():
            if (lower := name.lower()) not in _NEVER_SIGNED:
                signed[lower] = value
        return signed


def read_timestamp(value: Any) -> datetime:  # noqa: ANN401 - whatever an answer holds
    """Return a date of an answer; Python itself reads the usual form, which is much faster."""
    if isinstance(value, str) and "T" in value:
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)
