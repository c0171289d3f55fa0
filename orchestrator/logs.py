"""Configures logging: structlog, JSON lines in the Lambda, readable lines on a terminal. Only this module does.

Events are constants and facts are keys. `run_id` and `account_id` are bound to the context and are on every line.
"""

import logging
import sys
from typing import TextIO

import structlog

_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # locals can hold credentials
)


def configure_logs(*, as_json: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send logs to a stream (standard error by default), as JSON lines or readably."""
    stream = stream or sys.stderr
    renderer: list[structlog.typing.Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
