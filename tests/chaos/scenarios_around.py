"""Scenarios around the run, inside this process: Slack, the archive, the stop switch, size, the Lambda, two at once."""

from dataclasses import replace
from random import Random
from threading import Thread
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from orchestrator.aws import clients as aws_clients
from orchestrator.aws import retrying
from orchestrator.aws.clients import make_clients
from orchestrator.model import Mode
from orchestrator.pool import Halt
from tests.aws_server import MANAGEMENT, Answer, Call, xml_error
from tests.chaos import pages, troubles
from tests.chaos.driving import Stage, variables
from tests.chaos.evidence import BucketArchive, Evidence, FolderArchive
from tests.chaos.happenings import at_call
from tests.chaos.people import PLAIN, VIRTUAL
from tests.chaos.scenarios import Arrange, Drive, Scenario
from tests.chaos.wire import Disturbance, Instead, Reset
from tests.chaos.world import add_people
from tests.fake_slack import Drop, Failure, RateLimited, Say, ServerError, Silence
from tests.onboarding_events import batch, stack_set_event

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULE = {"trigger": "schedule", "scheduled_time": "2026-03-02T12:00:00Z"}


def _slack(*failures: Failure) -> Arrange:
    def arrange(stage: Stage, rng: Random) -> None:
        assert stage.slack is not None
        stage.slack.next(*rng.choices(failures, k=rng.choice([1, 3, 9])))

    return arrange


def lose_archive(stage: Stage, rng: Random) -> None:
    """Have the archive become impossible to write at a random call: a file stands where its folder should."""
    assert isinstance(stage.archive, FolderArchive)
    runs = stage.archive.path / "runs"

    def act() -> None:
        runs.write_text("in the way", encoding="utf-8")

    def undo() -> None:
        if runs.is_file():
            runs.unlink()

    stage.server.happenings.append(at_call(rng.randint(1, 60), act))
    stage.undo.append(undo)


def _bucket(stage: Stage, rng: Random) -> None:
    """Keep the archive in a bucket, with answers to writes lost, or refused for runs."""
    stage.archive = BucketArchive()
    stage.configure()
    is_lost, left = rng.random() < 0.5, [2]

    def lose(call: Call, _: Random) -> Disturbance | None:
        if call.service != "s3" or not call.action.startswith("PUT") or not left[0]:
            return None
        left[0] -= 1
        return Reset(after=True)

    def refuse(call: Call, _: Random) -> Disturbance | None:
        is_run = call.service == "s3" and call.action.startswith("PUT") and "/runs/" in call.action
        return Instead(xml_error("AccessDenied", "Access Denied", 403)) if is_run else None

    stage.server.troubles.append(lose if is_lost else refuse)


def _stop_set(stage: Stage, rng: Random) -> None:
    """Have somebody set the stop switch in SSM at a random call; or have it answer nonsense from then on."""
    # One account at a time, so that each write has its own look at the switch right before it in the books.
    stage.configure(enforcement={"stop": "ssm:/orgmfa/stop"}, concurrency={"workers": 1})
    ssm: Any = get_backend("ssm")[MANAGEMENT]["eu-central-1"]

    def put(value: str) -> None:
        ssm.put_parameter("/orgmfa/stop", "", value, "String", "", "", True, [], "text", None, None)

    def spoil(call: Call, chance: Random) -> Disturbance | None:
        words = chance.choice([" ", "null", "{", "[]", '{"Parameter": {}}'])
        return Instead(Answer(200, words, troubles.JSON)) if call.action == "GetParameter" else None

    put("go")
    acts: list[Callable[[], None]] = [lambda: put("stop"), lambda: stage.server.troubles.append(spoil)]
    stage.server.happenings.append(at_call(rng.randint(1, 90), rng.choice(acts)))
    stage.undo.append(lambda: put("go"))


def _big_account(users: int) -> Arrange:
    def arrange(stage: Stage, rng: Random) -> None:
        place = list(stage.world.places.values())[-1]
        add_people(stage.world, place, VIRTUAL, users - 30)
        add_people(stage.world, place, PLAIN, 30)
        stage.server.edits.append(pages.paged_users(1000))
        stage.server.troubles.append(troubles.throttling(0.1))
        aws_clients.READ_TIMEOUT_SECONDS, before = 60, aws_clients.READ_TIMEOUT_SECONDS
        stage.clients = make_clients(connections=8)
        stage.clients.iam  # noqa: B018 - made while the constant holds
        aws_clients.READ_TIMEOUT_SECONDS = before

    return arrange


def _invoked(stage: Stage, _: Random) -> list[Evidence]:
    return [stage.invoke(SCHEDULE)]


