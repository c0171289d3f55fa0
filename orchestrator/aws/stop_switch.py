"""The look at the stop switch, a file or an SSM parameter: the only place where it is read.

What it says is decided in `switch`. Only what surely does not exist lets writes through unread: a file whose folder is
there, and a parameter that SSM does not know.
"""

from functools import partial
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from orchestrator.aws.errors import require
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError
from orchestrator.domain.stop_switch import NO_SWITCH, UNUSABLE, Reading, absent, read_content, unreadable, unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ssm import SSMClient

MAX_BYTES = 4096
PARAMETER_NOT_FOUND = "ParameterNotFound"
FRESH_SECONDS = 1.0
"""How long one look at the switch counts."""


def look_at_switch(switch: str | None, ssm: "Callable[[], SSMClient]", retrier: Retrier) -> Reading:
    """Return what the switch (`enforcement.stop`: a path, `ssm:/name`, `unusable:why`, or None) says right now."""
    if switch is None:
        return NO_SWITCH
    if switch.startswith(UNUSABLE):
        return unusable(switch)
    if switch.startswith("ssm:"):
        return _look_at_parameter(switch, ssm, retrier)
    return _look_at_file(Path(switch))


class StopSwitch:
    """The switch of a run; what one look tells counts for a moment, for all threads: not each write asks SSM."""

    def __init__(self, switch: str | None, ssm: "Callable[[], SSMClient]", retrier: Retrier) -> None:
        """Take the switch, the client to be made if it is a parameter, and how to retry."""
        self._look = partial(look_at_switch, switch, ssm, retrier)
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._reading = NO_SWITCH

    def stop_reason(self) -> str | None:
        """Return why nothing may be written, or None where the switch lets writes through."""
        with self._lock:
            if monotonic() - self._looked_at >= FRESH_SECONDS:
                self._reading = self._look()
                self._looked_at = monotonic()
            return self._reading.words if self._reading.is_stopped else None


def _look_at_parameter(switch: str, ssm: "Callable[[], SSMClient]", retrier: Retrier) -> Reading:
    try:
        answer = retrier.call(ssm().get_parameter, Name=switch.removeprefix("ssm:"), WithDecryption=True)
        parameter = answer.get("Parameter", {})
        value = require(parameter.get("Value"), "Parameter.Value", "GetParameter")
    except AwsError as error:
        is_absent = error.code == PARAMETER_NOT_FOUND
        return absent(switch) if is_absent else unreadable(switch, f"{error} ({error.code})")
    return read_content(value, switch, is_secret=parameter.get("Type") == "SecureString")


def _look_at_file(path: Path) -> Reading:
    place = str(path)
    try:
        place = str(path.absolute())
        return absent(place) if _is_absent(path) else read_content(_read(path), place)
    except (OSError, ValueError) as error:
        return unreadable(place, getattr(error, "strerror", None) or str(error))


def _is_absent(path: Path) -> bool:
    """Return whether a folder that is there holds nothing of this name; a link to nowhere is something."""
    try:
        path.lstat()
    except FileNotFoundError:
        return path.parent.is_dir()
    return False


def _read(path: Path) -> bytes:
    """Return what a file holds. Raises OSError or ValueError where it cannot be read, or is no file of that size."""
    if not S_ISREG(path.stat().st_mode):  # to open a pipe would wait for whoever writes to it
        raise ValueError("it is no file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    return content
