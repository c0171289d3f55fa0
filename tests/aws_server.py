"""moto over loopback HTTP, with what moto lacks, faults on demand, and books of every call.

`AwsServer` is a moto server behind a WSGI layer that
  - writes each call into `calls` (action, account it was made in, parameters, answer's status): the fake's own books;
  - refuses AssumeRole for roles in `missing_roles`, which moto would let anybody assume;
  - answers SimulatePrincipalPolicy, which moto has not, in the shape of botocore 1.44: all allowed, but for users in
    `cannot_enrol`;
  - answers ListServiceSpecificCredentials, which moto has not, for all users or for one, from `credentials`;
  - knows the quotas of ten policies and ten groups a user, which moto does not;
  - gives the credential report the time it was really made, which moto dates to 2015;
  - asks `faults` before each call; the first that answers stands in the place of AWS.
A fault is a function from `Call` to an answer, or None to let the call pass; `after` faults see the answer of moto
first, so that a write can take effect and its answer still be lost.
"""

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from threading import Lock, Thread
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

import boto3
from moto.backends import get_backend
from moto.iam.models import get_account_id_from
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from tests.moto_state import dump_moto, empty_moto, load_moto

T = TypeVar("T")

MANAGEMENT = "123456789012"
"""moto's own account, and so the management account and hub of each test organization."""
QUOTA = 10


@dataclass(frozen=True, slots=True)
class Call:
    """One API call as AWS saw it."""

    service: str
    action: str
    account_id: str
    parameters: dict[str, str]
    access_key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer in the place of moto's; `status` 0 drops the connection without one."""

    status: int
    body: str
    content_type: str = "text/xml"


Fault = Callable[[Call], Answer | None]


def xml_error(code: str, message: str = "injected", status: int = 400) -> Answer:
    """Return an error in the way of IAM and STS (query protocol)."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, f"<ErrorResponse>{error}</ErrorResponse>")


def json_error(code: str, message: str = "injected", status: int = 400) -> Answer:
    """Return an error in the way of Organizations, SSM and Secrets Manager (JSON protocol)."""
    return Answer(status, json.dumps({"__type": code, "message": message}), "application/x-amz-json-1.1")


def error_for(call: Call, code: str, message: str = "injected", status: int = 400) -> Answer:
    """Return an error in the protocol of the call."""
    make = xml_error if call.service in {"iam", "sts"} else json_error
    return make(code, message, status)


@dataclass(frozen=True, slots=True)
class Credential:
    """A service-specific credential of a user; `expires` is its end, in ISO 8601."""

    account_id: str
    user_name: str
    service: str = "codecommit.amazonaws.com"
    status: str = "Active"
    expires: str = ""


def list_credentials(*found: Credential, marker: str = "") -> Answer:
    """Return a page of service-specific credentials; with a marker, more follow."""
    entries = "".join(
        f"<member><UserName>{each.user_name}</UserName><ServiceName>{each.service}</ServiceName>"
        f"<Status>{each.status}</Status><ServiceSpecificCredentialId>ACCAEXAMPLE{index:06}</ServiceSpecificCredentialId>"
        "<CreateDate>2026-01-01T00:00:00Z</CreateDate>"
        + (f"<ExpirationDate>{each.expires}</ExpirationDate>" if each.expires else "")
        + "</member>"
        for index, each in enumerate(found)
    )
    more = f"<Marker>{marker}</Marker>" if marker else ""
    listed = f"<ServiceSpecificCredentials>{entries}</ServiceSpecificCredentials>{more}"
    return _answer("ListServiceSpecificCredentials", f"{listed}<IsTruncated>{str(bool(marker)).lower()}</IsTruncated>")


def simulated(
    action: str,
    resource: str,
    decision: str = "allowed",
    *,
    organization: bool = True,
    boundary: bool | None = None,
    missing: Iterable[str] = (),
    matched: Iterable[str] = (),
) -> str:
    """Return what the simulator decides on an action and a resource, in the shape of botocore 1.44."""
    statements = "".join(f"<member><SourcePolicyId>{name}</SourcePolicyId></member>" for name in matched)
    keys = "".join(f"<member>{key}</member>" for key in missing)
    allowed = f"<AllowedByPermissionsBoundary>{str(boundary).lower()}</AllowedByPermissionsBoundary>"
    details = (
        f"<MatchedStatements>{statements}</MatchedStatements><MissingContextValues>{keys}</MissingContextValues>"
        + (
            ""
            if boundary is None
            else f"<PermissionsBoundaryDecisionDetail>{allowed}</PermissionsBoundaryDecisionDetail>"
        )
    )
    specific = (
        f"<member><EvalResourceName>{resource}</EvalResourceName>"
        f"<EvalResourceDecision>{decision}</EvalResourceDecision>{details}</member>"
    )
    return (
        f"<member><EvalActionName>{action}</EvalActionName>"
        "<EvalResourceName>arn:${Partition}:iam::${Account}:user/${UserNameWithPath}</EvalResourceName>"
        f"<EvalDecision>{decision}</EvalDecision><OrganizationsDecisionDetail><AllowedByOrganizations>"
        f"{str(organization).lower()}</AllowedByOrganizations></OrganizationsDecisionDetail>{details}"
        f"<ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
    )


def simulation(*results: str) -> Answer:
    """Return the simulator's answer with these results."""
    body = f"<EvaluationResults>{''.join(results)}</EvaluationResults><IsTruncated>false</IsTruncated>"
    return _answer("SimulatePrincipalPolicy", body)


