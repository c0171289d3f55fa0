"""A member account entered the way a run enters it, for the tests of the adapters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.aws.clients import make_clients
from orchestrator.aws.enforcement import EnforcementPolicies
from orchestrator.aws.iam import MemberIam
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import MemberSessions
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import MemberRoleConfig, PolicyConfig
from orchestrator.domain.model import Access


@dataclass(frozen=True)
class Member:
    """The adapters of one entered account."""

    account_id: str
    iam: MemberIam
    policies: EnforcementPolicies
    slept: list[float]
    client: Any


@contextmanager
def entered(
    account_id: str,
    *,
    managed_by: Any = "stackset",
    access_keys: Any = "deny",
    report_wait_seconds: float = 0.05,
    cancellation: Cancellation | None = None,
) -> Iterator[Member]:
    """Enter an account and give its adapters; retries do not sleep."""
    slept: list[float] = []
    retrier = Retrier(cancellation or Cancellation(), sleep=slept.append)
    clients = make_clients(connections=8)
    config = PolicyConfig(managed_by=managed_by, access_keys=access_keys)
    policies = EnforcementPolicies(clients.iam, retrier, config, partition="aws")
    iam = MemberIam(
        clients.iam,
        retrier,
        policies,
        report_wait_seconds=report_wait_seconds,
    )
    sessions = MemberSessions(
        clients,
        retrier,
        partition="aws",
        roles=MemberRoleConfig(),
        session_name="orgmfa-run",
        now=lambda: datetime.now(UTC),
    )
    with sessions.enter(account_id, Access.ENFORCE):
        yield Member(account_id, iam, policies, slept, clients.iam)


def assert_just_now(moment: datetime | None) -> None:
    assert moment is not None
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
