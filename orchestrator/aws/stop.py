"""The stop switch: a file or a parameter that holds `stop` while nothing may be written.

What cannot be read counts as stop; what does not exist does not.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.aws.errors import require
from orchestrator.aws.retrying import Retrier
from orchestrator.errors import AwsError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ssm import SSMClient

STOP_WORD = "stop"


def is_stopped(switch: str | None, ssm: "Callable[[], SSMClient]", retrier: Retrier) -> bool:
    """Return whether the switch (`enforcement.stop`: a path, `ssm:/name`, or None) forbids writing right now."""
    if switch is None:
        return False
    try:
        text = read_switch(switch, ssm, retrier)
    except (FileNotFoundError, NotFound):
        return False
    except (OSError, ValueError, AwsError):
        return True
    return text.strip().lower() == STOP_WORD


def read_switch(switch: str, ssm: "Callable[[], SSMClient]", retrier: Retrier) -> str:
    """Return what the switch holds. Raises OSError or ValueError for a file, AwsError for a parameter, that fails."""
    if switch.startswith("ssm:"):
        answer = retrier.call(ssm().get_parameter, Name=switch.removeprefix("ssm:"), WithDecryption=True)
        return require(answer.get("Parameter", {}).get("Value"), "Parameter.Value", "GetParameter")
    return Path(switch).read_text(encoding="utf-8")
