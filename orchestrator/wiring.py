"""Builds a run from the configuration: real clients, archive and Slack. The only module that knows both sides."""

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from tenacity import sleep_using_event

from orchestrator.aws.clients import Clients, make_clients
from orchestrator.aws.enforcement import EnforcementPolicies, PolicySettings
from orchestrator.aws.file_store import Store, make_store
from orchestrator.aws.iam import MemberIam
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.aws.secrets import read_secret
from orchestrator.aws.securityhub import FindingImporter
from orchestrator.aws.sessions import MemberSessions, RoleNames, get_caller
from orchestrator.aws.simulator import EnrolmentSimulator
from orchestrator.aws.stop_switch import look_at_switch
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.assessment import make_rules
from orchestrator.domain.config import Config, SlackCredentials, parse_slack_secret, slack_credentials
from orchestrator.domain.errors import ArchiveError, AwsError, ConfigError, StartError
from orchestrator.domain.model import Caller, Mode, Organization, Product, RunRequest, Trigger
from orchestrator.domain.policy_document import is_same_policy, render_enforcement_policy
from orchestrator.domain.remedies import select_remedy
from orchestrator.domain.stop_switch import NO_SWITCH, Reading
from orchestrator.output.slack.client import SlackNotifier
from orchestrator.pipeline.context import Desk
from orchestrator.pipeline.lease import Lease
from orchestrator.pipeline.ports import Finished, Observer, Ports
from orchestrator.pipeline.run import run
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport

if TYPE_CHECKING:
    from orchestrator.doctor import Examination, Question

