"""Reader of the stop switch, which is a file or an SSM parameter. It is read nowhere else.

`domain.stop_switch` decides what the content means. A switch counts as absent, which lets writes through, only where it
surely does not exist: the folder exists without the file, or SSM answers that it does not know the parameter.
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
"""How long a reading of the switch is valid."""


def look_at_switch(switch: str | None, ssm: "Callable[[], SSMClient]", retrier: Retrier) -> Reading:
    """Return the live reading of a switch (`enforcement.stop`: a path, `ssm:/name`, `unusable:why`, or None)."""
    if switch is None:
        return NO_SWITCH
    if switch.startswith(UNUSABLE):
        return unusable(switch)
    if switch.startswith("ssm:"):
        return _look_at_parameter(switch, ssm, retrier)
    return _look_at_file(Path(switch))


class StopSwitch:
    """Stop switch of a run. A reading is valid for a moment, for all threads, so that not every write calls SSM."""

    def __init__(self, switch: str | None, ssm: "Callable[[], SSMClient]", retrier: Retrier) -> None:
        self._look = partial(look_at_switch, switch, ssm, retrier)
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._reading = NO_SWITCH

    def stop_reason(self) -> str | None:
        """Return why nothing may be written, or None where writes are allowed."""
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
    """Return whether a folder exists without an entry of this name; a broken link is an entry."""
    try:
        path.lstat()
    except FileNotFoundError:
        return path.parent.is_dir()
    return False


def _read(path: Path) -> bytes:
    """Return the content of a file. Raises OSError or ValueError where it cannot be read or is too large."""
    if not S_ISREG(path.stat().st_mode):  # opening a pipe would block until somebody writes to it
        raise ValueError("it is no file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    return content
