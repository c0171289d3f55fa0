"""The question before a run writes, as it is worded, and as it is answered on a real terminal of 80 columns."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from io import StringIO
from typing import Any

import pytest

from orchestrator.cli.confirmation import Interrupts, make_question
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Mode, PolicyChange
from orchestrator.reports.report import AccountReport
from tests.aws_server import AwsServer
from tests.builders import make_run_report, make_seen, make_seen_account
from tests.cli.calling import ORGMFA, TIMEOUT_SECONDS, Cli, Sample, written

pytestmark = pytest.mark.thorough

ESCAPE_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def make_planned(alias: str, *keys: int | None, **changes: Any) -> AccountReport:
    users = (make_seen(f"user{number}", "planned", active_access_keys=one) for number, one in enumerate(keys))
    others = make_seen("held", "held", active_access_keys=9), make_seen("mfa", "none", active_access_keys=9)
    return make_seen_account(*users, *others, alias=alias, **changes)


def ask(*accounts: AccountReport, mode: Mode = Mode.APPLY, width: int = 80, stops: bool = True) -> tuple[str, int]:
    return make_question(make_run_report(*accounts, mode=mode), blocks_access_keys=stops, width=width)


@pytest.mark.parametrize(
    ("accounts", "question"),
    [
        ([make_planned("shop", 2)], "Enforce MFA on 1 user in shop, 2 access keys stop?"),
        ([make_planned("shop", 0, 0)], "Enforce MFA on 2 users in shop, no access key stops?"),
        ([make_planned("shop", 1, None)], "Enforce MFA on 2 users in shop, at least 1 access key stops?"),
        ([make_planned("shop", None)], "Enforce MFA on 1 user in shop, at least 0 access keys stop?"),
        (
            [make_planned("a", 0), make_planned("b", 0), make_planned("none"), make_planned("c", 1)],
            "Enforce MFA on 3 users in a, b and c, 1 access key stops?",
        ),
        (
            [make_planned(name, 0) for name in "abcd"],
            "Enforce MFA on 4 users in 4 accounts, no access key stops?",
        ),
        (
            [make_planned("x" * 40, 0), make_planned("shop", 0)],
            f"Enforce MFA on 2 users in {'x' * 40} and\nshop, no access key stops?",
        ),
        (
            [make_planned("shop", 0, policy_changes=(PolicyChange.CREATE_POLICY,))],
            "Enforce MFA on 1 user in shop, changing policy or group in 1 account, no\naccess key stops?",
        ),
        (
            [make_planned("shop", policy_changes=(PolicyChange.UPDATE_POLICY,))],
            "Enforce MFA on 0 users, changing policy or group in 1 account?",
        ),
    ],
)
def test_question_names_users_accounts_and_the_access_keys_that_stop(
    accounts: list[AccountReport], question: str
) -> None:
    assert ask(*accounts)[0] == question


def test_question_of_a_policy_or_a_run_that_stops_no_key_names_none() -> None:
    assert ask(make_planned("shop", 2), stops=False) == ("Enforce MFA on 1 user in shop?", 1)
    assert ask(make_planned("shop", 2), mode=Mode.RELEASE) == ("Release 1 user in shop?", 1)


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_question_breaks_no_word_and_leaves_room_for_the_answer(width: int) -> None:
    few, _ = ask(*(make_planned(f"account-{number}", 1) for number in range(3)), width=width)
    many, users = ask(*(make_planned(f"account-{number}", *[1] * 1000) for number in range(4)), width=width)

    assert max(len(f"{line} [y/N]: ") for line in few.splitlines()) <= width
    assert max(map(len, many.splitlines())) <= width
    assert few.split() == [
        "Enforce",
        "MFA",
        "on",
        "3",
        "users",
        "in",
        "account-0,",
        "account-1",
        "and",
        "account-2,",
        "3",
        "access",
        "keys",
        "stop?",
    ]
    assert (users, many.split()) == (
        4000,
        ["Enforce", "MFA", "on", "4,000", "users", "in", "4", "accounts,", "4,000", "access", "keys", "stop?"],
    )
    assert ("\n" in many) is (width < 80)


@pytest.mark.parametrize(
    ("users", "typed", "agrees"),
    [
        (20, "y", True),
        (20, "", False),
        (20, "n", False),
        (21, "21", True),
        (21, " 21 ", True),
        (1442, "1,442", True),
        (1442, "1442", True),
        (21, "y", False),
        (21, "yes", False),
        (21, "", False),
        (21, "20", False),
        (21, "2", False),
        (21, "21.0", False),
        (21, "021", False),
    ],
)
def test_many_users_are_agreed_to_by_their_number_alone(
    monkeypatch: pytest.MonkeyPatch, users: int, typed: str, agrees: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO(f"{typed}\n"))

    assert Interrupts(Cancellation()).ask("Enforce?", users) is agrees


@pytest.mark.parametrize("users", [1, 21])
def test_end_of_input_and_a_signal_at_the_question_mean_no(monkeypatch: pytest.MonkeyPatch, users: int) -> None:
    cancellation = Cancellation()

    class Signalled:
        def readline(self, _size: int = -1) -> str:
            cancellation.event.set()
            return "y\n" if users == 1 else f"{users}\n"

    monkeypatch.setattr(sys, "stdin", StringIO(""))
    assert Interrupts(Cancellation()).ask("Enforce?", users) is False
    monkeypatch.setattr(sys, "stdin", Signalled())
    assert Interrupts(cancellation).ask("Enforce?", users) is False


def on_terminal(cli: Cli, *arguments: str, until: str, answer: str) -> tuple[int, str]:
    """Run `orgmfa` with all its streams on a terminal of 80 columns, and return exit code and what it showed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*ORGMFA, *arguments], cwd=cli.folder, env=cli.environment(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown, has_answered = b"", False
    try:
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # how Linux tells that nobody has the other end any more
                break
            if not has_answered and until.encode() in shown:
                has_answered = True
                os.write(ours, f"{answer}\n".encode())
        return process.wait(TIMEOUT_SECONDS), ESCAPE_CODES.sub("", shown.decode())
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def line_with(words: str, shown: str) -> str:
    [line] = [line for line in re.split(r"[\r\n]+", shown) if words in line]
    return line


@pytest.mark.parametrize(("answer", "agrees"), [("", False), ("y", True)])
def test_apply_asks_in_one_line_and_takes_nothing_for_no(
    aws: AwsServer, cli: Cli, sample: Sample, answer: str, agrees: bool
) -> None:
    code, shown = on_terminal(cli, "apply", until="[y/N]: ", answer=answer)

    line = line_with("[y/N]", shown)
    assert line.startswith("Enforce MFA on 2 users in acme-payments and search, no access key stops? [y/N]:")
    assert len(line.rstrip()) <= 80 + len(answer)
    assert code == (0 if agrees else 1)
    assert len(written(aws)) == (2 if agrees else 0)
    assert ("Nothing was written." in shown) is not agrees
    assert (cli.folder / "orgmfa-runs" / "runs").exists() is agrees


def test_apply_and_release_of_many_ask_for_the_number_to_be_typed(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    for number in range(20):
        sample.organization.add_user(sample.payments, f"user{number}")
    aws.forget_calls()

    declined = on_terminal(cli, "apply", until="to agree: ", answer="y")
    assert (declined[0], written(aws)) == (1, [])
    agreed = on_terminal(cli, "apply", until="to agree: ", answer="22")
    assert (agreed[0], len(written(aws))) == (0, 22)
    aws.forget_calls()
    kept = on_terminal(cli, "release", until="to agree: ", answer="y")
    assert (kept[0], written(aws)) == (1, [])
    assert on_terminal(cli, "release", until="to agree: ", answer="22")[0] == 0
    assert len(written(aws)) == 22

    assert line_with("Enforce MFA on 22 users in acme-payments and search", agreed[1]).endswith("no access key stops?")
    assert line_with("Release 22 users in acme-payments and search?", kept[1])
    ended = on_terminal(cli, "release", "--for", "0d", "--account", "search", until="[y/N]: ", answer="")
    assert (ended[0], "End 1 release? [y/N]:" in ended[1]) == (1, True)
