"""The keys of the configuration, their defaults, and readers of texts, for the tests of the configuration."""

from collections.abc import Iterator
from datetime import timedelta
from typing import get_args

import pytest
from pydantic import BaseModel

from orchestrator.domain.config import Config
from orchestrator.domain.config_file import parse_config
from orchestrator.domain.errors import ConfigError

ROBOT = {"user": "robot", "accounts": ["111122223333"], "reason": "moving to a role"}


def parsed(text: str) -> Config:
    return parse_config(text, source="config.yaml")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return str(caught.value)


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of every setting, those of an exemption included."""
    for name, field in model.model_fields.items():
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        section = next((one for one in inner if issubclass(one, BaseModel)), None)
        if section is None or field.annotation is not section:
            yield prefix + name
        if section is not None:
            yield from keys_of(section, f"{prefix}{name}.")


def keys_in(document: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a parsed YAML document; the items of a list share the key of the list."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield prefix + name
            yield from keys_in(value, f"{prefix}{name}.")
    elif isinstance(document, list):
        for item in document:
            yield from keys_in(item, prefix)


ALL_KEYS = sorted(keys_of(Config))


DEFAULTS: dict[str, object] = {
    "organization.id": None,
    "organization.include_ous": (),
    "organization.exclude_ous": (),
    "organization.exclude_accounts": (),
    "organization.include_management_account": True,
    "organization.owner_tag": None,
    "member_role.name": "orgmfa-member",
    "member_role.release_name": "orgmfa-release",
    "member_role.path": "/",
    "enforcement.mode": "plan",
    "enforcement.users": "console",
    "enforcement.grace_period": timedelta(),
    "enforcement.notice": timedelta(),
    "enforcement.check_enrolment": True,
    "enforcement.context": {},
    "enforcement.guarded": "enforce",
    "enforcement.unused_after": timedelta(days=90),
    "enforcement.stop": None,
    "policy.name": "EnforceMFA",
    "policy.group": "EnforceMFA",
    "policy.path": "/",
    "policy.managed_by": "stackset",
    "policy.access_keys": "deny",
    "exemptions": (),
    "protected_users": (),
    "limits.max_changes_per_account": 100,
    "limits.max_changes_per_run": 100,
    "limits.max_share_per_account": 1.0,
    "limits.hold_keys_used_within": timedelta(days=90),
    "concurrency.workers": 80,
    "slack.channel": None,
    "slack.secret": None,
    "slack.when": "always",
    "slack.mention": None,
    "slack.users": "names",
    "slack.attach": False,
    "slack.enrolments": "digest",
    "nudge.via": None,
    "nudge.address_tag": "email",
    "nudge.domains": (),
    "nudge.sender": None,
    "nudge.region": None,
    "nudge.text": None,
    "nudge.days_left": (7, 1),
    "nudge.contact": None,
    "nudge.required": False,
    "nudge.max_per_run": 200,
    "archive.location": "./orgmfa-runs",
    "archive.keep": timedelta(days=400),
    "archive.link": None,
    "securityhub.enabled": False,
    "events.bus": None,
}
