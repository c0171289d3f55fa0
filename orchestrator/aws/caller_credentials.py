"""Credentials of the caller: loaded by botocore's chain of providers, kept, and loaded again before they end.

Here and not in botocore's own refreshing, because that asks for an MFA code wherever a call happens to be signed, and
refuses to renew a session of `mfa_serial`. A person is asked through `Asking`, and nothing is drawn meanwhile.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock

from botocore.credentials import (
    AssumeRoleProvider,
    CanonicalNameCredentialSourcer,
    ContainerProvider,
    CredentialResolver,
    Credentials,
    EnvProvider,
    ProfileProviderBuilder,
    ReadOnlyCredentials,
    RefreshableCredentials,
    create_credential_resolver,
)
from botocore.session import Session
from botocore.utils import create_nested_client

from orchestrator.aws.errors import settings_of
from orchestrator.domain.errors import LocalFault

RENEW_SECONDS = 600
"""Seconds before their end at which credentials are loaded again; botocore itself insists on new ones then."""


class Asking:
    """How a person is asked for an MFA code. This is the way where no person is, as in the Lambda function."""

    def __call__(self, prompt: str) -> str:
        """Return the code that was typed. Raises LocalFault where there is none to be had."""
        raise LocalFault(f"there is no terminal to ask on: {prompt.strip().rstrip(':')}", code="NoTerminal")

    def quiet(self) -> AbstractContextManager[object]:
        """Context manager: nothing is drawn on the terminal, since a provider of credentials may ask there."""
        return nullcontext()


@dataclass(frozen=True, slots=True)
class CallerProvider:
    """Provider of credentials by the settings of a session, which calls STS in a Region. Thread-safe."""

    session: Session
    asking: Asking
    region: str

    def load_credentials(self) -> "CallerCredentials | None":
        """Return the caller's credentials, with the MFA code asked for; None: there are none. Raises AwsError."""
        loaded = self.load()
        return None if loaded is None else CallerCredentials(self, loaded)

    def load(self) -> tuple[Credentials, ReadOnlyCredentials] | None:
        """Return what botocore's providers find, and the keys of it."""
        with self.asking.quiet(), settings_of(self.session.profile or "default"):
            found = self._make_resolver().load_credentials()
            return None if found is None else (found, found.get_frozen_credentials())

    def _make_resolver(self) -> CredentialResolver:
        resolver = create_credential_resolver(self.session, region_name=self.region)
        sources = [EnvProvider(), ContainerProvider(), resolver.get_provider("iam-role")]
        asking = AssumeRoleProvider(
            load_config=lambda: self.session.full_config,
            client_creator=lambda service, **options: create_nested_client(
                self.session, service, **{"region_name": self.region} | options
            ),
            cache={},
            profile_name=self.session.profile or "default",
            prompter=self.asking,
            credential_sourcer=CanonicalNameCredentialSourcer(sources),
            profile_provider_builder=ProfileProviderBuilder(self.session, cache={}, region_name=self.region),
        )
        resolver.insert_after(AssumeRoleProvider.METHOD, asking)
        resolver.remove(AssumeRoleProvider.METHOD)  # the first of the two: botocore's own
        return resolver


class CallerCredentials(Credentials):
    """Keys of the caller, renewed by one thread for all."""

    def __init__(self, provider: CallerProvider, loaded: tuple[Credentials, ReadOnlyCredentials]) -> None:
        super().__init__("", "", None, method=loaded[0].method)
        self._provider = provider
        self._loaded = loaded
        self._renewing = Lock()

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return keys that are valid now. Raises AwsError where they cannot be renewed."""
        if self._is_due():
            with self._renewing:
                if self._is_due():
                    self._loaded = self._provider.load() or self._loaded
        return self._loaded[1]

    def _is_due(self) -> bool:
        found = self._loaded[0]
        return isinstance(found, RefreshableCredentials) and found.refresh_needed(RENEW_SECONDS)
