"""The stop switch: what is there forbids writing, unless it is empty or one of a few words; what is absent does not."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import Retrier
from orchestrator.aws.stop_switch import look_at_switch
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.stop_switch import MAX_SHOWN, Reading
from tests.aws_server import Answer, AwsServer, error_for

WORDS = [
    ("stop", True),
    ("STOP\n", True),
    ("  Stop  ", True),
    ("go", False),
    ("Run\r\n", False),
    ("\ufeffOFF\r\n", False),
    ("false", False),
    ("no", False),
    ("stopped", True),
    ("stop now", True),
    ("don't stop", True),
    ("stop # incident 12", True),
    ("go # incident 12", True),
    ('"stop"', True),
    ('"go"', True),
    ("\ufeffstop\r\n", True),
    ("\ufeff\ufeffgo", True),
    ("gone", True),
    ("yes", True),
    ("null", True),
    ("0", True),
    ("o\ufb00", True),  # the ligature, which is off only once its case is folded
]
LET_THROUGH = {b"", b"go", b"run", b"off", b"false", b"no"}


@pytest.fixture(autouse=True)
def one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # where the clients of the tests are


def look(switch: str | None) -> bool:
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    return look_at_switch(switch, lambda: make_clients(connections=1).ssm, retrier).is_stopped


def read(switch: Path) -> Reading:
    return look_at_switch(str(switch), no_ssm, Retrier(Cancellation()))


def no_ssm() -> Any:
    raise AssertionError("no parameter was named")


@pytest.mark.parametrize(("text", "stops"), [*WORDS, ("", False), (" \r\n", False), ("\ufeff\n", False)])
def test_file_stops_unless_it_holds_a_word_that_lets_through(tmp_path: Path, text: str, *, stops: bool) -> None:
    switch = tmp_path / "switch"
    switch.write_text(text, encoding="utf-8", newline="")

    assert read(switch).is_stopped is stops


@given(
    st.binary(max_size=12)
    | st.builds(
        lambda mark, before, word, after: mark + before + word + after,
        st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"]),
        st.sampled_from([b"", b" ", b"\r\n", b"#", b"'"]),
        st.sampled_from([b"", b"go", b"RUN", b"Off", b"false", b"nO", b"stop", b"g\0o\0"]),
        st.sampled_from([b"", b"\n", b"\r\n\r\n", b"\0", b" x", b"\x1a"]),
    )
)
@example("go".encode("utf-16"))
@example(b"go" + b" " * 5000)
@settings(deadline=None)
def test_bytes_that_are_no_word_of_the_list_stop(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        switch = Path(folder) / "switch"
        switch.write_bytes(content)

        reading = read(switch)

    is_small_text = len(content) <= 4096 and content.decode(errors="replace").encode() == content
    text = content.decode(errors="replace").removeprefix("\ufeff").strip()
    assert reading.is_stopped is not (is_small_text and text.lower().encode() in LET_THROUGH)
    assert ("nothing is written" in reading.words) is reading.is_stopped
    assert ("lets writes through" in reading.words) is not reading.is_stopped


@pytest.mark.parametrize(("text", "stops"), WORDS)
def test_parameter_stops_unless_it_holds_a_word_that_lets_through(aws: AwsServer, text: str, *, stops: bool) -> None:
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value=text, Type="String")

    assert look("ssm:/orgmfa/stop") is stops


def test_without_a_switch_nothing_is_asked_and_nothing_stops(aws: AwsServer) -> None:
    assert look(None) is False
    assert aws.calls == []


def test_switch_that_is_not_there_does_not_stop(aws: AwsServer, tmp_path: Path) -> None:
    assert look(str(tmp_path / "switch")) is False
    assert look("ssm:/orgmfa/stop") is False


def test_file_that_cannot_be_read_stops(tmp_path: Path) -> None:
    folder, garbage, file = tmp_path / "folder", tmp_path / "garbage", tmp_path / "file"
    folder.mkdir()
    garbage.write_bytes(b"\xff\xfe")
    file.write_text("go", encoding="utf-8")

    assert look(str(folder)) is True
    assert look(str(garbage)) is True
    assert look(str(file / "switch")) is True


def test_file_that_is_not_surely_absent_stops(tmp_path: Path) -> None:
    nowhere, link, pipe = tmp_path / "nowhere", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(nowhere)
    os.mkfifo(pipe)

    assert look(str(link)) is True
    assert look(str(pipe)) is True
    assert look("/dev/null") is True
    assert look(str(nowhere / "switch")) is True
    assert look(str(link / "switch")) is True
    assert look(str(tmp_path / ("x" * 300))) is True


def test_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(file)
    file.write_text("go", encoding="utf-8")

    assert look(str(link)) is False


def test_reading_says_what_was_found_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = tmp_path / "switch"
    monkeypatch.chdir(tmp_path)
    said = [read(Path("switch")).words]
    for text in ("", "go\n", "STOP", "stop # incident 12", f"\x1b[2J{'x' * 99}"):
        switch.write_text(text, encoding="utf-8")
        said.append(read(Path("switch")).words)

    unknown = "which is not one of go, run, off, false, no: nothing is written"
    assert said == [
        f"{switch} does not exist: lets writes through",
        f"{switch} is empty: lets writes through",
        f'{switch} holds "go": lets writes through',
        f'{switch} holds "STOP": nothing is written',
        f'{switch} holds "stop # incident 12", {unknown}',
        f'{switch} holds " [2J{"x" * (MAX_SHOWN - 4)}...", {unknown}',
    ]


def test_path_that_can_be_no_file_stops() -> None:
    assert look("swit\0ch") is True


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ResourceNotFoundException", 400),
        ("ParameterVersionNotFound", 400),
        ("AccessDeniedException", 400),
        ("InternalServerError", 500),
        ("ThrottlingException", 400),
        ("NobodyKnows", 400),
    ],
)
def test_parameter_that_cannot_be_read_stops(aws: AwsServer, code: str, status: int) -> None:
    aws.faults.append(lambda call: error_for(call, code, status=status))

    assert look("ssm:/orgmfa/stop") is True


@pytest.mark.parametrize("body", ["{}", '{"Parameter": {}}', '{"Parameter": {"Value": null}}', "null", "[]", " "])
def test_answer_that_does_not_say_what_the_parameter_holds_stops(aws: AwsServer, body: str) -> None:
    aws.faults.append(lambda call: Answer(200, body, "application/x-amz-json-1.1"))

    assert look("ssm:/orgmfa/stop") is True


def test_parameter_that_cannot_be_reached_stops() -> None:
    assert look("ssm:/orgmfa/stop") is True


def test_encrypted_parameter_stops_like_any_other(aws: AwsServer) -> None:
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value="stop", Type="SecureString")

    assert look("ssm:/orgmfa/stop") is True


def test_what_an_encrypted_parameter_holds_is_not_repeated(aws: AwsServer) -> None:
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value="hunter2", Type="SecureString")

    reading = look_at_switch("ssm:/orgmfa/stop", lambda: make_clients(connections=1).ssm, Retrier(Cancellation()))

    assert reading.is_stopped
    assert "hunter2" not in reading.words


def test_each_look_is_a_fresh_one(aws: AwsServer) -> None:
    ssm = aws.client("ssm")
    ssm.put_parameter(Name="/orgmfa/stop", Value="go", Type="String")
    before = look("ssm:/orgmfa/stop")

    ssm.put_parameter(Name="/orgmfa/stop", Value="stop", Type="String", Overwrite=True)

    assert (before, look("ssm:/orgmfa/stop")) == (False, True)
