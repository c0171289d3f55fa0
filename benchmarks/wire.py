"""HTTP, XML and JSON as AWS writes them: the query protocol of IAM and STS, the JSON protocol of Organizations.

An answer that names the account holds `PLACEHOLDER` in its place, which has as many digits as an account ID: so the
length of an answer stands when the account is put in.
"""

import json
from email.utils import formatdate

PLACEHOLDER = "000000000000"
_JSON = "application/x-amz-json-1.1"
_REQUEST_ID = "11111111-2222-3333-4444-555555555555"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 410: "Gone"}


def http(body: bytes, *, status: int = 200, content_type: str = "text/xml") -> bytes:
    """Return an answer of HTTP/1.1 that leaves the connection open."""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nx-amzn-RequestId: {_REQUEST_ID}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def xml(action: str, result: str = "", service: str = "iam") -> bytes:
    """Return the answer of the query protocol to an action."""
    namespace = "iam.amazonaws.com/doc/2010-05-08" if service == "iam" else "sts.amazonaws.com/doc/2011-06-15"
    inner = f"<{action}Result>{result}</{action}Result>" if result else ""
    return http(
        f'<{action}Response xmlns="https://{namespace}/">{inner}'
        f"<ResponseMetadata><RequestId>{_REQUEST_ID}</RequestId></ResponseMetadata></{action}Response>".encode()
    )


def xml_error(code: str, status: int) -> bytes:
    """Return an error of the query protocol."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{code}: made by the benchmark</Message></Error>"
    return http(f"<ErrorResponse>{error}<RequestId>{_REQUEST_ID}</RequestId></ErrorResponse>".encode(), status=status)


def json_answer(answer: object, *, status: int = 200) -> bytes:
    """Return an answer of the JSON protocol."""
    return http(json.dumps(answer).encode(), status=status, content_type=_JSON)


def throttling(service: str) -> bytes:
    """Return the answer to a call over the rate, in the protocol of the service."""
    if service == "organizations":
        return json_answer({"__type": "TooManyRequestsException", "message": "made by the benchmark"}, status=400)
    return xml_error("Throttling", 400)
