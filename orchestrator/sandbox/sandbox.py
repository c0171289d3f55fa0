"""Opens the embedded organization: moto in this process, made-up credentials, a configuration that fits."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto import mock_aws
from moto.iam.models import iam_backends

from orchestrator.domain.config import Config
from orchestrator.domain.model import Via
from orchestrator.sandbox.fixtures import MAIL_DOMAIN, PARTITION, build_organization, policy_arn
from orchestrator.sandbox.moto_patches import inject
from orchestrator.sandbox.sample_organization import LARKSPUR

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

    config: Config
    now: datetime
    mailbox: Mailbox = field(default_factory=Mailbox)

    def prepare(self, clients: Any) -> None:  # noqa: ANN401 - `Clients` of `aws`, which is no business of this package
        """Add what moto lacks to the sessions `hub` and `member`; clients made from them afterwards have it."""
        inject(clients, {account.id: account for account in LARKSPUR.all_accounts()}, self.now)

    def resume(self, done: Iterable[tuple[str, str, Via | None]]) -> None:
        """Bring users to where earlier runs left them, the oldest first; via None: released."""
        group = self.config.policy.group
        for account_id, name, via in done:
            backend = iam_backends[account_id][PARTITION]
            if name not in backend.users:
                continue
            arn = policy_arn(account_id, self.config)
            if arn in backend.users[name].managed_policies:
                backend.detach_user_policy(arn, name)
            if backend.users[name] in backend.groups[group].users:
                backend.remove_user_from_group(group, name)
            if via is Via.USER:
                backend.attach_user_policy(arn, name)
            elif via is Via.GROUP:
                backend.add_user_to_group(group, name)


@contextmanager
def sandbox_organization(now: datetime | None = None) -> Iterator[Sandbox]:
    """Context manager: the embedded organization, dated relative to `now`, answers all AWS calls of this process."""
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    with _own_environment(), mock_aws(config={"core": {"mock_credentials": False}}):
        operator = build_organization(LARKSPUR, now)
        os.environ.update({name.upper(): value for name, value in operator.items()})
        yield Sandbox(sandbox_config(now), now)


def sandbox_config(now: datetime) -> Config:
    """Return the configuration of the embedded organization."""
    today = now.astimezone(UTC).date()
    ends, ended = today + timedelta(days=10), today - timedelta(days=3)
    exemptions = (
        ("soc-wallboard", "Security Tooling", "a screen on a wall; hardware token ordered", ends),
        ("olga.smirnova", "Mobile Development", "lost her phone, new one on its way", ended),
    )
    return Config.model_validate(
        {
            "enforcement": {"grace_period": "7d"},
            "exemptions": [
                {"user": user, "accounts": [LARKSPUR.account_id(account)], "reason": reason, "until": str(until)}
                for user, account, reason, until in exemptions
            ],
            "protected_users": ["break-glass-*"],
            "concurrency": {"workers": 8},
            "nudge": {
                "via": "email",
                "domains": [MAIL_DOMAIN],
                "sender": f"cloud-security@{MAIL_DOMAIN}",
                "region": "us-east-1",
                "contact": "#mfa-help in Slack",
            },
            "archive": {"location": "./orgmfa-sandbox-runs"},
        }
    )


@contextmanager
def _own_environment() -> Iterator[None]:
    """Remove all AWS settings from the environment, and restore them in the end."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(_FOREIGN):
            del os.environ[name]
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
