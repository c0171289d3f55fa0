"""Runs of IAM events in which something is not as it must be, each with the invariant that it must be seen to break."""

from dataclasses import replace
from typing import Any

from tests.builders import NOW
from tests.chaos.book import Entry
from tests.chaos.daily_runs import DailyRuns
from tests.chaos.doctored import Doctor, Doctored, accounts, left, no_entries
from tests.chaos.perfect import Case


def of_events(*doctors: Doctor, **changes: Any) -> Doctor:
    """Have the run be one of IAM events, whose batch names everybody."""

    def doctor(case: Case) -> None:
        case.report(*case.accounts, narrowed=True)
        everybody = frozenset((person.account_id, person.name) for person in case.world.people())
        asked = frozenset(case.world.places)
        left(**{"named": everybody, "asked": asked, "kind": "lambda", "wants_digest": False} | changes)(case)
        case.change_entries("GetAccountAuthorizationDetails", lambda entry: _renamed(entry, "GetAccountSummary"))
        for one in doctors:
            one(case)

    return doctor


def _renamed(entry: Entry, action: str) -> Entry:
    return replace(entry, call=replace(entry.call, action=action))


def _shut(case: Case) -> None:
    case.book.shut_at, case.world.workers = 1, 1


def _whole(case: Case) -> None:
    case.report(*case.accounts, narrowed=False)


def _from(**told: Any) -> tuple[DailyRuns, DailyRuns]:
    """Return an archive that told something of daily runs, and tells nothing any more."""
    return DailyRuns(**told), DailyRuns()


OF_EVENTS: tuple[Doctored, ...] = (
    Doctored("writes of events after another run took the lease", 2, "must not write", of_events(_shut)),
    Doctored("account that is named lost", 1, "listed and not", of_events(accounts(lambda found: found[1:]))),
    Doctored("account that is named not read", 1, "never read", of_events(no_entries("GetAccountSummary"))),
    Doctored("write to somebody not named", 6, "no event of the batch names the user", of_events(named=frozenset())),
    Doctored("somebody not named reported", 6, "named by no event of the batch", of_events(named=frozenset())),
    Doctored("run of events called whole", 6, "calls itself whole", of_events(_whole)),
    Doctored("daily run lost", 7, "files of daily runs changed: ['a']", of_events(daily=_from(files={"a": b"1"}))),
    Doctored("latest", 7, "latest was a, and is ", of_events(daily=_from(latest="a"))),
    Doctored("base", 7, "base was a, and is ", of_events(daily=_from(base="a"))),
    Doctored("trend", 7, "trend was ('a',), and is ()", of_events(daily=_from(trend=("a",)))),
    Doctored("first sights", 7, "not named changed", of_events(daily=_from(sights={("1", "a"): NOW}))),
)
