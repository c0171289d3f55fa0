"""Opens the embedded organization: moto in this process, made-up credentials, a configuration that fits."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from moto import mock_aws
from moto.iam.models import iam_backends

from orchestrator.domain.config import (
    ArchiveConfig,
    ConcurrencyConfig,
    Config,
    EnforcementConfig,
    Exemption,
    LimitsConfig,
    NudgeConfig,
    ProtectedUser,
)
from orchestrator.domain.model import Via
from orchestrator.sandbox.iam_fixtures import MAIL_DOMAIN, PARTITION
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
class Mailbox:
    """Keeps the messages to users, which nobody gets."""

    texts: list[str] = field(default_factory=list)

    def find(self, address: str) -> tuple[str, str]:
        """Return the address: it is whom to write to."""
        return address, address

    def send(self, recipient: str, subject: str, text: str) -> None:
        """Keep a message."""
        self.texts.append(f"To: {recipient}\nSubject: {subject}\n\n{text}")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The embedded organization while it is open, and the configuration for it."""

    organization: SampleOrganization
    config: Config
    now: datetime
    mailbox: Mailbox = field(default_factory=Mailbox)

    def prepare(self, clients: Sessions) -> None:
        """Add to these sessions what moto lacks; clients made from them afterwards have it."""
        accounts = {account.id: account for account in self.organization.all_accounts()}
        inject(clients, accounts, self.now)

    def resume(self, done: Iterable[tuple[str, str, Via | None]]) -> None:
        """Bring users to where earlier runs left them: account ID, name, and how each was enforced, None for released.

        The oldest comes first.
        """
        policy = self.config.policy
        for account_id, name, via in done:
            backend = iam_backends[account_id][PARTITION]
            if name not in backend.users:
                continue
            arn = f"arn:{PARTITION}:iam::{account_id}:policy{policy.path}{policy.name}"
            if arn in backend.users[name].managed_policies:
                backend.detach_user_policy(arn, name)
            if backend.users[name] in backend.groups[policy.group].users:
                backend.remove_user_from_group(policy.group, name)
            if via is Via.USER:
                backend.attach_user_policy(arn, name)
            elif via is Via.GROUP:
                backend.add_user_to_group(policy.group, name)


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
        protected_users=(ProtectedUser(user="break-glass-*"),),
        limits=LimitsConfig(hold_keys_used_within=timedelta(days=90)),
        concurrency=ConcurrencyConfig(workers=8),
        nudge=NudgeConfig(
            via="email",
            domains=(MAIL_DOMAIN,),
            sender=f"cloud-security@{MAIL_DOMAIN}",
            region="us-east-1",
            contact="#mfa-help in Slack",
        ),
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
