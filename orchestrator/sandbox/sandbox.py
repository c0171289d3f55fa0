"""Opens the embedded organization: moto in this process, made-up credentials, a configuration that fits."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moto import mock_aws

from orchestrator.domain.config import (
    ArchiveConfig,
    ConcurrencyConfig,
    Config,
    EnforcementConfig,
    Exemption,
    LimitsConfig,
)
from orchestrator.sandbox.moto_patches import Sessions, inject
from orchestrator.sandbox.organization_fixtures import build_organization
from orchestrator.sandbox.sample_organization import LARKSPUR, MOBILE_DEVELOPMENT, SECURITY_TOOLING
from orchestrator.sandbox.sample_types import SampleOrganization

_FOREIGN = ("AWS_", "BOTO_", "MOTO_")
"""Prefixes of variables that would lead out of the embedded organization, or change what moto answers."""
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The embedded organization while it is open, and the configuration for it."""

    organization: SampleOrganization
    config: Config
    now: datetime

    def prepare(self, clients: Sessions) -> None:
        """Add to these sessions what moto lacks; clients made from them afterwards have it."""
        accounts = {account.id: account for account in self.organization.all_accounts()}
        inject(clients, accounts, self.now)


@contextmanager
def sandbox_organization(now: datetime | None = None) -> Iterator[Sandbox]:
    """Context manager: the embedded organization answers every AWS call of this process, and nothing else does.

    All AWS settings of the environment are removed, and restored in the end. Its dates are relative to `now`.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    with _own_environment(), mock_aws(config={"core": {"mock_credentials": False}}):
        operator = build_organization(LARKSPUR, now)
        os.environ["AWS_ACCESS_KEY_ID"] = operator["AccessKeyId"]
        os.environ["AWS_SECRET_ACCESS_KEY"] = operator["SecretAccessKey"]
        os.environ["AWS_SESSION_TOKEN"] = operator["SessionToken"]
        yield Sandbox(LARKSPUR, sandbox_config(now), now)


def sandbox_config(now: datetime) -> Config:
    """Return the configuration of the embedded organization."""
    today = now.astimezone(UTC).date()
    return Config(
        enforcement=EnforcementConfig(grace_period=timedelta(days=7)),
        exemptions=(
            Exemption(
                user="soc-wallboard",
                accounts=(SECURITY_TOOLING.id,),
                reason="a screen on a wall; hardware token ordered",
                until=today + timedelta(days=10),
            ),
            Exemption(
                user="olga.smirnova",
                accounts=(MOBILE_DEVELOPMENT.id,),
                reason="lost her phone, new one on its way",
                until=today - timedelta(days=3),
            ),
        ),
        protected_users=("break-glass-*",),
        limits=LimitsConfig(hold_keys_used_within=timedelta(days=90)),
        concurrency=ConcurrencyConfig(workers=8),
        archive=ArchiveConfig(location="./orgmfa-sandbox-runs"),
    )


@contextmanager
def _own_environment() -> Iterator[None]:
    before = _aws_settings()
    _replace(_ENVIRONMENT)
    try:
        yield
    finally:
        _replace(before)


def _replace(settings: Mapping[str, str]) -> None:
    for name in _aws_settings():
        del os.environ[name]
    os.environ.update(settings)


def _aws_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_FOREIGN)}
