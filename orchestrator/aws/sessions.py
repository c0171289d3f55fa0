"""AssumeRole: sessions in member accounts, renewed before they expire, and of the operator's role."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.credentials import ReadOnlyCredentials
from tenacity import wait_fixed

from orchestrator.aws.clients import Clients, signing_for
from orchestrator.aws.errors import reads_answers
from orchestrator.aws.partitions import describe_partition
from orchestrator.aws.retries import Retrier, retry_budget
from orchestrator.concurrency.work_sharing import AdaptiveLimit
from orchestrator.domain.config import MemberRoleConfig
from orchestrator.domain.errors import AccessDenied, AssumeRoleDenied, DeniedByScp, RegionDisabled
from orchestrator.domain.model import Access, Caller

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

SESSION_SECONDS = 3600
"""The longest session of a role assumed by a role (role chaining), as the Lambda's and Identity Center's are."""
WAIT_SECONDS = 5.0
"""Seconds between attempts to assume a role that does not exist yet: IAM is eventually consistent."""
RENEW_BEFORE_END = timedelta(minutes=5)

_READS = """
GenerateCredentialReport GetAccessKeyLastUsed GetAccountAuthorizationDetails GetAccountSummary GetCredentialReport
GetGroup GetLoginProfile GetPolicy GetPolicyVersion GetUser ListAccessKeys ListAccountAliases ListAttachedGroupPolicies
ListAttachedUserPolicies ListGroupPolicies ListGroupsForUser ListMFADevices ListSSHPublicKeys
ListServiceSpecificCredentials ListVirtualMFADevices SimulatePrincipalPolicy
"""
READ_ACTIONS = tuple(f"iam:{action}" for action in _READS.split())
"""The IAM actions of inspecting an account, and of the second look at whom a release freed."""

READ_ONLY_SESSION_POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": READ_ACTIONS, "Resource": "*"}]},
    separators=(",", ":"),
)


@reads_answers
def get_caller(clients: Clients, retrier: Retrier) -> Caller:
    """Return the caller's account, ARN and partition. Raises AwsError where there are no usable credentials."""
    answer = retrier.call(clients.sts.get_caller_identity)
    return Caller(account_id=answer["Account"], arn=answer["Arn"], partition=answer["Arn"].split(":")[1])


@reads_answers
def as_role(clients: Clients, retrier: Retrier, *, role_arn: str, session_name: str) -> Clients:
    """Return clients with the credentials of a role of the caller's account, for an hour. Raises AwsError."""
    issued = retrier.call(
        clients.sts.assume_role, RoleArn=role_arn, RoleSessionName=session_name, DurationSeconds=SESSION_SECONDS
    )["Credentials"]
    profile = clients.hub.profile_name
    hub = botocore.session.Session(profile=None if profile == "default" else profile)
    hub.set_config_variable("sts_regional_endpoints", "regional")
    hub.set_config_variable("region", clients.region)
    hub.set_credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    return replace(clients, hub=boto3.Session(botocore_session=hub))


@dataclass(frozen=True)
class MemberSessions:
    """Enters member accounts, for one run; `session_name` appears in their CloudTrail. Thread-safe.

    A role that cannot be assumed yet, since it was created seconds ago, is retried for `timeout_seconds`.
    """

    clients: Clients
    retrier: Retrier
    _: KW_ONLY
    partition: str
    roles: MemberRoleConfig
    session_name: str
    now: Callable[[], datetime]
    timeout_seconds: float = 0.0

    @contextmanager
    def enter(self, account_id: str, access: Access) -> Iterator[AdaptiveLimit]:
        """Context manager: AWS calls inside use this account's credentials. Yields its concurrency limit.

        The access decides the role. Raises AssumeRoleDenied where it is missing or does not trust the caller.
        """
        session = _AssumedRole(self, account_id, access)
        with retry_budget(renew=session.forget) as limit:
            wait = wait_fixed(WAIT_SECONDS)
            attempts = self.retrier.repeat_while(AssumeRoleDenied, seconds=self.timeout_seconds, wait=wait)
            attempts(session.frozen)
            with signing_for(session.frozen):
                yield limit

    @reads_answers
    def assume(self, account_id: str, access: Access) -> tuple[ReadOnlyCredentials, datetime]:
        """Return new credentials for an account, and when they expire."""
        try:
            return self._assume_at(self.clients.sts, account_id, access)
        except RegionDisabled:
            return self._assume_at(self._global_sts, account_id, access)

    def is_due(self, ends_at: datetime) -> bool:
        """Return whether credentials that expire at this time must be renewed now."""
        return self.now() >= ends_at - RENEW_BEFORE_END

    @cached_property
    def _global_sts(self) -> "STSClient":
        """STS at the global endpoint of the partition, for accounts where the regional one is not active."""
        client: STSClient = self.clients.connect("sts", region=describe_partition(self.partition).global_sts_region)
        return client

    def _assume_at(self, sts: "STSClient", account_id: str, access: Access) -> tuple[ReadOnlyCredentials, datetime]:
        role = self.roles.release_name if access is Access.RELEASE else self.roles.name
        arn = f"arn:{self.partition}:iam::{account_id}:role{self.roles.path}{role}"
        policy: dict[str, Any] = {"Policy": READ_ONLY_SESSION_POLICY} if access is Access.INSPECT else {}
        try:
            issued = self.retrier.call(
                sts.assume_role,
                RoleArn=arn,
                RoleSessionName=self.session_name,
                DurationSeconds=SESSION_SECONDS,
                **policy,
            )["Credentials"]
        except DeniedByScp:
            raise
        except AccessDenied as error:
            raise AssumeRoleDenied(str(error), code=error.code, operation=error.operation) from error
        keys = ReadOnlyCredentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
        return keys, issued["Expiration"]


class _AssumedRole:
    """Credentials of one entry: assumed at first use and again shortly before they expire, by one thread for all."""

    def __init__(self, sessions: MemberSessions, account_id: str, access: Access) -> None:
        self._sessions = sessions
        self._account_id = account_id
        self._access = access
        self._issued: tuple[ReadOnlyCredentials, datetime] | None = None
        self._renewing = Lock()

    def frozen(self) -> ReadOnlyCredentials:
        """Return credentials that are valid now."""
        issued = self._issued
        if issued is None or self._sessions.is_due(issued[1]):
            with self._renewing:
                issued = self._issued
                if issued is None or self._sessions.is_due(issued[1]):
                    issued = self._issued = self._sessions.assume(self._account_id, self._access)
        return issued[0]

    def forget(self) -> None:
        """Drop credentials that AWS rejected, so that the next use assumes the role again."""
        self._issued = None
