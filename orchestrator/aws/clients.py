"""Shared boto3 clients: one per service for the whole process, used by all threads.

Hub clients use the caller's own credentials. The IAM client for member accounts signs with the credentials of the
account that the context has entered (`MemberCredentials`), and fails outside of any. Service models and TLS connections
are kept across accounts: a session per account would load and open them again for each.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from ssl import SSLContext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

import boto3
import botocore.session
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.handlers import json_decode_policies
from botocore.httpsession import get_cert_path

from orchestrator import __version__
from orchestrator.aws.caller_credentials import Asking, CallerProvider
from orchestrator.aws.connections import Connections
from orchestrator.aws.errors import settings_of
from orchestrator.aws.transport import send_through
from orchestrator.domain.errors import NoCredentials

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_securityhub import SecurityHubClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

C = TypeVar("C")

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 20
FALLBACK_REGION = "us-east-1"


_entered: ContextVar[Callable[[], ReadOnlyCredentials] | None] = ContextVar("entered_account", default=None)
"""Returns the credentials of the member account that the context is in; None outside of any."""


@contextmanager
def signing_for(get_credentials: Callable[[], ReadOnlyCredentials]) -> Iterator[None]:
    """Context manager: member clients sign with the credentials that this returns, in this context alone."""
    token = _entered.set(get_credentials)
    try:
        yield
    finally:
        _entered.reset(token)


class MemberCredentials(Credentials):
    """Credentials of the member account that the current context has entered.

    They are asked for at every signature, on the thread and in the context that makes the call.
    """

    def __init__(self) -> None:
        """Store no keys: they come from the context."""
        super().__init__("", "", None, method="member-account")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials of the entered account. Raises NoCredentials where none was entered."""
        get_credentials = _entered.get()
        if get_credentials is None:
            message = "a member account's API was called outside any member account"
            raise NoCredentials(message, code="NoAccountEntered")
        return get_credentials()


def _shared(service: str) -> cached_property[Any]:
    """Return an attribute of `Clients`: a client with the caller's own credentials, made at its first use."""
    return cached_property(lambda clients: clients.connect(service))


@dataclass(frozen=True)
class Clients:
    """Shared boto3 clients, each created at its first use; those that threads share, before the threads start."""

    hub: boto3.Session
    member: boto3.Session
    connections: Connections

    sts: ClassVar[cached_property["STSClient"]] = _shared("sts")
    """STS at the regional endpoint."""
    organizations: ClassVar[cached_property["OrganizationsClient"]] = _shared("organizations")
    secretsmanager: ClassVar[cached_property["SecretsManagerClient"]] = _shared("secretsmanager")
    securityhub: ClassVar[cached_property["SecurityHubClient"]] = _shared("securityhub")
    events: ClassVar[cached_property["EventBridgeClient"]] = _shared("events")
    ssm: ClassVar[cached_property["SSMClient"]] = _shared("ssm")
    sqs: ClassVar[cached_property[Any]] = _shared("sqs")  # whose stubs are not installed

    @property
    def region(self) -> str:
        """Region of the caller's environment, else us-east-1."""
        return self.hub.region_name or FALLBACK_REGION

    @property
    def options(self) -> dict[str, Any]:
        """The Region and settings of a client without retries of its own."""
        return {"region_name": self.region, "config": self._config()}

    @cached_property
    def s3(self) -> "S3Client":
        """S3, for an archive in a bucket; botocore retries its calls, since only one caller uses it."""
        return self._connect(lambda: self.hub.client("s3", config=self._config(attempts=5)))

    @cached_property
    def iam(self) -> "IAMClient":
        """IAM of the member account that the current context has entered; policy documents stay text."""
        client = self._connect(lambda: self.member.client("iam", **self.options), self.member)
        # botocore makes dicts of the documents, and so loses the first of two values under one key.
        client.meta.events.unregister("after-call.iam", json_decode_policies)
        return client

    def sesv2(self, region: str) -> Any:  # noqa: ANN401 - the stubs of SES are not installed
        """Return Amazon SES in a Region, for messages to users."""
        return self.connect("sesv2", region=region)

    def connect(self, service: str, *, region: str | None = None) -> Any:  # noqa: ANN401 - whichever service it is
        """Return a new client of a service with the caller's own credentials, in the caller's Region or another one."""
        options = self.options | {"region_name": region or self.region}
        return self._connect(lambda: self.hub.client(service, **options))  # type: ignore[call-overload]  # any name

    def tls_context(self) -> SSLContext | None:
        """Return the TLS context with the CA bundle of the settings, if they name one. Raises LocalFault."""
        return self.connections.tls_context() if self.connections.bundle_source else None

    def _connect(self, make: Callable[[], C], session: boto3.Session | None = None) -> C:
        with settings_of(self.hub.profile_name):
            self.tls_context()
            client = make()
        return send_through(client, session or self.hub, self.connections)

    def _config(self, attempts: int = 1) -> ClientConfig:
        return ClientConfig(
            retries={"mode": "standard", "total_max_attempts": attempts},  # 1: the `Retrier` retries
            **_timeouts(),
            max_pool_connections=self.connections.max_idle,
            user_agent_extra=f"orgmfa/{__version__}",
        )


