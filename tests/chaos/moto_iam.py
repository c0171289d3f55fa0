"""Users, policies and devices written into moto's own IAM: a world is built in milliseconds, and has a past."""

from datetime import UTC, datetime, timedelta
from typing import Any

from moto.iam.models import AccessKeyLastUsed

from orchestrator.aws.enforcement import OWNER_TAG, OWNER_TAG_VALUE
from tests.chaos.people import Kind
from tests.member_role.rendering import earlier_text

POLICY = "EnforceMFA"
PASSWORD = "chaos-secret-password"
_HARMLESS = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}'
)


def make_enforcement(iam: Any, document: str) -> None:
    """Put the policy with this text, and the group that carries it, into an account."""
    policy = make_policy(iam, POLICY, document)
    iam.create_group(POLICY)
    iam.attach_group_policy(policy.arn, POLICY)


def make_policy(iam: Any, name: str, document: str = _HARMLESS) -> Any:
    """Make a managed policy."""
    return iam.create_policy("", "/", document, name, [])


def furnish_user(iam: Any, name: str, kind: Kind) -> None:
    """Make a user of a kind, as somebody would have made it over the years."""
    user = iam.create_user("us-east-1", name)
    user.create_date = _days_ago(kind.created_days_ago)
    if kind.password:
        user.password = PASSWORD
    if kind.device:
        enrol(iam, name, kind.device)
    for _ in range(kind.keys):
        key = iam.create_access_key(name)
        if kind.key_used_days_ago is not None:
            key.last_used = AccessKeyLastUsed(_days_ago(kind.key_used_days_ago), "s3", "us-east-1")
    fill_policies(iam, name, kind.policies)
    fill_groups(iam, name, kind.groups)
    arn = f"arn:aws:iam::{iam.account_id}:policy/{POLICY}"
    if kind.enforced == "user":
        iam.attach_user_policy(arn, name)
    elif kind.enforced == "group":
        iam.add_user_to_group(POLICY, name)


def enrol(iam: Any, name: str, device: str) -> None:
    """Give a user an MFA device."""
    serial = f"arn:aws:iam::{iam.account_id}:u2f/user/{name}/key-{len(iam.users[name].mfa_devices)}"
    if device == "virtual":
        serial = iam.create_virtual_mfa_device(name, "/").serial_number
    iam.enable_mfa_device(name, serial, "123456", "654321")


def fill_policies(iam: Any, name: str, count: int) -> None:
    """Attach managed policies to a user until there are so many."""
    user = iam.users[name]
    for number in range(len(user.managed_policies), count):
        policy = make_policy(iam, f"{name}-policy-{number}")
        iam.attach_user_policy(policy.arn, name)


def fill_groups(iam: Any, name: str, count: int) -> None:
    """Put a user into groups until there are so many."""
    for number in range(len(iam.get_groups_for_user(name)), count):
        iam.create_group(f"{name}-group-{number}")
        iam.add_user_to_group(f"{name}-group-{number}", name)


def delete_user(iam: Any, name: str) -> None:
    """Delete a user, with all that hangs on it."""
    user = iam.users.get(name)
    if user is None:
        return
    for policy in list(user.managed_policies.values()):
        policy.detach_from(user)
    for group in iam.groups.values():
        if user in group.users:
            group.users.remove(user)
    del iam.users[name]


def replace_policy_text(iam: Any, document: str = _HARMLESS) -> None:
    """Make another text the default version of EnforceMFA."""
    arn = f"arn:aws:iam::{iam.account_id}:policy/{POLICY}"
    if arn in iam.managed_policies:
        iam.create_policy_version(arn, document, True)


def remake_policy(iam: Any) -> None:
    """Delete EnforceMFA, off everybody and the group, and make one of that name that grants something."""
    delete_policy(iam)
    make_policy(iam, POLICY)


def delete_policy(iam: Any) -> None:
    """Delete EnforceMFA, off everybody and the group."""
    policy = iam.managed_policies.pop(f"arn:aws:iam::{iam.account_id}:policy/{POLICY}", None)
    for holder in (*iam.users.values(), *iam.groups.values()):
        if policy is not None and policy.arn in holder.managed_policies:
            del holder.managed_policies[policy.arn]


def delete_group(iam: Any) -> None:
    """Delete the group, whoever is in it."""
    iam.groups.pop(POLICY, None)


def empty_group(iam: Any) -> None:
    """Take its policy off the group, as a run leaves it that broke off before it attached one."""
    group = iam.groups[POLICY]
    for policy in list(group.managed_policies.values()):
        policy.detach_from(group)


def age_policy(iam: Any, versions: int) -> None:
    """Have EnforceMFA be one of orgmfa's from long ago: with its mark, an earlier text, and so many versions."""
    arn = f"arn:aws:iam::{iam.account_id}:policy/{POLICY}"
    iam.tag_policy(arn, [{"Key": OWNER_TAG, "Value": OWNER_TAG_VALUE}])
    for _ in range(1, versions):
        iam.create_policy_version(arn, earlier_text("deny"), True)


def widen_group(iam: Any) -> None:
    """Attach another policy to the group."""
    policy = make_policy(iam, "somebody-elses")
    iam.attach_group_policy(policy.arn, POLICY)


def _days_ago(count: int) -> datetime:
    return datetime.now(UTC).replace(tzinfo=None) - timedelta(days=count)
