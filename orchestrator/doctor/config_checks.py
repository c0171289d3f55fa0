"""Checks of the configuration, and of what it names: archive, stop switch, Slack, messages, Security Hub, bus."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter

from orchestrator.doctor.ports import DoctorContext
from orchestrator.doctor.report import Check, CheckName, CheckStatus, fine, in_words, problem, unknown
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import show_path
from orchestrator.domain.environment import SlackCredentials, parse_slack_secret
from orchestrator.domain.errors import AccessDenied, ArchiveError, AwsError, ConfigError, DigestError, NotFound
from orchestrator.domain.model import Product
from orchestrator.domain.nudges import read_text
from orchestrator.domain.protections import check_protections
from orchestrator.domain.remedies import explain_findings_error
from orchestrator.domain.stop_switch import SwitchState
from orchestrator.output.run_notes import describe_releases
from orchestrator.output.words import some_of, title_and_id
from orchestrator.reports.archive import RELEASES

PROBE_FOLDER = "probe"
PROBE = b"orgmfa doctor was here: this file can be deleted\n"
_READABLE = "Check archive.location, and that this caller may read, write, list and delete there."
_LIMITS = ("max_changes_per_account", "max_changes_per_run", "max_share_per_account")


def check_limits(config: Config) -> Check:
    """Return whether the limits let a run change anything."""
    limits = config.limits
    if closed := " and ".join(f"limits.{name}" for name in _LIMITS if getattr(limits, name) == 0):
        remedy = "Raise it, or set enforcement.mode: plan where nothing is to be written."
        return problem(CheckName.LIMITS, f"{closed} of 0 holds every user: nobody is ever enforced", remedy)
    counts = (limits.max_changes_per_account, limits.max_changes_per_run)
    an_account, a_run = ("any number of" if count is None else f"{count:,}" for count in counts)
    workers = config.concurrency.workers
    return fine(CheckName.LIMITS, f"at most {an_account} changes an account, {a_run} a run; {workers} accounts at once")


def check_exemptions(config: Config, now: datetime) -> Check:
    """Return how many exemptions are in force, and name those that have ended; these are no problem for a run."""
    today = now.astimezone(UTC).date()
    ended = [f"{one.user} on {one.until:%Y-%m-%d}" for one in config.exemptions if one.until and one.until < today]
    if not ended:
        return fine(CheckName.EXEMPTIONS, f"{len(config.exemptions)} in force")
    message = f"{len(config.exemptions) - len(ended)} in force; ended: {', '.join(ended)}"
    return fine(CheckName.EXEMPTIONS, message, "Remove from exemptions what has ended, or give it a new `until`.")


def check_effects(
    config: Config, user_names: Iterable[tuple[str, Sequence[str] | None]], now: datetime
) -> Iterator[Check]:
    """Yield a check for each exemption, protected user and account that matches nothing, or everybody."""
    remarks = tuple(check_protections(config, user_names, now))
    for text, is_grave in remarks:
        remedy = "Correct it, or remove it, in the configuration."
        yield (problem if is_grave else fine)(CheckName.PROTECTIONS, text, remedy)
    if not remarks:
        yield fine(CheckName.PROTECTIONS, "each exemption, protected user and account that is named matches something")


def check_hub(tools: DoctorContext) -> Iterator[Check]:
    """Yield the checks of archive, releases, stop switch, Slack, messages to users, Security Hub and event bus."""
    archive = _check_archive(tools)
    yield archive
    if archive.status is CheckStatus.OK:
        yield from _check_releases(tools)
        yield _check_onboarding(tools)
    yield _check_stop(tools)
    secret, from_secret = _check_secret(tools)
    yield secret
    credentials = tools.environment_slack or from_secret
    yield _check_slack(tools, secret, credentials)
    yield _check_nudge(tools, credentials)
    yield _check_security_hub(tools)
    yield _check_event_bus(tools)


def check_sign_in(organization_id: str, tools: DoctorContext) -> Check:
    """Return whether policies authorize signing in to the console; EnforceMFA leaves it alone either way."""
    name = CheckName.CONSOLE_SIGN_IN
    try:
        is_on = tools.hub.is_sign_in_authorized(organization_id)
    except AwsError as error:
        command = "aws signin get-console-authorization-configuration --target-id"
        remedy = f"Ask in the management account: {command} {organization_id}"
        return unknown(name, f"whether console authorization is on is not known: {in_words(error)}", remedy)
    words = "on: an earlier text of EnforceMFA keeps users from signing in" if is_on else "off"
    return fine(name, f"console authorization of {organization_id} is {words}")


def _check_archive(tools: DoctorContext) -> Check:
    """Return whether the archive can be written, read and listed; one file is written and deleted again."""
    store, location = tools.store, show_path(tools.config.archive.location)
    name = f"{PROBE_FOLDER}/{tools.run_id}"
    try:
        store.write(name, PROBE)
        try:
            is_same = store.read(name) == PROBE
            list(islice(store.list_files(RELEASES), 1))
        finally:
            store.delete(name)
    except ArchiveError as error:
        return problem(CheckName.ARCHIVE, str(error), _READABLE)
    if not is_same:
        message = f"{location} gave back another content than was written"
        return problem(CheckName.ARCHIVE, message, "Check archive.location.")
    return fine(CheckName.ARCHIVE, f"{location} can be written, read and listed; a probe was put there and deleted")


def _check_releases(tools: DoctorContext) -> Iterator[Check]:
    name = CheckName.RELEASES
    try:
        released = sorted(tools.archive.released_until(tools.now()).items(), key=itemgetter(0))
    except ArchiveError as error:
        yield problem(name, str(error), "Mend it: no run starts that cannot know whom `orgmfa release` freed.")
        return
    lines = describe_releases((release.user_name, account_id, release.until) for (account_id, _), release in released)
    for line in tuple(lines) or ("no release is in force",):
        yield fine(name, line, "To end one early: orgmfa release --for 0d --user NAME" if released else "")


def _check_onboarding(tools: DoctorContext) -> Check:
    name = CheckName.ONBOARDING
    try:
        missed = tools.archive.unannounced_accounts()
    except ArchiveError as error:
        return problem(name, str(error), _READABLE)
    if not missed:
        return fine(name, "the newest run met no new account that an event should have told of")
    message = f"no event told of new accounts: {some_of([title_and_id(one) for one in missed], 5)}"
    remedy = "Check the rules of onboarding, and the forwarder in the management account (docs/deploy.md)."
    return unknown(name, message, remedy)


def _check_stop(tools: DoctorContext) -> Check:
    name, switch = CheckName.STOP_SWITCH, tools.config.enforcement.stop
    reading = tools.hub.look_at_switch(switch)
    match reading.state:
        case SwitchState.OPEN:
            return fine(name, reading.words)
        case SwitchState.STOP:
            return problem(name, reading.words, f"Write go into {switch} when runs may write again.")
        case SwitchState.UNREADABLE:
            return problem(name, reading.words, f"Let the caller read {switch}, or correct enforcement.stop.")


def _check_slack(tools: DoctorContext, secret: Check, credentials: SlackCredentials | None) -> Check:
    name = CheckName.SLACK
    try:
        if credentials is not None:
            return fine(name, tools.probe_slack(credentials))
    except (ConfigError, DigestError) as error:
        return problem(name, str(error), "Mend the Slack settings; a run whose digest cannot be sent counts as failed.")
    if secret.status is CheckStatus.PROBLEM:
        return unknown(name, "not asked: the secret could not be read", secret.remedy)
    return fine(name, "Slack is not configured: no digest is sent")


def _check_secret(tools: DoctorContext) -> tuple[Check, SlackCredentials | None]:
    name, secret = CheckName.SLACK_SECRET, tools.config.slack.secret
    if secret is None:
        return fine(name, "slack.secret names none"), None
    try:
        credentials = parse_slack_secret(tools.hub.read_secret(secret), name=secret)
    except ConfigError as error:
        remedy = f'Put the webhook URL, or {{"bot_token": "..."}}, into the secret {secret}.'
        return problem(name, str(error), remedy), None
    except AwsError as error:
        remedy = (
            f"Check slack.secret and the Region (AWS_REGION), and allow secretsmanager:GetSecretValue on {secret} "
            "to this caller, kms:Decrypt too where it has a key of its own."
        )
        return problem(name, f"the secret {secret} cannot be read: {in_words(error)}", remedy), None
    wins = "; here the environment's credentials win over it" if tools.environment_slack else ""
    return fine(name, f"the secret {secret} can be read{wins}"), credentials


def _check_nudge(tools: DoctorContext, slack: SlackCredentials | None) -> Check:
    """Return whether users can be told before they are enforced; nobody is written to."""
    name, settings = CheckName.NUDGE, tools.config.nudge
    if settings.via is None:
        return fine(name, "nudge.via is null: nobody is told in person")
    try:
        read_text(settings)
    except ConfigError as error:
        return problem(name, str(error), "Correct the file, or set nudge.text: null.")
    if not settings.domains:
        remedy = "Name the domains of your own addresses in nudge.domains."
        return problem(name, "nudge.domains is empty: nobody is told", remedy)
    said = f"by {settings.via}, to addresses of {', '.join(settings.domains)}"
    if settings.via == "slack" or settings.region is None:
        if slack is None or slack.bot_token is None:
            remedy = 'Set ORGMFA_SLACK_BOT_TOKEN, or put {"bot_token": "..."} into the secret of slack.secret.'
            return problem(name, "nudge.via is slack, and no bot token is known: apply runs do not start", remedy)
        return fine(name, f"{said}; the app needs the scopes users:read, users:read.email and chat:write")
    return _check_ses(settings.region, f"{said}, from {settings.sender} in {settings.region}", tools)


def _check_ses(region: str, said: str, tools: DoctorContext) -> Check:
    try:
        if not tools.hub.is_ses_in_sandbox(region):
            return fine(CheckName.NUDGE, said)
    except AwsError as error:
        return unknown(CheckName.NUDGE, in_words(error), f"Allow ses:GetAccount in {region} to this caller.")
    remedy = "Ask for production access (Amazon SES, Account dashboard), or verify each address."
    return problem(CheckName.NUDGE, f"Amazon SES in {region} is in the sandbox: it writes to few addresses", remedy)


def _check_security_hub(tools: DoctorContext) -> Check:
    """Return whether Security Hub is switched on where findings go; none is imported, since that would be a write."""
    name, caller = CheckName.SECURITY_HUB, tools.caller
    if not tools.config.securityhub.enabled:
        return fine(name, "securityhub.enabled is false: no findings are imported")
    place = f"account {caller.account_id}, Region {tools.region}"
    try:
        tools.hub.look_at_security_hub()
    except AccessDenied as error:
        remedy = f"Allow securityhub:DescribeHub to this caller, or see in the console that it is on in {place}."
        return unknown(name, in_words(error), remedy)
    except AwsError as error:
        told = explain_findings_error(error, Product(caller.account_id, tools.region, caller.partition))
        return problem(name, f"{told.message} ({told.code})", told.remedy)
    return fine(name, f"it is switched on in {place}; that findings may be imported shows in a run alone")


def _check_event_bus(tools: DoctorContext) -> Check:
    """Return whether the event bus of each run is there; none is put, since others act on it."""
    name, bus = CheckName.EVENT_BUS, tools.config.events.bus
    if bus is None:
        return fine(name, "events.bus is null: no run is told by an event")
    place = f"account {tools.caller.account_id}, Region {tools.region}"
    try:
        tools.hub.get_bus_policy(bus)
    except NotFound:
        message = f"there is no event bus {bus} in {place}: each run there ends in an error of stage event"
        return problem(name, message, "Make it, or correct events.bus.")
    except AwsError as error:
        return unknown(name, in_words(error), f"Allow events:DescribeEventBus on {bus} to this caller.")
    return fine(name, f"the event bus {bus} is in {place}")
