"""Where botocore spends the CPU of a call: `python -m benchmarks.breakdown`.

One call is made many times on one thread, first as botocore makes it, then with one step after the other done by hand.
The steps are those of botocore's inside; nothing but this measurement should replace them like this.
"""

import os
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from time import process_time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import boto3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config

from benchmarks.measuring import certificates, make_environment, serving
from benchmarks.organization import Scenario, account_id, policy_arn, user_name
from benchmarks.sigv4 import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = 600
ROUNDS = 5
ACCOUNT = account_id(1)
KEYS = (f"ASIA{ACCOUNT}MADE", "s" * 40, "t" * 512)
_MOST_AT_ONCE = 262_144
_USER = user_name(1)
_OPERATIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("get_account_authorization_details", {"Filter": ["User", "Group"], "MaxItems": 1000}),
    ("get_account_summary", {}),
    ("list_virtual_mfa_devices", {"AssignmentStatus": "Assigned", "MaxItems": 1000}),
    ("list_account_aliases", {}),
    ("get_policy", {"PolicyArn": policy_arn(ACCOUNT)}),
    ("get_policy_version", {"PolicyArn": policy_arn(ACCOUNT), "VersionId": "v1"}),
    ("list_mfa_devices", {"UserName": _USER, "MaxItems": 1000}),
    ("get_login_profile", {"UserName": _USER}),
    ("attach_user_policy", {"UserName": _USER, "PolicyArn": policy_arn(ACCOUNT)}),
)


class _Body:
    """What botocore expects of an answer's body."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> "Iterator[bytes]":
        yield self._content


class _PlainHttp:
    """HTTP on one TLS socket that is kept, in the place of urllib3 and http.client."""

    def __init__(self) -> None:
        where = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
        plain = socket.create_connection((where.hostname, where.port))
        self._socket = context.wrap_socket(plain, server_hostname=where.hostname)
        self._host = where.netloc

    def send(self, request: Any) -> AWSResponse:  # noqa: ANN401 - botocore's AWSPreparedRequest
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = "".join(
            f"{name}: {value if isinstance(value, str) else value.decode()}\r\n"
            for name, value in request.headers.items()
        )
        self._socket.sendall(f"POST / HTTP/1.1\r\nHost: {self._host}\r\n{headers}\r\n".encode() + body)
        received = self._socket.recv(_MOST_AT_ONCE)
        head, _, content = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields: Any = HeadersDict(line.split(": ", 1) for line in lines)
        while len(content) < int(fields["Content-Length"]):
            content += self._socket.recv(_MOST_AT_ONCE)
        return AWSResponse(request.url, int(first.split()[1]), fields, _Body(content))


def send_by_hand(client: Any) -> None:  # noqa: ANN401 - the inside of a client
    """Have a client send over one plain socket."""
    client._endpoint.http_session = _PlainHttp()  # noqa: SLF001 - the measurement is of the inside


def keep_user_agent(client: Any) -> None:  # noqa: ANN401 - the inside of a client
    """Have a client make its user agent once."""
    made = client._user_agent_creator.to_string()  # noqa: SLF001 - the measurement is of the inside
    client._user_agent_creator.to_string = lambda: made  # noqa: SLF001 - as above


def sign_by_hand(client: Any) -> None:  # noqa: ANN401 - the inside of a client
    """Have a client sign with a key that is made once a day."""
    host = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
    signer = Signer(*KEYS, "iam", "us-east-1", host, f"{datetime.now(UTC):%Y%m%d}")

    def sign(_: str, request: Any) -> None:  # noqa: ANN401 - botocore's AWSRequest
        request.data = urlencode(request.data).encode()
        content_type = {"content-type": request.headers["Content-Type"]}
        for name, value in signer.headers(request.data, datetime.now(UTC), content_type).items():
            if name != "host":
                request.headers[name] = value

    client._request_signer.sign = sign  # noqa: SLF001 - the measurement is of the inside


def keep_endpoint(client: Any) -> None:  # noqa: ANN401 - the inside of a client
    """Have a client resolve its endpoint once."""
    operation = client.meta.service_model.operation_model("GetUser")
    resolved = client._resolve_endpoint_ruleset(operation, {}, {"client_region": "us-east-1"})  # noqa: SLF001 - the inside
    client._resolve_endpoint_ruleset = lambda *_, **__: resolved  # noqa: SLF001 - as above


STEPS: tuple[tuple[str, Callable[[Any], None]], ...] = (
    ("sent over one plain TLS socket, without urllib3 and http.client", send_by_hand),
    ("and the user agent made once", keep_user_agent),
    ("and signed by hand", sign_by_hand),
    ("and the endpoint resolved once", keep_endpoint),
)


def measure_cpu(client: Any, operation: str, parameters: dict[str, object]) -> float:  # noqa: ANN401 - a client
    """Return the CPU microseconds of a call, in the fastest of some rounds."""
    method, times = getattr(client, operation), []
    for _ in range(ROUNDS):
        began_at = process_time()
        for _ in range(CALLS // ROUNDS):
            method(**parameters)
        times.append(process_time() - began_at)
    return min(times) / (CALLS // ROUNDS) * 1e6


def make_client() -> Any:  # noqa: ANN401 - whose inside is measured
    """Return a client of IAM for an account of the endpoint."""
    access_key, secret_key, token = KEYS
    return boto3.Session().client(
        "iam",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )


def main() -> None:
    """Print what each operation costs, and what is left of one when its steps are done by hand."""
    with certificates() as folder, serving(Scenario(3, latency_ms=0), folder) as port:
        os.environ.update(make_environment(port, folder))
        client = make_client()
        for operation, parameters in _OPERATIONS:
            print(f"{measure_cpu(client, operation, parameters):6.0f} us  {operation}")
        print(f"\n{measure_cpu(client, 'list_mfa_devices', {'UserName': _USER}):6.0f} us  list_mfa_devices as it is")
        for what, change in STEPS:
            change(client)
            print(f"{measure_cpu(client, 'list_mfa_devices', {'UserName': _USER}):6.0f} us  {what}")


if __name__ == "__main__":
    main()
