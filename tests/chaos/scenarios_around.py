"""Scenarios of what stands around a run, inside this process: Slack, the archive, the name server, size."""

import socket
from random import Random
from threading import Event, Timer
from typing import Any

from orchestrator.aws import clients as aws_clients
from orchestrator.aws.clients import make_clients
from tests.aws_server import Answer, Call, xml_error
from tests.chaos import pages, troubles
from tests.chaos.driving import Stage, variables
from tests.chaos.evidence import Evidence, FolderArchive
from tests.chaos.happenings import at_call
from tests.chaos.people import PLAIN, VIRTUAL
from tests.chaos.scenarios import Arrange, Drive, Scenario
from tests.chaos.scenarios_of_runs import run_or_invoke, use_bucket
from tests.chaos.wire import Disturbance, Instead, Reset
from tests.chaos.world import add_people
from tests.fake_slack import Drop, Failure, RateLimited, Say, ServerError, Silence


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
    """Keep the archive in a bucket, with answers to writes lost, or read-only, or deleted at a random call."""
    use_bucket(stage)
    away, left = at_call(rng.randint(1, 90), lambda: stage.server.troubles.append(gone)), [2]

    def lose(call: Call, _: Random) -> Disturbance | None:
        if call.service != "s3" or not call.action.startswith("PUT") or not left[0]:
            return None
        left[0] -= 1
        return Reset(after=True)

    def refuse(call: Call, _: Random) -> Disturbance | None:
        is_run = call.service == "s3" and call.action.startswith("PUT") and "/runs/" in call.action
        return Instead(xml_error("AccessDenied", "Access Denied", 403)) if is_run else None

    def gone(call: Call, _: Random) -> Disturbance | None:
        return Instead(Answer(404, _NO_BUCKET, "application/xml")) if call.service == "s3" else None

    kind = rng.choice([lose, refuse, gone])
    if kind is gone:
        stage.server.happenings.append(away)
    else:
        stage.server.troubles.append(kind)


def _names_lost(stage: Stage, rng: Random) -> None:
    """Have no name be resolved for a while, from a random call on, and connections reset, so that new ones are made."""
    port, real, is_lost = int(stage.server.url.rpartition(":")[2]), socket.getaddrinfo, Event()

    def resolve(host: Any, at: Any, *rest: Any, **more: Any) -> Any:
        if is_lost.is_set() and at == port:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(host, at, *rest, **more)

    def act() -> None:
        is_lost.set()
        Timer(rng.uniform(0.05, 2.5), is_lost.clear).start()

    vars(socket)["getaddrinfo"] = resolve
    stage.undo += [is_lost.clear, lambda: vars(socket).update(getaddrinfo=real)]
    stage.server.happenings.append(at_call(rng.randint(2, 60), act))
    stage.server.troubles.append(troubles.resets(0.2, after=False))


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


def _nothing_answers(url: str, *variable_names: str) -> Drive:
    def drive(stage: Stage, rng: Random) -> list[Evidence]:
        before, stage.clients = stage.clients, None
        with variables({rng.choice(variable_names): url}):
            evidence = stage.run()
        stage.clients = before
        return [evidence]

    return drive


_NO_BUCKET = "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>"
_NO_NAME = "http://aws.chaos.invalid:4566"

AROUND: tuple[Scenario, ...] = (
    Scenario(
        name="Slack 429", arrange=_slack(RateLimited(0), RateLimited(None), RateLimited(9999)), drive=run_or_invoke
    ),
    Scenario(name="Slack 500", arrange=_slack(ServerError(), ServerError(503), ServerError(504)), drive=run_or_invoke),
    Scenario(
        name="Slack ok:false",
        arrange=_slack(Say('{"ok": false, "error": "x"}'), Say("no_service", 404), Say("")),
        drive=run_or_invoke,
    ),
    Scenario(
        name="Slack silent or broken off",
        arrange=_slack(Silence(), Drop(), Drop(accepting=True)),
        drive=run_or_invoke,
    ),
    Scenario(name="archive gone in mid-run", arrange=lose_archive, drive=run_or_invoke),
    Scenario(
        name="archive in a bucket: answers lost, read-only, gone",
        arrange=_bucket,
        drive=run_or_invoke,
        is_mixable=False,
        share=2,
    ),
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
    Scenario(name="no name server", drive=_nothing_answers(_NO_NAME, "AWS_ENDPOINT_URL"), is_mixable=False),
    Scenario(
        name="no name server for one service",
        drive=_nothing_answers(_NO_NAME, "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"),
        is_mixable=False,
    ),
    Scenario(name="no name server for a while", arrange=_names_lost, is_mixable=False),
    Scenario(
        name="nothing listens", drive=_nothing_answers("http://127.0.0.1:9", "AWS_ENDPOINT_URL"), is_mixable=False
    ),
)
