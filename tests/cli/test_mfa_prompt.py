"""A profile with `mfa_serial` on a real terminal: the code is asked for with nothing drawn, at first and in mid-run."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tests.aws_server import Answer, AwsServer, Call, xml_error
from tests.cli.calling import ORGMFA, TIMEOUT_SECONDS, Cli, Sample

pytestmark = pytest.mark.thorough

ROLE = "arn:aws:iam::123456789012:role/orgmfa-operator"
PROFILES = f"""[profile me]
aws_access_key_id = AKIAEXAMPLEHUB000000
aws_secret_access_key = not-a-secret
[profile orgmfa]
role_arn = {ROLE}
source_profile = me
mfa_serial = arn:aws:iam::123456789012:mfa/ana
region = eu-central-1
"""
PROMPT = "Enter MFA code for arn:aws:iam::123456789012:mfa/ana: "
WRONG = "MultiFactorAuthentication failed with invalid MFA one time pass code."
UNKNOWN = (
    "MultiFactorAuthentication failed, unable to validate MFA code. Please verify your MFA serial number is valid."
)


@dataclass
class Terminal:
    """A process with a terminal of its own; `screen` is all that was drawn on it."""

    process: subprocess.Popen[bytes]
    ours: int
    screen: str = ""
    out: str = ""

    def wait_for(self, text: str, times: int = 1) -> None:
        until = time.monotonic() + TIMEOUT_SECONDS
        while self.screen.count(text) < times:
            assert time.monotonic() < until, f"no {text!r} in {self.screen!r}"
            assert self.read(), f"no {text!r} in {self.screen!r}"

    def read(self) -> bool:
        """Take what was drawn, and return whether the terminal is still open."""
        if not select.select([self.ours], [], [], 1)[0]:
            return True
        try:
            taken = os.read(self.ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.screen += taken.decode()
        return bool(taken)

    def look_for_more(self) -> None:
        """Take what is drawn within half a second: a bar is drawn ten times a second."""
        until = time.monotonic() + 0.5
        while (left := until - time.monotonic()) > 0 and select.select([self.ours], [], [], left)[0]:
            self.read()

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def end(self) -> int:
        until = time.monotonic() + TIMEOUT_SECONDS
        while self.read():
            assert time.monotonic() < until, self.screen
        assert self.process.stdout is not None
        self.out = self.process.stdout.read().decode()
        return self.process.wait(timeout=TIMEOUT_SECONDS)


TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard error the terminal that controls the process, as a login does."""