def _deadline(stage: Stage, rng: Random) -> list[Evidence]:
    stage.server.troubles.append(troubles.slow_answers(2))
    return [stage.invoke(SCHEDULE, remaining_seconds=60 + rng.uniform(0.05, 0.9))]


def _deadline_while_writes_wait(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the deadline come while writes are throttled again and again, longer than the run has patience."""
    before, retrying.MAX_WAIT_SECONDS = retrying.MAX_WAIT_SECONDS, 1.5
    stage.undo.append(lambda: setattr(retrying, "MAX_WAIT_SECONDS", before))
    stage.server.troubles.append(troubles.throttled_writes(9))
    return [stage.invoke(SCHEDULE, remaining_seconds=60 + rng.uniform(0.5, 1.5))]


def _same_event(stage: Stage, rng: Random) -> list[Evidence]:
    """Deliver an event again, right after its run and perhaps in the middle of it."""
    event = SCHEDULE | {"scheduled_time": f"2026-03-{rng.randint(1, 28):02}T12:00:00Z"}
    first = stage.invoke(event)
    second = stage.invoke(event)
    runs = stage.server.book.run_ids(0)
    if second.code or len(runs) > 1 or second.until != second.since:
        second = replace(second, defect=f"the second delivery was no repetition: runs {runs}")
    return [first, replace(second, wants_digest=False)]


def _onboarding(stage: Stage, rng: Random) -> list[Evidence]:
    """Tell of new accounts whose roles cannot be assumed yet."""
    places = [place for place in list(stage.world.places.values())[1:] if place.is_entered]
    for place in places:
        stage.server.troubles.append(troubles.role_denied(place.id, times=rng.randint(0, 6)))
    return [stage.invoke(batch(*(stack_set_event(place.id) for place in places)), wants_digest=False)]


def _two_at_once(stage: Stage, rng: Random) -> list[Evidence]:
    """Start a second run at a random call of the first."""
    others: list[Evidence] = []
    second = Thread(target=lambda: others.append(stage.carry_out(Mode.APPLY, Halt())))
    stage.server.happenings.append(at_call(rng.randint(1, 80), second.start))
    first = stage.run()
    if second.ident is not None:
        second.join()
    # Whose digest is whose cannot be told while both are under way.
    return [replace(evidence, wants_digest=False) for evidence in (first, *others)]


def _nothing_answers(url: str) -> Drive:
    def drive(stage: Stage, _: Random) -> list[Evidence]:
        before, stage.clients = stage.clients, None
        with variables({"AWS_ENDPOINT_URL": url}):
            evidence = stage.run()
        stage.clients = before
        return [evidence]

    return drive


AROUND: tuple[Scenario, ...] = (
    Scenario(name="Slack 429", arrange=_slack(RateLimited(0), RateLimited(None), RateLimited(9999))),
    Scenario(name="Slack 500", arrange=_slack(ServerError(), ServerError(503), ServerError(504))),
    Scenario(
        name="Slack ok:false", arrange=_slack(Say('{"ok": false, "error": "x"}'), Say("no_service", 404), Say(""))
    ),
    Scenario(name="Slack silent or broken off", arrange=_slack(Silence(), Drop(), Drop(accepting=True))),
    Scenario(name="archive gone in mid-run", arrange=lose_archive),
    Scenario(name="archive in a bucket that fails", arrange=_bucket, is_mixable=False),
    Scenario(name="stop switch set or unreadable in mid-run", arrange=_stop_set, is_mixable=False),
    Scenario(
        name="1,000 users in an account", arrange=_big_account(1000), with_cases=False, is_mixable=False, runs_at_most=3
    ),
    Scenario(
        name="5,000 users in an account",
        arrange=_big_account(5000),
        with_cases=False,
        is_mixable=False,
        runs_at_most=1,
        is_for_long=True,
    ),
    Scenario(name="Lambda, nothing goes wrong", drive=_invoked, is_mixable=False),
    Scenario(name="Lambda deadline", drive=_deadline, is_mixable=False),
    Scenario(name="Lambda deadline while writes are throttled", drive=_deadline_while_writes_wait, is_mixable=False),
    Scenario(name="the same event twice", drive=_same_event, is_mixable=False),
    Scenario(name="onboarding before the roles exist", drive=_onboarding, is_mixable=False),
    Scenario(name="two runs at once", drive=_two_at_once, is_mixable=False),
    Scenario(name="no name server", drive=_nothing_answers("http://aws.chaos.invalid:4566"), is_mixable=False),
    Scenario(name="nothing listens", drive=_nothing_answers("http://127.0.0.1:9"), is_mixable=False),
)