def _answer(action: str, body: str) -> Answer:
    return Answer(200, f"<{action}Response><{action}Result>{body}</{action}Result></{action}Response>")


@dataclass
class AwsServer:
    """A served AWS; enter it to start, `reset` it between tests."""

    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    after: list[Fault] = field(default_factory=list)
    missing_roles: set[tuple[str, str]] = field(default_factory=set)
    cannot_enrol: set[str] = field(default_factory=set)
    credentials: list[Credential] = field(default_factory=list)
    _server: BaseWSGIServer | None = None
    _lock: Lock = field(default_factory=Lock)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _applications: dict[str, Any] = field(default_factory=dict)
    _prepared: dict[Callable[["AwsServer"], Any], "_Prepared"] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Empty AWS, the books and the faults."""
        empty_moto()
        for books in (self.calls, self.faults, self.after, self.missing_roles, self.cannot_enrol, self.credentials):
            books.clear()
        # The credentials of the others are gone with the accounts.
        self._clients = {key: client for key, client in self._clients.items() if key[1] == MANAGEMENT}

    def prepare(self, build: Callable[["AwsServer"], T]) -> T:
        """Return what a function makes of an empty AWS, which it sets up; the books are empty then.

        It is called once: from then on AWS is put back as it left it, so what it returns must hold nothing that a test
        changes.
        """
        if build not in self._prepared:
            self.reset()
            made = build(self)
            self._prepared[build] = _Prepared(made, dump_moto(), self._clients)
        prepared = self._prepared[build]
        self.reset()
        load_moto(prepared.state)
        self._clients |= prepared.clients
        made_before: T = prepared.made
        return made_before

    def actions(self, account_id: str | None = None) -> list[str]:
        """Return the actions called so far, in an account or in all."""
        return [call.action for call in self.calls if account_id in (None, call.account_id)]

    def writes(self) -> list[Call]:
        """Return the calls so far that change IAM."""
        reading = ("Get", "List", "Generate", "Simulate", "Assume", "Describe")
        return [call for call in self.calls if call.service == "iam" and not call.action.startswith(reading)]

    def forget_calls(self) -> None:
        """Begin new books: what a test set up is not what the program did."""
        self.calls.clear()

    def expire_reports(self) -> None:
        """Have four hours go by for the credential reports: moto uses one for ever."""
        for backends in get_backend("iam").values():
            for backend in backends.values():
                backend.credential_report = None

    def client(self, service: str, account_id: str = MANAGEMENT) -> Any:
        """Return a client in an account, for a test to set up or look at; its calls are in the books too."""
        key = service, account_id
        if key not in self._clients:
            self._clients[key] = self._make_client(service, account_id)
        return self._clients[key]

    def _make_client(self, service: str, account_id: str) -> Any:
        hub: dict[str, Any] = {"aws_access_key_id": "AKIAEXAMPLEHUB000000", "aws_secret_access_key": "not-a-secret"}
        if account_id != MANAGEMENT:
            sts = self.client("sts")
            role = f"arn:aws:iam::{account_id}:role/test-set-up"
            keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            hub = {
                "aws_access_key_id": keys["AccessKeyId"],
                "aws_secret_access_key": keys["SecretAccessKey"],
                "aws_session_token": keys["SessionToken"],
            }
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **hub)  # type: ignore[call-overload]

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        call = _read_call(environ, body)
        self.calls.append(call)
        ours = (
            self._refuse_missing_role,
            self._refuse_over_quota,
            self._simulate,
            self._list_credentials,
            _tell_sign_in,
        )
        for fault in (*self.faults, *ours):
            if answer := fault(call):
                return _send(answer, start_response)
        caught: dict[str, Any] = {}

        def keep(status: str, headers: Any, _: Any = None) -> Callable[[bytes], object]:
            caught.update(status=status, headers=headers)
            return lambda _: None

        with self._lock:
            content = b"".join(self._find_application(call, environ)(environ, keep))
        for fault in self.after:
            if answer := fault(call):
                return _send(answer, start_response)
        content = _date_report(call, content)
        headers = [(name, value) for name, value in caught["headers"] if name.lower() != "content-length"]
        start_response(caught["status"], [*headers, ("Content-Length", str(len(content)))])
        return [content]

    def _find_application(self, call: Call, environ: WSGIEnvironment) -> Any:
        """Return moto's application for the service of a call; moto looks through its folders for it, call by call."""
        if not call.service:
            return self._moto
        if call.service not in self._applications:
            self._applications[call.service] = self._moto.get_application(environ)
        return self._applications[call.service]

    def _refuse_missing_role(self, call: Call) -> Answer | None:
        if call.action != "AssumeRole":
            return None
        _, _, account_id, role = _read_arn(call.parameters["RoleArn"])
        if (account_id, role.removeprefix("role/")) not in self.missing_roles:
            return None
        who = "arn:aws:sts::123456789012:assumed-role/hub/session"
        message = f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {call.parameters['RoleArn']}"
        return xml_error("AccessDenied", message, 403)

    def _refuse_over_quota(self, call: Call) -> Answer | None:
        if call.action not in {"AttachUserPolicy", "AddUserToGroup"}:
            return None
        backend: Any = get_backend("iam")[call.account_id]["aws"]
        user = backend.users.get(call.parameters["UserName"])
        if user is None:
            return None
        if call.action == "AttachUserPolicy":
            is_there = call.parameters["PolicyArn"] in user.managed_policies
            is_full = len(user.managed_policies) >= QUOTA and not is_there
        else:
            groups = backend.get_groups_for_user(user.name)
            is_there = any(group.name == call.parameters["GroupName"] for group in groups)
            is_full = len(groups) >= QUOTA and not is_there
        return xml_error("LimitExceeded", "Cannot exceed quota", 409) if is_full else None

    def _simulate(self, call: Call) -> Answer | None:
        if call.action != "SimulatePrincipalPolicy":
            return None
        denied = call.parameters["PolicySourceArn"].rpartition("/")[2] in self.cannot_enrol
        decision = "explicitDeny" if denied else "allowed"
        (resource,) = members(call, "ResourceArns")
        return simulation(
            *(simulated(action, resource, decision, organization=not denied) for action in members(call, "ActionNames"))
        )

    def _list_credentials(self, call: Call) -> Answer | None:
        if call.action != "ListServiceSpecificCredentials":
            return None
        asked = (call.parameters.get("UserName"), call.parameters.get("ServiceName"))
        return list_credentials(
            *(
                each
                for each in self.credentials
                if each.account_id == call.account_id
                and asked[0] in (None, each.user_name)
                and asked[1] in (None, each.service)
            )
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An AWS that was set up: what the function returned, what moto held then, and the clients that had been made."""

    made: Any
    state: bytes
    clients: dict[tuple[str, str], Any]


class _Handler(MotoRequestHandler):
    """Serves quietly, and drops the connection where a fault says so."""

    protocol_version = "HTTP/1.1"

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        pass


def _read_call(environ: WSGIEnvironment, body: bytes) -> Call:
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    credential = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/", authorization)
    access_key, service = credential.groups() if credential else ("", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if service == "signin":  # such as /get-console-authorization-configuration
        target = environ["PATH_INFO"].title().replace("-", "").replace("/", "")
    parameters: dict[str, str] = {}
    if target:
        action = target.rpartition(".")[2]
        with suppress(ValueError):
            parameters = {key: str(value) for key, value in json.loads(body or b"{}").items()}
    elif service == "s3":
        action = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    else:
        parameters = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        action = parameters.get("Action", "")
    account_id = get_account_id_from(access_key) if access_key else ""
    return Call(service, action, account_id, parameters, access_key)


def _tell_sign_in(call: Call) -> Answer | None:
    """Answer for the sign-in service, which moto does not know: console authorization is off."""
    if call.action != "GetConsoleAuthorizationConfiguration":
        return None
    return Answer(200, json.dumps({**call.parameters, "consoleAuthorizationEnabled": False}), "application/json")


def members(call: Call, name: str) -> list[str]:
    """Return the members of a list parameter in the query protocol."""
    return [value for key, value in call.parameters.items() if key.startswith(f"{name}.member.")]


def _date_report(call: Call, content: bytes) -> bytes:
    if call.action != "GetCredentialReport":
        return content
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".encode()
    return re.sub(rb"<GeneratedTime>[^<]*</GeneratedTime>", b"<GeneratedTime>" + now + b"</GeneratedTime>", content)


def _send(answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    if answer.status == 0:
        raise ConnectionAbortedError
    content = answer.body.encode()
    headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(content)))]
    start_response(f"{answer.status} Injected", headers)
    return [content]


def _read_arn(arn: str) -> tuple[str, str, str, str]:
    _, partition, service, _, account_id, resource = arn.split(":", 5)
    return partition, service, account_id, resource
