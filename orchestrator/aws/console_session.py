"""Condition keys of a user's session, as the policy simulator takes them; a user enrols in the console without MFA.

Source: IAM User Guide, 'AWS global condition context keys'. A policy that asks for a key that is not sent here, such as
`aws:SourceIp`, can be judged only where the operator gives it in `enforcement.context`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.aws.partitions import describe_partition
from orchestrator.domain.model import Account, IamUser
from orchestrator.domain.policy_document import PARTITIONS

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import ContextEntryTypeDef

_ABSENT = (
    "aws:multifactorauthage",
    "aws:principaltag/",
    "aws:calledvia",
    "aws:sourceidentity",
    "aws:federatedprovider",
)
"""Beginnings of keys that such a session lacks in fact: without MFA, beyond the user's tags, or those of roles."""
_KIND_BY_KEY = {"aws:currenttime": "date", "aws:sourceip": "ip", "aws:vpcsourceip": "ip"}
_KINDS: Mapping[type, str] = {bool: "boolean", int: "numeric", float: "numeric"}


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """The keys that all users have in common: the organization's ID, and `enforcement.context`."""

    organization_id: str
    given: Mapping[str, object] = field(default_factory=dict)

    def entries(
        self, user: IamUser, account: Account, now: datetime, *, mfa: bool | None = False
    ) -> "list[ContextEntryTypeDef]":
        """Return the keys of a user's session; what the operator gives never replaces what is known.

        Without MFA, with MFA of a minute ago, or by a long-term access key (`mfa` is None), which has no such key.
        """
        partition, account_id = user.arn.split(":")[1], user.arn.split(":")[4]
        known: dict[str, object] = {
            "aws:ViaAWSService": False,
            "aws:PrincipalIsAWSService": False,
            "aws:SecureTransport": True,
            "aws:CurrentTime": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "aws:username": user.name,
            "aws:PrincipalArn": user.arn,
            "aws:PrincipalAccount": account_id,
            "aws:PrincipalType": "User",
            "aws:PrincipalOrgID": self.organization_id,
            "aws:ResourceAccount": account_id,
            "aws:ResourceOrgID": self.organization_id,
            **{f"aws:PrincipalTag/{key}": value for key, value in user.tags},
        }
        if mfa is not None:
            known["aws:MultiFactorAuthPresent"] = mfa
        if mfa:
            known["aws:MultiFactorAuthAge"] = 60
        if partition in PARTITIONS:
            known["aws:RequestedRegion"] = describe_partition(partition).iam_region
        if account.org_path is not None:
            known["aws:PrincipalOrgPaths"] = (account.org_path,)
        return [_entry(key, value) for key, value in {**self.given, **known}.items()]


def missing_keys(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys that parts of an answer call missing, without those that such a session lacks in fact."""
    keys = {key for part in parts for key in part.get("MissingContextValues", ())}
    return sorted(key for key in keys if not key.casefold().startswith(_ABSENT))


def _entry(key: str, value: object) -> Any:  # noqa: ANN401 - the stubs want the kind as a literal
    values = value if isinstance(value, tuple) else (value,)
    kind = _KIND_BY_KEY.get(key.casefold()) or _KINDS.get(type(values[0]), "string")
    return {
        "ContextKeyName": key,
        "ContextKeyType": f"{kind}List" if isinstance(value, tuple) else kind,
        "ContextKeyValues": [str(one).lower() if isinstance(one, bool) else str(one) for one in values],
    }
