"""Configures logging: structlog, JSON lines in the Lambda, readable lines on a terminal. Only this module does.

Events are constants and facts are keys. `run_id` and `account_id` are bound to the context and are on every line.
"""

import logging
import re
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


_ARGUMENT = re.compile(r"%[a-z]")
_TELLING = re.compile(
    r"orchestrator\..*|botocore\.(client|config\w+|credentials|hooks|loaders|regions|retries\..*|session|tokens)"
)
"""Loggers of botocore whose lines hold no part of a request or an answer; of all others the constant text is shown."""
_SECRETS = re.compile(r"(?i)((?:secret|token|passw|signature|authorization)[\w-]*['\"]?\s*[:=]\s*)\S+")


class _WithoutSecrets(logging.Formatter):
    """Formats a log line of botocore without what it read or sent, which holds keys, codes and tokens."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        tells = _TELLING.fullmatch(record.name) is not None
        text = _SECRETS.sub(r"\1***", record.getMessage()) if tells else _ARGUMENT.sub("...", str(record.msg))
        return f"{record.levelname.lower()} {record.name}: {' '.join(text.split())}"


def log_botocore(stream: TextIO | None = None) -> None:
    """Send the debug log of botocore, and a line a call, to a stream (standard error by default), without secrets."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_WithoutSecrets())
    for logger in (logging.getLogger("botocore"), logging.getLogger("orchestrator")):
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.DEBUG)
