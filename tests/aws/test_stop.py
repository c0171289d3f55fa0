"""The stop switch: what holds `stop`, and what cannot be read, forbids writing; what is not there does not."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retrying import Retrier
from orchestrator.aws.stop import is_stopped
from tests.aws_server import Answer, AwsServer, error_for

WORDS = [
    ("stop", True),
    ("STOP\n", True),
    ("  Stop  ", True),
    ("go", False),
    ("stopped", False),
    ("stop now", False),
    ("don't stop", False),
]


@pytest.fixture(autouse=True)
def one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # where the clients of the tests are


def look(switch: str | None) -> bool:
    retrier = Retrier(Event(), sleep=lambda _: None)
    return is_stopped(switch, lambda: make_clients(connections=1).ssm, retrier)


def no_ssm() -> Any:
    raise AssertionError("no parameter was named")


@pytest.mark.parametrize(("text", "stops"), [*WORDS, ("", False)])
def test_file_stops_while_it_holds_the_word(tmp_path: Path, text: str, stops: bool) -> None:
    switch = tmp_path / "switch"
    switch.write_text(text, encoding="utf-8")

    assert is_stopped(str(switch), no_ssm, Retrier(Event())) is stops


@pytest.mark.parametrize(("text", "stops"), WORDS)
def test_parameter_stops_while_it_holds_the_word(aws: AwsServer, text: str, stops: bool) -> None:
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value=text, Type="String")

    assert look("ssm:/orgmfa/stop") is stops


def test_without_a_switch_nothing_is_asked_and_nothing_stops(aws: AwsServer) -> None:
    assert look(None) is False
    assert aws.calls == []


def test_switch_that_is_not_there_does_not_stop(aws: AwsServer, tmp_path: Path) -> None:
    assert look(str(tmp_path / "switch")) is False
    assert look(str(tmp_path / "folder" / "switch")) is False
    assert look("ssm:/orgmfa/stop") is False


def test_file_that_cannot_be_read_stops(tmp_path: Path) -> None:
    folder, garbage, file = tmp_path / "folder", tmp_path / "garbage", tmp_path / "file"
    folder.mkdir()
    garbage.write_bytes(b"\xff\xfe")
    file.write_text("go", encoding="utf-8")

    assert look(str(folder)) is True
    assert look(str(garbage)) is True
    assert look(str(file / "switch")) is True


def test_path_that_can_be_no_file_stops() -> None:
    assert look("swit\0ch") is True


@pytest.mark.parametrize(
    ("code", "status"),
    [("AccessDeniedException", 400), ("InternalServerError", 500), ("ThrottlingException", 400), ("NobodyKnows", 400)],
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


def test_each_look_is_a_fresh_one(aws: AwsServer) -> None:
    ssm = aws.client("ssm")
    ssm.put_parameter(Name="/orgmfa/stop", Value="go", Type="String")
    before = look("ssm:/orgmfa/stop")

    ssm.put_parameter(Name="/orgmfa/stop", Value="stop", Type="String", Overwrite=True)

    assert (before, look("ssm:/orgmfa/stop")) == (False, True)
