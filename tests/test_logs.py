import json
import logging
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import structlog

from orchestrator.logs import configure_logs


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def logged(write: Callable[[Any], object], *, stream: StringIO | None = None, **options: Any) -> str:
    stream = stream or StringIO()
    configure_logs(stream=stream, **options)
    write(structlog.get_logger())
    return stream.getvalue()


SECRET = "xoxb-s3cret"


def fail(secret: str) -> None:
    raise RuntimeError("it broke")


def log_failure(log: Any) -> None:
    try:
        fail(SECRET)
    except RuntimeError:
        log.exception("unexpected_error")


def test_json_line_has_the_event_its_facts_and_the_bound_context() -> None:
    structlog.contextvars.bind_contextvars(run_id="run-1")

    text = logged(lambda log: log.info("policy_attached", user_name="alice"), as_json=True)

    line = json.loads(text)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "policy_attached", "level": "info", "user_name": "alice", "run_id": "run-1"}
    assert text.count("\n") == 1


def test_line_for_people_has_the_same_facts() -> None:
    structlog.contextvars.bind_contextvars(run_id="run-1")

    text = logged(lambda log: log.warning("account_failed", code="AccessDenied"), as_json=False)

    for part in ("account_failed", "code=AccessDenied", "run_id=run-1", "warning"):
        assert part in text
    assert "\x1b[" not in text


def test_only_a_terminal_gets_colours() -> None:
    assert "\x1b[" in logged(lambda log: log.info("run_started"), as_json=False, stream=Terminal())
    assert "\x1b[" not in logged(lambda log: log.info("run_started"), as_json=True, stream=Terminal())


@pytest.mark.parametrize(
    ("level", "expected"),
    [(logging.INFO, ["info", "warning", "error"]), (logging.WARNING, ["warning", "error"]), (logging.ERROR, ["error"])],
)
def test_level_holds_lesser_lines_back(level: int, expected: list[str]) -> None:
    def write(log: Any) -> None:
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)("happened")

    text = logged(write, as_json=True, level=level)

    assert [json.loads(line)["level"] for line in text.splitlines()] == expected


@pytest.mark.parametrize("as_json", [True, False])
def test_traceback_is_logged_without_the_values_of_variables(as_json: bool) -> None:
    text = logged(log_failure, as_json=as_json)

    assert "it broke" in text
    assert "RuntimeError" in text
    assert "test_logs.py" in text
    assert SECRET not in text


def test_traceback_of_a_json_line_stays_on_its_line() -> None:
    text = logged(log_failure, as_json=True)

    assert text.count("\n") == 1
    assert json.loads(text)["exception"][0]["exc_type"] == "RuntimeError"


def test_logs_go_to_standard_error_and_leave_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True)
    structlog.get_logger().info("run_started")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "run_started"
