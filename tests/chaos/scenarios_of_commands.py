"""Scenarios of the command line as it ships: signals, a full disk, a missing archive, nothing to start with."""

import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Timer

from tests.aws_server import json_error
from tests.chaos import troubles
from tests.chaos.commands import Command
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence, FolderArchive
from tests.chaos.happenings import at_call, renew_hub
from tests.chaos.invariants_of_ends import expected_code
from tests.chaos.listing import AccountPages
from tests.chaos.scenarios import Drive, Scenario, from_wire
from tests.chaos.wire import Instead, Slow

_NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
_NEW_KEYS = """
id=AKIAEXAMPLE$$
printf '{{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "chaos-secret-of-the-hub", ' "$id"
printf '"SessionToken": "chaos-secret-token-of-the-hub", "Expiration": "{until}"}}'
"""
"""Prints credentials that botocore counts as about to expire, and so asks for anew before each call."""

MOST_UNDER_WAY = 8
"""Calls that can be on their way at one moment: one for each of six workers, the listing, and the run itself."""

ROOM_FOR_A_LEASE = 400
"""Bytes that a file may have: the lease fits, a report does not."""


def _signalled(number: signal.Signals) -> Drive:
    def drive(stage: Stage, rng: Random) -> list[Evidence]:
        stage.server.listing = AccountPages(size=2)
        command = Command(stage)
        stage.server.happenings.append(at_call(rng.randint(1, 100), lambda: command.send(number)))
        return [command.run()]

    return drive


def _at_any_moment(stage: Stage, rng: Random) -> list[Evidence]:
    number = rng.choice([signal.SIGINT, signal.SIGTERM])
    return [Command(stage).run(signal_after=rng.uniform(0.0, 2.0), number=number)]


def _twice(stage: Stage, rng: Random) -> list[Evidence]:
    """Send a second signal right after the first: what was under way is all that AWS may still see."""
    command, seen = Command(stage), []

    def again() -> None:
        seen.append(len(stage.server.book.entries))
        command.send(signal.SIGINT)

    def act() -> None:
        command.send(signal.SIGINT)
        Timer(rng.uniform(0.0, 0.2), again).start()

    stage.server.happenings.append(at_call(rng.randint(1, 100), act))
    stage.server.troubles.append(troubles.slow_answers(9, Slow(0.3)))
    evidence = command.run()
    went_on = len(stage.server.book.entries) - seen[0] if len(command.signalled) > 1 else 0
    defect = f"{went_on} calls after the second signal" if went_on > MOST_UNDER_WAY else evidence.defect
    return [replace(evidence, defect=defect)]


def _renewed(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the program get new credentials all the time, as from a process of its own, and AWS take no old ones."""
    script, config = stage.folder / "keys.sh", stage.folder / "aws-config"
    script.write_text(_NEW_KEYS.format(until=f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"))
    config.write_text(f"[profile renewed]\ncredential_process = /bin/sh {script}\n")
    keys: list[str] = []
    stage.server.happenings.append(renew_hub(stage.server, keys, most=16))
    variables = {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "renewed"} | _NO_KEYS
    evidence = Command(stage, environment=variables).run()
    is_well = evidence.code == expected_code(stage.world) and len(keys) > 1
    return [evidence if is_well else replace(evidence, defect=f"{len(keys)} keys, exit code {evidence.code}")]


def _disk_full(stage: Stage, _: Random) -> list[Evidence]:
    return [Command(stage, most_bytes=ROOM_FOR_A_LEASE).run()]


def _no_archive(stage: Stage, rng: Random) -> list[Evidence]:
    """Have a file stand where the archive should be, from the beginning."""
    assert isinstance(stage.archive, FolderArchive)
    away = stage.archive.path.rename(stage.folder / "away")
    stage.archive.path.write_text("in the way", encoding="utf-8")

    def undo() -> None:
        assert isinstance(stage.archive, FolderArchive)
        stage.archive.path.unlink()
        away.rename(stage.archive.path)

    stage.undo.append(undo)
    verb = rng.choice(["apply", "plan"])
    return [Command(stage, (verb, *(["--yes"] if verb == "apply" else []), "--output", "json")).run()]


def _cannot_start(stage: Stage, rng: Random) -> list[Evidence]:
    """Have no credentials, or ones that nobody takes, or no permission to list."""
    code = rng.choice(["AccessDeniedException", "ExpiredTokenException", "AWSOrganizationsNotInUseException", ""])
    if code:
        stage.server.troubles.append(
            lambda call, _: Instead(json_error(code, "no")) if call.service == "organizations" else None
        )
    return [Command(stage, environment={} if code else _NO_KEYS).run()]


def run_command(stage: Stage, _: Random) -> list[Evidence]:
    """Make one run by the command line, with its real waits."""
    return [Command(stage).run()]


def _half_a_minute(stage: Stage, _: Random) -> list[Evidence]:
    stage.server.troubles.append(troubles.slow_answers(2, Slow(30)))
    return [Command(stage).run()]


COMMANDS: tuple[Scenario, ...] = (
    Scenario(name="Ctrl-C at any call", drive=_signalled(signal.SIGINT)),
    Scenario(name="SIGTERM at any call", drive=_signalled(signal.SIGTERM)),
    Scenario(name="a signal at any moment, start-up included", drive=_at_any_moment),
    Scenario(name="a second signal", drive=_twice),
    Scenario(name="the hub's credentials are renewed all the time", drive=_renewed, with_cases=False),
    Scenario(name="disk full", drive=_disk_full),
    Scenario(name="archive not there from the start", drive=_no_archive),
    Scenario(name="nothing can start", drive=_cannot_start),
    Scenario(
        name="throttling, by the command line",
        arrange=from_wire(lambda rng: troubles.throttling(rng.uniform(0.05, 0.3))),
        drive=run_command,
        runs_at_most=4,
    ),
    Scenario(name="answers of 30 s, by the command line", drive=_half_a_minute, runs_at_most=1, is_for_long=True),
)