def make_clients(
    *, connections: int, profile: str | None = None, region: str | None = None, asking: Asking | None = None
) -> Clients:
    """Return the clients of this process, from the standard AWS settings (environment, profile, instance role).

    At most `connections` idle connections to each endpoint are kept open. `profile` and `region` go before the
    environment's. `asking` asks for MFA codes. Raises LocalFault where the profile does not exist or cannot be read.
    """
    hub = botocore.session.Session(profile=profile)
    with settings_of(hub.profile or "default"):
        hub.set_config_variable("sts_regional_endpoints", "regional")
        # As in the AWS CLI and other SDKs; botocore reads only AWS_DEFAULT_REGION.
        if region := region or os.environ.get("AWS_REGION"):
            hub.set_config_variable("region", region)
        caller = CallerProvider(hub, asking or Asking(), region=hub.get_config_variable("region") or FALLBACK_REGION)
        hub.register_component("credential_provider", caller)
        member = botocore.session.Session(profile=profile)
        member.register_component("data_loader", hub.get_component("data_loader"))
        # In place of botocore's chain of credential providers.
        member.register_component("credential_provider", SimpleNamespace(load_credentials=MemberCredentials))
        for session in (hub, member):
            session.set_default_client_config(ClientConfig(user_agent=_make_user_agent(hub), **_timeouts()))
        path, source = _find_ca_bundle(hub)
        return Clients(
            boto3.Session(botocore_session=hub),
            boto3.Session(botocore_session=member),
            Connections(ca_bundle=path, bundle_source=source, max_idle=connections, **_timeouts()),
        )


def _timeouts() -> dict[str, Any]:
    return {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "read_timeout": READ_TIMEOUT_SECONDS}


def _find_ca_bundle(session: botocore.session.Session) -> tuple[str, str]:
    """Return the path of the CA bundle, by the rules of botocore, and which setting names it, if any does."""
    if path := session.get_config_variable("ca_bundle"):
        is_set = os.environ.get("AWS_CA_BUNDLE") == path
        return path, "AWS_CA_BUNDLE" if is_set else f"ca_bundle of profile {session.profile or 'default'}"
    if path := os.environ.get("REQUESTS_CA_BUNDLE"):
        return path, "REQUESTS_CA_BUNDLE"
    return str(get_cert_path(verify=True)), ""


def _make_user_agent(session: botocore.session.Session) -> str:
    """Return the user agent of all clients; botocore would build it anew for each call, a third of a call's CPU."""
    app_id = session.get_config_variable("user_agent_appid")
    return f"Boto3/{boto3.__version__} {session.user_agent()}" + (f" app/{quote(app_id, safe='')}" if app_id else "")
