"""Adaptive concurrency limit: how many users of one account may be worked on at once, since AWS throttles by account.

Additive increase and decrease: an answered call adds a little, a throttled one takes ten times as much. While fewer
than about one call in ten is throttled the limit rises to its maximum, else it falls down to one user at a time.
"""

START = 4.0
MOST = 24.0
EARNED = 0.1
COST = 1.0


class AdaptiveLimit:
    """Concurrency limit of one account, shared by its threads; an update that is lost between them changes little."""

    def __init__(self) -> None:
        """Start low: the rate that the account allows is not known."""
        self._allowed = START

    @property
    def allowed(self) -> int:
        """How many threads may work at once, the caller included; at least 1."""
        return int(self._allowed)

    def on_success(self) -> None:
        """Raise the limit a little after an answered call."""
        self._allowed = min(MOST, self._allowed + EARNED)

    def on_throttle(self) -> None:
        """Lower the limit after a throttled call."""
        self._allowed = max(1.0, self._allowed - COST)
