"""The stop switch: which words let writes through; all else stops. Pure: `aws.stop_switch` reads it."""

from dataclasses import dataclass
from enum import StrEnum

STOP_WORD = "stop"
WORDS_THAT_LET_THROUGH = ("go", "run", "off", "false", "no")
SWITCH_WORDS = frozenset({STOP_WORD, *WORDS_THAT_LET_THROUGH, "on", "true", "yes", "none", "null"})
"""Words that people write into a switch; a mistake where the name of a switch is expected."""
UNUSABLE = "unusable:"  # prefix of the reason why a switch of the configuration cannot be used; it reads as stop
MAX_SHOWN = 40  # number of characters of the content that are shown
_BYTE_ORDER_MARK = "\ufeff"


class SwitchState(StrEnum):
    """State of the switch: lets writes through, stops them (also for unknown content), or could not be read."""

    OPEN = "open"
    STOP = "stop"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of reading the stop switch."""

    state: SwitchState
    words: str

    @property
    def is_stopped(self) -> bool:
        """Whether nothing may be written."""
        return self.state is not SwitchState.OPEN


NO_SWITCH = Reading(SwitchState.OPEN, "enforcement.stop names none")


def read_content(content: bytes | str, place: str, *, is_secret: bool = False) -> Reading:
    """Return the reading of a switch's content; with `is_secret` the content is not shown."""
    try:
        text = content if isinstance(content, str) else content.decode()
    except UnicodeDecodeError:
        return unreadable(place, "it is no UTF-8 text")
    word = text.removeprefix(_BYTE_ORDER_MARK).strip()
    if not word:
        return Reading(SwitchState.OPEN, f"{place} is empty: lets writes through")
    found = "a secret text" if is_secret else f'"{_shown(word)}"'
    if word.lower() in WORDS_THAT_LET_THROUGH:
        return Reading(SwitchState.OPEN, f"{place} holds {found}: lets writes through")
    unknown = "" if word.lower() == STOP_WORD else f", which is not one of {', '.join(WORDS_THAT_LET_THROUGH)}"
    return Reading(SwitchState.STOP, f"{place} holds {found}{unknown}: nothing is written")


def unusable(switch: str) -> Reading:
    """Return the reading of a switch whose name begins with `unusable:`."""
    words = f"{switch.removeprefix(UNUSABLE)}; this counts as stop: nothing is written"
    return Reading(SwitchState.UNREADABLE, words)


def absent(place: str) -> Reading:
    """Return the reading of a switch that does not exist."""
    return Reading(SwitchState.OPEN, f"{place} does not exist: lets writes through")


def unreadable(place: str, why: str) -> Reading:
    """Return the reading of a switch that cannot be read."""
    words = f"{place} cannot be read, which counts as stop: nothing is written ({why})"
    return Reading(SwitchState.UNREADABLE, words)


def _shown(word: str) -> str:
    line = "".join(sign if sign.isprintable() else " " for sign in word[: MAX_SHOWN + 1])
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}..."
