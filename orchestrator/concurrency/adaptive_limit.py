"""How many users of one account may be worked on at once: AWS throttles by account, and tells only afterwards.

A call that is answered earns a little, one that is throttled costs ten times as much: below a throttled share of about
one in ten the pace rises to the most there may be, above it falls until one user is worked on at a time.
"""

START = 4.0
MOST = 24.0
EARNED = 0.1
COST = 1.0


class AdaptiveLimit:
    """The pace of one account. Used by the threads of one account; an update that two of them lose changes little."""

    def __init__(self) -> None:
        """Start low: what an account can take is not known."""
        self._allowed = START

    @property
    def allowed(self) -> int:
        """How many may be at work at once, the caller included; at least 1."""
        return int(self._allowed)

    def on_success(self) -> None:
        """Note a call that was answered."""
        self._allowed = min(MOST, self._allowed + EARNED)

    def on_throttle(self) -> None:
        """Note a call that was throttled."""
        self._allowed = max(1.0, self._allowed - COST)
