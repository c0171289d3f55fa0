"""Invariants 6 and 7, which hold runs of IAM events alone; and 2 and 5 for what such runs do together.

6 Nobody is written to, tries included, who was in no event of the batch; the report names nobody else.
7 What daily runs left stays as it was, and so does what the next one will say of users not named: `latest`, the base,
  the trend, first sights.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.chaos.book import Book
from tests.chaos.daily_runs import DailyRuns
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.world import World

LEAST_SHARE = 5
"""How many users of one account events may enforce in a day, where a tenth of the limit of a run is fewer."""


def check_events(evidence: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield what one run of IAM events violates."""
    if evidence.named is None:
        return
    yield from (Violation(6, text) for text in _not_named(evidence, evidence.named, book))
    if evidence.daily is not None:
        yield from (Violation(7, text) for text in _changed(*evidence.daily, evidence.named))
    late = [entry for entry in book.effects(evidence.run_id) if entry.number > (book.shut_at or 0)]
    allowed = 0 if world.workers == 1 or evidence.since >= (book.shut_at or 0) else world.workers
    if book.shut_at is not None and len(late) > allowed:
        yield Violation(
            2, f"{len(late)} writes of a run of IAM events after it could have known that it must not write"
        )


def check_event_limits(runs: Iterable[Evidence], book: Book, world: World) -> Iterator[Violation]:
    """Yield where runs of IAM events, taken together, wrote to more users than one day allows, or told too often."""
    events = [run for run in runs if run.named is not None]
    users = {
        (entry.call.account_id, entry.user_name)
        for run in events
        for entry in book.effects(run.run_id)
        if entry.user_name
    }
    if len(users) > world.most_per_run:
        yield Violation(2, f"events wrote to {len(users)} users, and the limit of a run is {world.most_per_run}")
    share = min(world.most_per_account, max(LEAST_SHARE, world.most_per_run // 10))
    for account_id, count in Counter(account_id for account_id, _ in users).items():
        if count > share:
            yield Violation(2, f"{account_id}: events wrote to {count} users, and its share is {share}")
    if (messages := sum(len(run.messages) for run in events)) > 1:
        yield Violation(5, f"runs of IAM events sent {messages} messages within a minute")


def _not_named(evidence: Evidence, named: frozenset[tuple[str, str]], book: Book) -> Iterator[str]:
    for entry in book.writes(evidence.run_id):
        if entry.user_name and (entry.call.account_id, entry.user_name) not in named:
            yield f"{entry.call.account_id}/{entry.user_name}: {entry.action}, and no event of the batch names the user"
    report = evidence.best_report
    for account in report.accounts if report else ():
        if strange := [user.name for user in account.users if (account.id, user.name) not in named]:
            yield f"{account.name}: in the report, and named by no event of the batch: {strange}"
    if report is not None and not report.narrowed:
        yield "the report of a run of IAM events calls itself whole"


def _changed(before: DailyRuns, after: DailyRuns, named: frozenset[tuple[str, str]]) -> Iterator[str]:
    """Yield what of the daily runs is not as it was before a run of IAM events."""
    names = before.files.keys() | after.files.keys()
    if changed := sorted(name for name in names if before.files.get(name) != after.files.get(name)):
        yield f"the files of daily runs changed: {changed}"
    for what in ("latest", "base", "trend"):
        if getattr(before, what) != getattr(after, what):
            yield f"{what} was {getattr(before, what)}, and is {getattr(after, what)}"
    keys = before.sights.keys() | after.sights.keys()
    if moved := sorted(key for key in keys - named if before.sights.get(key) != after.sights.get(key)):
        yield f"first sights of users not named changed: {moved}"
