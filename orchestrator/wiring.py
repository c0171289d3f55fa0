"""Builds a run from the configuration, with real clients, archive and Slack. Only this module knows both sides."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

from orchestrator.aws.caller_credentials import Asking
from orchestrator.aws.clients import Clients, make_clients
from orchestrator.aws.enforcement import EnforcementPolicies
from orchestrator.aws.file_store import Store, make_store
from orchestrator.aws.hub_services import EventBus, FindingImporter, SesMessenger, read_secret
from orchestrator.aws.iam import MemberIam
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import MemberSessions, get_caller
from orchestrator.aws.simulator import PolicySimulator
from orchestrator.aws.stop_switch import StopSwitch
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.environment import (
    SlackCredentials,
    expects_onboarding,
    parse_slack_secret,
    slack_credentials,
)
from orchestrator.domain.errors import ArchiveError, AwsError, ConfigError, StartError
from orchestrator.domain.model import Caller, Mode, Organization, Product, RunRequest, Trigger
from orchestrator.domain.nudges import read_text
from orchestrator.domain.remedies import select_remedy
from orchestrator.output.slack.channel import SlackChannel
from orchestrator.output.slack.client import SlackClient
from orchestrator.output.slack.messenger import SlackMessenger
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.lease import EventPermit, Lease
from orchestrator.pipeline.ports import Messenger, Observer, Permit, Releases, Unobserved
from orchestrator.pipeline.run import run
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport

ONBOARDING_TIMEOUT_SECONDS = 120.0  # how long a run of new accounts, and no other, waits for their roles
SESSION_NAME_PREFIX = "orgmfa-"
_DAILY = frozenset({Trigger.SCHEDULE, Trigger.MAP})


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def make_run_id(now: datetime, execution: str | None = None) -> str:
    """Return a run ID that sorts by time and fits into a role session name; the same one for the same execution."""
    unique = secrets.token_hex(4) if execution is None else sha256(execution.encode()).hexdigest()[:8]
    return f"{now:%Y%m%dT%H%M%SZ}-{unique}"


@dataclass(frozen=True, slots=True)
class Hub:
    """Configuration and clients of a process, kept between runs."""

    config: Config
    environment: Mapping[str, str]
    clients: Clients
    now: Callable[[], datetime] = utc_now
    messenger: Messenger | None = None  # what writes to users, in the place of Slack or Amazon SES

    def with_limits(self, **counts: int | Literal["none"] | None) -> "Hub":
        """Return this hub with those limits replaced that are not None; `none`: no limit."""
        limits = self.config.limits.replaced(**counts)
        return replace(self, config=self.config.model_copy(update={"limits": limits}))

    def narrowed(self, mode: Mode | None, max_changes: int | Literal["none"] | None) -> "Hub":
        """Return this hub with the narrower of its configuration, and of mode and limit that a run was asked for."""
        return replace(self, config=self.config.narrowed(mode, max_changes))

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
    profile: str | None = None,
    region: str | None = None,
    asking: Asking | None = None,
) -> Hub:
    """Return a hub with fresh clients, into whose sessions `prepare` may hook; `asking` asks for MFA codes, if anybody.

    `profile` and `region` replace those of the environment. Raises StartError where these settings cannot be used.
    """
    with _or_no_start("cannot use the AWS settings"):
        clients = make_clients(connections=config.concurrency.workers, profile=profile, region=region, asking=asking)
    prepare(clients)
    return Hub(config, environment, clients, now)


def load_credentials(hub: Hub) -> None:
    """Have the caller's credentials loaded, and an MFA code asked for, before anything is drawn. Raises StartError."""
    with _or_no_start("cannot start"):
        hub.clients.hub.get_credentials()


def run_once(context: RunContext) -> Finished:
    """Carry out one run against AWS. Raises StartError or ConfigError where it could not start."""
    if not context.request.preflight:  # its report is not archived
        with _or_no_start_without("The report of the run would be lost, so it does not start."):
            context.archive.probe(context.request.run_id)
    return run(context)


def build_context(
    hub: Hub,
    request: RunRequest,
    *,
    cancellation: Cancellation,
    send_digest: bool,
    observer: Observer | None = None,
    confirm: Callable[[RunReport], bool] | None = None,
) -> RunContext:
    """Return the context of a run, or of one step of it. Raises StartError or ConfigError where it could not start."""
    config, clients, archive, retrier = hub.config, hub.clients, hub.archive, Retrier(cancellation)
    credentials = _slack_credentials(hub, retrier) if send_digest else None
    notifiers = (SlackChannel(make_slack_client(credentials, hub), config),) if credentials else ()
    caller, organization = _start(hub, retrier)
    policies = EnforcementPolicies(clients.iam, retrier, config.policy, partition=caller.partition)
    with _or_no_start_without("The run cannot know whom `orgmfa release` freed, so it does not start."):
        released = archive.released_until(hub.now())
    with _or_no_start_without("With nudge.required the archive tells who was told: nothing was done."):
        counts_from_message = config.nudge.required and request.mode is not Mode.RELEASE
        told = archive.told_at() if counts_from_message else {}
    return RunContext(
        request=request,
        config=config,
        organization=organization,
        rules=Rules(config, released, caller.arn, told=told),
        now=hub.now,
        cancellation=cancellation,
        stop_reason=StopSwitch(config.enforcement.stop, lambda: clients.ssm, retrier).stop_reason,
        confirm=confirm,
        permit=_permit(hub, request, cancellation),
        directory=Directory(clients.organizations, retrier, config.organization.owner_tag),
        sessions=make_sessions(
            hub,
            retrier,
            partition=caller.partition,
            run_id=request.run_id,
            timeout_seconds=ONBOARDING_TIMEOUT_SECONDS if request.trigger is Trigger.ONBOARDING else 0.0,
        ),
        iam=MemberIam(clients.iam, retrier, policies),
        policies=policies,
        simulator=PolicySimulator(
            clients.iam,
            retrier,
            organization_id=organization.id,
            given=config.enforcement.context,
            document=None if request.preflight else policies.document,
        ),
        archive=archive,
        securityhub=None if request.trigger is Trigger.IAM_EVENT else _securityhub(hub, retrier, caller),
        messenger=_messenger(hub, retrier) if request.mode is Mode.APPLY else None,
        nudge_text="" if config.nudge.via is None or request.mode is Mode.RELEASE else read_text(config.nudge),
        expects_onboarding=request.trigger in _DAILY and expects_onboarding(hub.environment),
        notifiers=notifiers,
        event_bus=EventBus(clients.events, retrier, config.events.bus) if config.events.bus else None,
        observer=observer or Unobserved(),
        counter=retrier,
    )