ONBOARDING_PATIENCE_SECONDS = 120.0
"""How long the role of a new account is waited for; in no other run is a missing role anything but missing."""
SESSION_NAME_PREFIX = "orgmfa-"
STOP_FRESH_SECONDS = 1.0
"""How long one look at the stop switch counts: a switch in SSM is not asked before every single write."""


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def make_run_id(now: datetime) -> str:
    """Return a run ID that sorts by time and fits into a role session name."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Hub:
    """What a process keeps between runs: its configuration and its clients."""

    config: Config
    environment: Mapping[str, str]
    clients: Clients
    now: Callable[[], datetime] = utc_now

    def with_max_changes(self, most: int | None) -> "Hub":
        """Return this hub with both limits on the number of changes replaced, for one run; None: no limit."""
        limits = self.config.limits.with_max_changes(most)
        return replace(self, config=self.config.model_copy(update={"limits": limits}))

    @property
    def store(self) -> Store:
        """The files of the archive that the configuration names."""
        return make_store(self.config.archive.location, lambda: self.clients.s3)

    @property
    def archive(self) -> RunArchive:
        """The archive that the configuration names."""
        return RunArchive(self.store, self.config.archive.keep)


def make_hub(
    config: Config,
    environment: Mapping[str, str],
    *,
    prepare: Callable[[Clients], None] = lambda _: None,
    now: Callable[[], datetime] = utc_now,
) -> Hub:
    """Return a hub with fresh clients; `prepare` may hook into their sessions before any client is made.

    Raises StartError where the AWS settings of the environment cannot be used.
    """
    try:
        clients = make_clients(connections=config.concurrency.workers)
    except AwsError as error:
        raise StartError(_explain("cannot use the AWS settings", error)) from error
    prepare(clients)
    return Hub(config, environment, clients, now)


def run_once(
    hub: Hub,
    request: RunRequest,
    *,
    cancellation: Cancellation,
    observer: Observer,
    confirm: Callable[[RunReport], bool] | None,
    sends_digest: bool,
) -> Finished:
    """Carry out one run against AWS and return what it ended in.

    Raises StartError or ConfigError where it could not start.
    """
    desk, ports = furnish(
        hub, request, cancellation=cancellation, observer=observer, confirm=confirm, sends_digest=sends_digest
    )
    with make_lease(hub, request, cancellation):
        finished = run(desk, ports)
    return replace(finished, api_calls=ports.counter.calls, api_throttles=ports.counter.throttles)


def furnish(
    hub: Hub,
    request: RunRequest,
    *,
    cancellation: Cancellation,
    observer: Observer,
    confirm: Callable[[RunReport], bool] | None,
    sends_digest: bool,
) -> tuple[Desk, Ports]:
    """Return what a run, or one step of it, works with. Raises StartError or ConfigError where it could not start."""
    retrier = Retrier(cancellation)
    notifier = _notifier(hub, retrier) if sends_digest else None
    caller, organization = _start(hub, retrier)
    desk = _desk(hub, request, retrier, cancellation=cancellation, caller=caller, organization=organization)
    ports = Ports(
        directory=Directory(hub.clients.organizations, retrier),
        archive=hub.archive,
        notifier=notifier,
        observer=observer,
        confirm=confirm,
        cancellation=cancellation,
        securityhub=_securityhub(hub, retrier, caller),
        counter=retrier,
    )
    return desk, ports


def make_lease(
    hub: Hub, request: RunRequest, cancellation: Cancellation, *, joins: bool = False, leaves: bool = False
) -> AbstractContextManager[object]:
    """Return the lease that a run which writes must hold, for all of it or for one of its steps; a plan holds none."""
    if request.mode is Mode.PLAN:
        return nullcontext()
    return Lease(hub.store, request.run_id, now=hub.now, on_loss=cancellation.event.set, joins=joins, leaves=leaves)


def describe_organization(hub: Hub) -> Organization:
    """Return the organization of the caller. Raises StartError where it cannot be read."""
    return _start(hub, Retrier(Cancellation()))[1]


def examine_hub(hub: Hub, question: "Question", *, cancellation: Cancellation, observer: Observer) -> "Examination":
    """Check what a run needs, and return what was found.

    Raises StartError where nobody could be asked, ConfigError where an account or OU that was named does not exist.
    """
    from orchestrator.aws.doctor_reads import RUN_ACTIONS, HubChecks, MemberChecks  # noqa: PLC0415 - no run needs it
    from orchestrator.doctor import Instruments, examine  # noqa: PLC0415 - as above

    retrier, clients, config = Retrier(cancellation), hub.clients, hub.config
    caller = _get_caller(hub, retrier)
    roles, policy = config.member_role, _policy_settings(config, caller.partition)
    return examine(
        Instruments(
            question=question,
            config=config,
            caller=caller,
            region=clients.region,
            directory=Directory(clients.organizations, retrier),
            sessions=MemberSessions(
                clients,
                retrier,
                partition=caller.partition,
                role_names=RoleNames(roles.name, roles.release_name, roles.path),
                session_name=f"{SESSION_NAME_PREFIX}{question.examination_id}",
                now=hub.now,
            ),
            policies=EnforcementPolicies(clients.iam, retrier, policy),
            member=MemberChecks(clients.iam, retrier),
            hub=HubChecks(clients, retrier),
            store=make_store(config.archive.location, lambda: clients.s3),
            alias_by_account_id=hub.archive.alias_by_account_id,
            environment_slack=slack_credentials(hub.environment),
            probe_slack=lambda credentials: _slack_notifier(credentials, config).probe(),
            run_actions=RUN_ACTIONS,
            now=hub.now,
            cancellation=cancellation,
            observer=observer,
        )
    )


def _get_caller(hub: Hub, retrier: Retrier) -> Caller:
    """Return who calls; the client that threads will share is made here."""
    try:
        caller = get_caller(hub.clients, retrier)
        hub.clients.iam  # noqa: B018 - made before the threads start: making clients is not thread-safe
    except AwsError as error:
        raise StartError(_explain("cannot start", error)) from error
    return caller


def _start(hub: Hub, retrier: Retrier) -> tuple[Caller, Organization]:
    """Return who calls and in which organization."""
    caller = _get_caller(hub, retrier)
    try:
        organization = Directory(hub.clients.organizations, retrier).describe_organization(caller.partition)
    except AwsError as error:
        raise StartError(_explain("cannot start", error)) from error
    expected = hub.config.organization.id
    if expected not in {None, organization.id}:
        message = f"organization.id is {expected}, but the credentials belong to organization {organization.id}"
        raise ConfigError(message)
    return caller, organization


def _desk(
    hub: Hub,
    request: RunRequest,
    retrier: Retrier,
    *,
    cancellation: Cancellation,
    caller: Caller,
    organization: Organization,
) -> Desk:
    config, clients = hub.config, hub.clients
    settings = _policy_settings(config, caller.partition)
    policies = EnforcementPolicies(clients.iam, retrier, settings)
    try:
        released_until = hub.archive.released_until(hub.now())
    except ArchiveError as error:
        message = f"{error}. The run cannot know whom `orgmfa release` freed, so it does not start."
        raise StartError(message) from error
    return Desk(
        request=request,
        config=config,
        organization=organization,
        sessions=MemberSessions(
            clients,
            retrier,
            partition=caller.partition,
            role_names=RoleNames(config.member_role.name, config.member_role.release_name, config.member_role.path),
            session_name=f"{SESSION_NAME_PREFIX}{request.run_id}",
            now=hub.now,
            patience_seconds=ONBOARDING_PATIENCE_SECONDS if request.trigger is Trigger.ONBOARDING else 0.0,
            sleep=sleep_using_event(cancellation.event),
        ),
        iam=MemberIam(clients.iam, retrier, policies),
        policies=policies,
        simulator=EnrolmentSimulator(clients.iam, retrier, settings.document),
        rules=make_rules(config, released_until, caller.arn),
        now=hub.now,
        stop_reason=_remembering(partial(look_at_switch, config.enforcement.stop, lambda: clients.ssm, retrier)),
        halt_reason=lambda: cancellation.reason,
    )


def _policy_settings(config: Config, partition: str) -> PolicySettings:
    ours = render_enforcement_policy(partition=partition, access_keys=config.policy.access_keys)
    return PolicySettings(
        partition=partition,
        name=config.policy.name,
        path=config.policy.path,
        group=config.policy.group,
        document=json.dumps(ours, separators=(",", ":")),
        is_ours=partial(is_same_policy, ours),
        managed_by=config.policy.managed_by,
    )


def _notifier(hub: Hub, retrier: Retrier) -> SlackNotifier | None:
    """Return what sends the digest, or None where no Slack is configured."""
    credentials = slack_credentials(hub.environment) or _secret(hub, retrier)
    return None if credentials is None else _slack_notifier(credentials, hub.config)


def _slack_notifier(credentials: SlackCredentials, config: Config) -> SlackNotifier:
    return SlackNotifier(credentials, channel=config.slack.channel, attaches=config.slack.attach)


def _securityhub(hub: Hub, retrier: Retrier, caller: Caller) -> FindingImporter | None:
    """Return what imports findings, or None where none are wanted."""
    if not hub.config.securityhub.enabled:
        return None
    product = Product(caller.account_id, hub.clients.region, caller.partition)
    return FindingImporter(hub.clients.securityhub, retrier, product)


def _secret(hub: Hub, retrier: Retrier) -> SlackCredentials | None:
    name = hub.config.slack.secret
    if name is None:
        return None
    try:
        return parse_slack_secret(read_secret(hub.clients.secretsmanager, retrier, name), name=name)
    except AwsError as error:
        raise StartError(_explain(f"slack.secret: cannot read the secret {name}", error)) from error


def _remembering(look: Callable[[], Reading]) -> Callable[[], str | None]:
    """Return what tells why nothing may be written, if so: a look that counts for a moment, for all threads alike."""
    lock, seen = Lock(), [(float("-inf"), NO_SWITCH)]

    def remembered() -> str | None:
        with lock:
            looked_at, reading = seen[0]
            if monotonic() - looked_at >= STOP_FRESH_SECONDS:
                reading = look()
                seen[0] = (monotonic(), reading)
            return reading.words if reading.is_stopped else None

    return remembered


def _explain(what: str, error: AwsError) -> str:
    return f"{what}: {error} ({error.code}). {select_remedy(error)}"