@contextmanager
def at_terminal(cli: Cli, *arguments: str, **environment: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *ORGMFA, *arguments],
        cwd=cli.folder,
        env=cli.environment(AWS_PROFILE="orgmfa", TERM="xterm", COLUMNS="80", **environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.communicate()
        os.close(ours)


@dataclass
class Sts:
    """AssumeRole of the operator's role: notes the codes; the first `short` sessions have to be renewed at once."""

    codes: list[str] = field(default_factory=list)
    refusal: str = ""
    short: int = 0

    def fault(self, call: Call) -> Answer | None:
        if call.action != "AssumeRole" or call.parameters["RoleArn"] != ROLE:
            return None
        self.codes.append(call.parameters.get("TokenCode", ""))
        if self.refusal:
            return xml_error("AccessDenied", self.refusal, 403)
        ends = datetime.now(UTC) + timedelta(seconds=60 if len(self.codes) <= self.short else 3600)
        return Answer(
            200,
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLEOPERATOR0</AccessKeyId>"
            "<SecretAccessKey>not-a-secret-either</SecretAccessKey><SessionToken>the-token</SessionToken>"
            f"<Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
        )


@pytest.fixture
def sts(cli: Cli, sample: Sample, aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Sts:
    (cli.folder / "aws-config").write_text(PROFILES)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(cli.folder / "aws-config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    made = Sts()
    aws.faults.append(made.fault)
    return made


@pytest.mark.parametrize("command", [["plan"], ["doctor"], ["apply", "--yes"]], ids=lambda words: words[0])
def test_code_is_asked_for_before_anything_is_drawn(cli: Cli, sts: Sts, command: list[str]) -> None:
    with at_terminal(cli, *command) as terminal:
        terminal.wait_for(PROMPT)
        assert terminal.screen == PROMPT
        terminal.type("918273\n")
        code = terminal.end()

    assert code in {0, 1}
    assert terminal.out
    assert sts.codes == ["918273"]
    assert "918273" not in terminal.screen + terminal.out


def test_empty_code_and_one_that_is_none_are_asked_for_again(cli: Cli, sts: Sts) -> None:
    with at_terminal(cli, "plan") as terminal:
        for number, (typed, told) in enumerate(
            [
                ("", "Nothing was typed."),
                ("12345", "six digits"),
                ("abcdef", "six digits"),
                ("\uff11\uff12\uff13\uff14\uff15\uff16", "six digits"),
            ],
            1,
        ):
            terminal.wait_for(PROMPT, number)
            seen = len(terminal.screen)
            terminal.type(f"{typed}\n")
            terminal.wait_for(PROMPT, number + 1)
            assert told in terminal.screen[seen:]
        terminal.type("123456\n")

        assert terminal.end() == 0
    assert sts.codes == ["123456"]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (WRONG, ["did not take this MFA code", "mistyped, or used before", "Wait for the next one"]),
        (UNKNOWN, ["mfa_serial of profile orgmfa"]),
    ],
)
def test_code_that_aws_refuses_is_told(cli: Cli, sts: Sts, refusal: str, words: list[str]) -> None:
    sts.refusal = refusal
    with at_terminal(cli, "plan") as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("123456\n")
        code = terminal.end()

    assert (code, terminal.out) == (2, "")
    assert all(word in " ".join(terminal.screen.split()) for word in words)
    assert "organizations:AssumeRole" not in terminal.screen
    assert "Health" not in terminal.screen


@pytest.mark.parametrize("how", ["Ctrl-D", "Ctrl-C"])
@pytest.mark.parametrize("command", [["plan"], ["deploy", "--yes"]], ids=lambda words: words[0])
def test_prompt_that_is_left_ends_with_a_word_of_ours(cli: Cli, sts: Sts, how: str, command: list[str]) -> None:
    with at_terminal(cli, *command) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("\x04" if how == "Ctrl-D" else "\x03")
        code = terminal.end()

    assert (code, terminal.out) == (2, "")
    assert "no MFA code was given" in terminal.screen
    assert "Traceback" not in terminal.screen
    assert sts.codes == []


@pytest.mark.parametrize("command", [["plan"], ["doctor"], ["deploy", "--yes"]], ids=lambda words: words[0])
def test_without_a_terminal_it_says_what_to_do(cli: Cli, sts: Sts, command: list[str]) -> None:
    done = subprocess.run(
        [*ORGMFA, *command],
        cwd=cli.folder,
        env=cli.environment(AWS_PROFILE="orgmfa"),
        input="123456\n",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        start_new_session=True,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "no terminal" in done.stderr
    assert "aws sts get-session-token" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sts.codes == []


IN_MID_RUN = 4
"""Which prompt comes while the bar is drawn: before it come those of the start, the caller and the organization."""


def reach_mid_run(terminal: Terminal, prompt: int = IN_MID_RUN) -> None:
    for number in range(1, prompt):
        terminal.wait_for(PROMPT, number)
        terminal.type(f"{number:06}\n")
    terminal.wait_for(PROMPT, prompt)


@pytest.mark.parametrize("command", [["apply", "--yes"], ["doctor"]], ids=lambda words: words[0])
def test_session_is_renewed_in_mid_run_with_nothing_drawn_meanwhile(cli: Cli, sts: Sts, command: list[str]) -> None:
    sts.short = IN_MID_RUN - 1
    with at_terminal(cli, *command) as terminal:
        reach_mid_run(terminal)
        asked_at = len(terminal.screen)
        terminal.type("000003\n")
        terminal.wait_for(PROMPT, IN_MID_RUN + 1)
        terminal.look_for_more()
        drawn = terminal.screen[asked_at:]
        terminal.type("654321\n")
        code = terminal.end()

    assert code in {0, 1}
    assert sts.codes == ["000001", "000002", "000003", "654321"]
    told = "This MFA code was used already. Wait until your device shows the next one."
    assert drawn.replace("\r", "") == f"\n{told}\n{PROMPT}"


@pytest.mark.parametrize("how", ["Ctrl-D", "Ctrl-C"])
def test_prompt_in_mid_run_that_is_left_ends_the_run(cli: Cli, sts: Sts, how: str) -> None:
    sts.short = IN_MID_RUN - 1
    with at_terminal(cli, "plan") as terminal:
        reach_mid_run(terminal)
        terminal.type("\x04" if how == "Ctrl-D" else "\x03")
        code = terminal.end()

    assert code in {1, 2}
    assert "no MFA code was given" in " ".join((terminal.screen + terminal.out).split())
    assert terminal.screen.count(PROMPT) == IN_MID_RUN


@pytest.mark.parametrize("prompt", [5, 6])
def test_prompt_that_was_left_is_not_shown_at_each_further_call(cli: Cli, sts: Sts, prompt: int) -> None:
    sts.short = 99
    cli.configure("concurrency: {workers: 1}\n")
    with at_terminal(cli, "plan") as terminal:
        reach_mid_run(terminal, prompt)
        terminal.type("\x04")
        terminal.look_for_more()
        if terminal.screen.count(PROMPT) == prompt:
            terminal.end()

    assert terminal.screen.count(PROMPT) == prompt
