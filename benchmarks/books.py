"""Calls as the endpoint sees them, and the books it keeps of them. Answers nothing."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from time import monotonic

_DEFAULT_PAGE = 100
"""Entries of a page where a call names no MaxItems (IAM API Reference)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in: `account` is the one whose credentials signed it, `body` its parameters."""

    service: str
    action: str
    account: str
    body: bytes

    def parameter(self, name: str) -> str:
        """Return a parameter of the query protocol that needs no decoding, or nothing where it is not given."""
        start = self.body.find(f"&{name}=".encode())
        if start < 0:
            return ""
        start += len(name) + 2
        end = self.body.find(b"&", start)
        return self.body[start : end if end > 0 else len(self.body)].decode()

    @property
    def start(self) -> int:
        """The place that a Marker leads to."""
        return int(self.parameter("Marker") or 0)

    @property
    def size(self) -> int:
        """How many entries a page may have."""
        return int(self.parameter("MaxItems") or _DEFAULT_PAGE)


@dataclass
class Books:
    """What was called: the fake's own account of it, in which a throttled call is a call too.

    `last_call_at` is when an account was answered last, in seconds after the first call of all.
    """

    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    last_call_at: dict[str, float] = field(default_factory=dict)
    _began_at: float | None = None

    def enter(self, call: Call, *, is_throttled: bool) -> None:
        """Write a call down."""
        now = monotonic()
        if self._began_at is None:
            self._began_at = now
        self.calls[call.service, call.action, call.account] += 1
        self.throttled[call.account] += is_throttled
        self.last_call_at[call.account] = now - self._began_at

    def to_json(self) -> dict[str, object]:
        """Return the books as the control path shows them; calls by account, then by `service:Action`."""
        by_account: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (service, action, account), count in self.calls.items():
            by_account[account][f"{service}:{action}"] = count
        return {"calls": by_account, "throttled": self.throttled, "last_call_at": self.last_call_at}