def describe_organization(hub: Hub) -> Organization:
    """Return the organization of the caller. Raises StartError where it cannot be read."""
    return _start(hub, Retrier(Cancellation()))[1]


def read_caller(hub: Hub, retrier: Retrier) -> Caller:
    """Return who calls; the client that threads will share is made here. Raises StartError."""
    with _or_no_start("cannot start"):
        caller = get_caller(hub.clients, retrier)
        hub.clients.iam  # noqa: B018 - made before the threads start: making clients is not thread-safe
    return caller


def make_sessions(
    hub: Hub, retrier: Retrier, *, partition: str, run_id: str, timeout_seconds: float = 0.0
) -> MemberSessions:
    """Return the sessions in member accounts; the ID shows in CloudTrail of each."""
    return MemberSessions(
        hub.clients,
        retrier,
        partition=partition,
        roles=hub.config.member_role,
        session_name=f"{SESSION_NAME_PREFIX}{run_id}",
        now=hub.now,
        timeout_seconds=timeout_seconds,
    )


def make_slack_client(credentials: SlackCredentials, hub: Hub) -> SlackClient:
    """Return what posts to Slack with these credentials. Raises StartError where the CA bundle cannot be used."""
    with _or_no_start("cannot reach Slack"):
        tls = hub.clients.tls_context()
    slack, looks_up_users = hub.config.slack, hub.config.nudge.via == "slack"
    return SlackClient(
        credentials, channel=slack.channel, attaches=slack.attach, looks_up_users=looks_up_users, tls=tls
    )


def _start(hub: Hub, retrier: Retrier) -> tuple[Caller, Organization]:
    caller = read_caller(hub, retrier)
    with _or_no_start("cannot start"):
        organization = Directory(hub.clients.organizations, retrier).describe_organization(caller.partition)
    expected = hub.config.organization.id
    if expected not in {None, organization.id}:
        message = f"organization.id is {expected}, but the credentials belong to organization {organization.id}"
        raise ConfigError(message)
    return caller, organization


def _permit(hub: Hub, request: RunRequest, cancellation: Cancellation) -> Permit:
    def read_releases() -> Releases:
        return archive.released_until(hub.now())

    archive = hub.archive
    if request.trigger is Trigger.IAM_EVENT:
        return EventPermit(hub.store, request.run_id, read_releases=read_releases)
    return Lease(hub.store, request, cancellation, read_releases=read_releases)


def _messenger(hub: Hub, retrier: Retrier) -> Messenger | None:
    """Return what writes to users, or None where none is wanted. Raises ConfigError where it lacks a bot token."""
    settings = hub.config.nudge
    if settings.via is None or hub.messenger is not None:
        return hub.messenger
    if settings.via == "email" and settings.sender and settings.region:
        return SesMessenger(hub.clients.sesv2(settings.region), retrier, settings.sender)
    credentials = _slack_credentials(hub, retrier)
    if credentials is None or credentials.bot_token is None:
        raise ConfigError("nudge.via: slack needs a bot token, in ORGMFA_SLACK_BOT_TOKEN or in slack.secret")
    with _or_no_start("cannot reach Slack"):
        tls = hub.clients.tls_context()
    return SlackMessenger(credentials.bot_token, tls=tls, sleep=retrier.cancellation.event.wait)


def _slack_credentials(hub: Hub, retrier: Retrier) -> SlackCredentials | None:
    credentials, name = slack_credentials(hub.environment), hub.config.slack.secret
    if credentials is None and name is not None:
        with _or_no_start(f"slack.secret: cannot read the secret {name}"):
            credentials = parse_slack_secret(read_secret(hub.clients.secretsmanager, retrier, name), name=name)
    return credentials


def _securityhub(hub: Hub, retrier: Retrier, caller: Caller) -> FindingImporter | None:
    if not hub.config.securityhub.enabled:
        return None
    product = Product(caller.account_id, hub.clients.region, caller.partition)
    return FindingImporter(hub.clients.securityhub, retrier, product)


@contextmanager
def _or_no_start(what: str) -> Iterator[None]:
    """Raise an error of AWS as a StartError that says what failed and what to try."""
    try:
        yield
    except AwsError as error:
        told = f"{what}: {error} ({error.code}). {select_remedy(error)}"
        raise StartError(" ".join(told.split())) from error


@contextmanager
def _or_no_start_without(consequence: str) -> Iterator[None]:
    """Raise an error of the archive as a StartError that says what follows where nothing can be read or written."""
    try:
        yield
    except ArchiveError as error:
        raise StartError(f"{error}. {consequence}") from error
