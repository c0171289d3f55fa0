"""Invariant 2 for what holds runs back: the limits of the gate, the stop switch, and the lease.

The looks before a write are in `invariants_of_writes`.
"""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.book import Book
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.world import World


def check_limits(evidence: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield where a run wrote to more users than its limits allow, in an account or in all."""
    effects = [entry for entry in book.effects(evidence.run_id) if entry.user_name]
    users = {(entry.call.account_id, entry.user_name) for entry in effects}
    if len(users) > world.most_per_run:
        yield Violation(2, f"{len(users)} users were written to, and the limit of a run is {world.most_per_run}")
    for account_id, count in Counter(account_id for account_id, _ in users).items():
        if count > world.most_per_account:
            limit = world.most_per_account
            yield Violation(2, f"{account_id}: {count} users were written to, and the limit of an account is {limit}")


def check_stop(evidence: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield where a run went on writing after somebody had set the stop switch, or had it answer nonsense.

    Who looked at the switch before that may still write: one user for each worker. Where there is one worker, nothing
    may be written after a look that said stop, or that could not be read.
    """
    if book.stop_set_at is None:
        return
    late = [entry for entry in book.effects(evidence.run_id) if entry.number >= book.stop_set_at]
    users = {(entry.call.account_id, entry.user_name) for entry in late}
    if len(users) > world.workers:
        text = f"{len(users)} users were written to after the stop switch was set, by {world.workers} workers"
        yield Violation(2, text)
    span = book.entries[evidence.since : evidence.until]
    seen_at = min((entry.number for entry in span if entry.stops), default=None)
    if world.workers == 1 and seen_at is not None and any(entry.number > seen_at for entry in late):
        yield Violation(2, "written after a look at the stop switch that did not say go")


def check_lease(book: Book, events: frozenset[str] = frozenset()) -> Iterator[Violation]:
    """Yield the runs that wrote while another run still did; a release may come between the writes of a run.

    So may any run between the writes of one of IAM events, whose IDs are given: it never holds the lease.
    """
    spans: dict[str, tuple[int, int]] = {}
    releases: set[str] = set()
    for entry in book.entries:
        if entry.session is not None and entry.changes_iam:
            first, _ = spans.get(entry.session.run_id, (entry.number, 0))
            spans[entry.session.run_id] = (first, entry.number)
            if entry.session.role == "orgmfa-release":
                releases.add(entry.session.run_id)
    for run_id, (first, last) in spans.items():
        for entry in book.entries[first:last]:
            other = entry.session.run_id if entry.session is not None and entry.changes_iam else run_id
            is_free = run_id in events and other not in events
            if other != run_id and not is_free and (run_id in releases or other not in releases):
                yield Violation(2, f"run {other} wrote while run {run_id} did")
                break
