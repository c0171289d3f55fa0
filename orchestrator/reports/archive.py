"""The archive: reports of finished runs, releases still in force, and events already handled, as files.

    runs/YYYY/MM/DD/<run id>.json.gz   one RunReport each, by the day the run started
    accounts/date=YYYY-MM-DD/<run id>.jsonl.gz   an account a line, of each plan or apply over all accounts, for Athena
    nudges/<account>/<user>/<day>/...  marks of messages to users, and of their acceptance (`pipeline.nudging`)
    nudges/people/<hash>/<day>/...     how often event runs wrote to one person
    releases/<run id>.json             users that `release` freed, and until when later runs leave them alone
    event-runs/YYYY/MM/DD/<run id>...  reports of runs of IAM events, which are never among the runs
    event-runs/ledger/ledger.json      what those runs did in the last day (`event_ledger`)
    events/<key>                       the run that was started for an event (`lambdas.event_mark`)
    events/onboarding/<run id>.txt     the IDs of the events that an onboarding run has handled
    work/<run id>/                     files that the steps of a run exchange (`pipeline.distributed.state`)
    locks/                             the lease on writing (`pipeline.lease`)
    locks/probe                        written by each run before it begins, to see that the archive can be written

`aws.file_store` reads and writes the files on disk or in S3.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import islice, takewhile

import structlog
from pydantic import AwareDatetime, ValidationError

from orchestrator.domain.errors import ArchiveError, ConfigError
from orchestrator.domain.model import Mode, Outcome, StoredFile, Trigger
from orchestrator.domain.records import Release, record_key
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.reports.history import History, build_history, is_of, is_whole
from orchestrator.reports.report import ChangedAccount, Frozen, ReleasedUser, ReleaseReport, RunReport, UtcTime
from orchestrator.reports.report_json import load_json, write_accounts, write_lines
from orchestrator.reports.run_files import RUNS, Runs, Store

ACCOUNTS = "accounts/"
NUDGES = "nudges/"
ACCEPTED, LATER = ".accepted", ".later"
EVENT_RUNS = "event-runs/"
LEDGERS = f"{EVENT_RUNS}ledger/"
LEDGER = f"{LEDGERS}ledger.json"
RELEASES = "releases/"
EVENTS = "events/"
ONBOARDED = "events/onboarding/"
WORK = "work/"
PROBE = "locks/probe"
MAX_RELEASE = timedelta(days=90)
"""The longest release."""
LATEST = "latest"
ALIASES_FROM_RUNS = 10
"""Number of runs in which aliases are looked for; a run of a single account knows one alias."""
MAX_RUNS_OF_TREND = 400
MARKS_LONGER = timedelta(days=7)
"""For how much longer marks of messages are kept: a notice that counts from one can be as long as `archive.keep`."""
MAX_PRUNED = 100
"""Number of reports of event runs that one event run deletes."""
MAX_HANDLED_BYTES = 1024 * 1024
"""Twice what the IDs of 10,000 events take, which is the largest batch of SQS."""

log = structlog.get_logger(__name__)


class _Releases(Frozen):
    """Record of one `release` for later runs."""

    run_id: str
    until: UtcTime
    users: tuple[ReleasedUser, ...]
    noted_at: AwareDatetime | None = None
    """For the order of notes that the store dates alike. One that was over when it was noted ends earlier releases."""

    @property
    def is_end(self) -> bool:
        return self.noted_at is not None and self.until <= self.noted_at


class RunArchive(Runs):
    """The archive at one location. `keep` is how long runs are kept; None: for ever."""

    def __init__(self, store: Store, keep: timedelta | None) -> None:
        super().__init__(store)
        self._keep = keep
        self._notes: dict[StoredFile, _Releases] = {}

    def probe(self, run_id: str) -> None:
        """Write a file. Raises ArchiveError where the report of a run could not be kept."""
        self._store.write(PROBE, run_id.encode())

    def save(self, report: RunReport) -> str:
        """Write a report and return its address. Raises ArchiveError."""
        folder = EVENT_RUNS if report.trigger is Trigger.IAM_EVENT else RUNS
        name = f"{folder}{report.started_at:%Y/%m/%d}/{report.run_id}.json.gz"
        self._store.write(name, _pack(write_lines(report)))
        return self._store.address(name)

    def save_lines(self, report: RunReport) -> None:
        """Write the accounts of a plan or apply run over all of them, one a line, for Athena. Raises ArchiveError."""
        if is_whole(report) and report.mode is not Mode.RELEASE:
            name = f"{ACCOUNTS}date={report.started_at:%Y-%m-%d}/{report.run_id}.jsonl.gz"
            self._store.write(name, _pack(text.encode() for text in write_accounts(report)))

    def save_page(self, report: RunReport, page: Iterable[str]) -> str:
        """Write the page of a run beside its report and return its address. Raises ArchiveError."""
        name = f"{RUNS}{report.started_at:%Y/%m/%d}/{report.run_id}.html"
        self._store.write(name, "".join(page).encode())
        return self._store.address(name)

    def heads(self, most: int) -> Iterator[RunReport]:
        """Yield the newest runs without their accounts; broken ones are logged. Raises ArchiveError."""
        yield from (head for _, head in self.with_heads(self.list_runs()[:most]))

    def load(self, run_id: str = LATEST) -> RunReport:
        """Return the report of a run, or of the newest one. Raises ArchiveError; ConfigError for no such run."""
        runs = self.list_runs()
        if run_id == LATEST:
            if found := next(self.readable(runs), None):
                return found
            raise ConfigError(f"the archive at {self._store.address('')} holds no run yet: make one with `orgmfa plan`")
        for run in runs:
            if run.run_id == run_id:
                return self.read(run)
        message = f"the archive at {self._store.address('')} holds no run {run_id!r}: see `orgmfa report --list`"
        raise ConfigError(message)

    def alias_by_account_id(self) -> dict[str, str]:
        """Return the newest alias of each account that the last few runs saw. Raises ArchiveError."""
        aliases: dict[str, str] = {}
        for report in self.readable(self.list_runs()[:ALIASES_FROM_RUNS]):
            for account in report.accounts:
                if account.alias:
                    aliases.setdefault(account.id, account.alias)
        return aliases

    def build_history(self, mode: Mode, organization_id: str) -> History:
        """Return what a plan or apply run knows of its organization's runs before it. Raises ArchiveError."""
        runs = self.list_runs()
        heads = ((head, partial(self.past, run)) for run, head in self.with_heads(runs))
        history = build_history(heads, mode, organization_id)
        try:
            ledger = self.read_ledger()
        except ArchiveError as error:
            log.error("event_ledger_unreadable", message=str(error))  # noqa: TRY400 - a known failure, no traceback
            ledger = None
        history = replace(history, is_whole=history.is_whole or not runs).with_events(ledger)
        if history.base is None:
            return history
        notes = (note for file, note in self._read_notes() if file.written_at >= history.base.started_at)
        return replace(history, released=frozenset(one.key for note in notes if not note.is_end for one in note.users))

    def has_passed(self, organization_id: str, since: datetime) -> bool:
        """Return whether a whole apply run that began after this moment passed its gate. Raises ArchiveError."""
        newer = takewhile(lambda head: head.started_at > since, self.trend(organization_id, most=MAX_RUNS_OF_TREND))
        return any(head.mode is Mode.APPLY and head.gate is None for head in newer)

    def read_ledger(self) -> EventLedger:
        """Return the ledger of event runs. Raises ArchiveError where it cannot be read or understood."""
        if not any(file.name == LEDGER for file in self._store.list_files(LEDGERS)):
            return EventLedger()
        try:
            return EventLedger.model_validate(load_json(self._store.read(LEDGER)))
        except ValueError as error:
            message = f"the archive: {self._store.address(LEDGER)} is no ledger of event runs: remove it"
            raise ArchiveError(message) from error

    def write_ledger(self, ledger: EventLedger) -> None:
        """Write the ledger of event runs. Raises ArchiveError."""
        self._store.write(LEDGER, ledger.model_dump_json().encode())

    def trend(self, organization_id: str, *, most: int = 90) -> Iterator[RunReport]:
        """Yield the last runs over a whole organization, newest first, without their accounts. Raises ArchiveError."""
        heads = self.heads(MAX_RUNS_OF_TREND)
        return islice((head for head in heads if is_of(organization_id, head) and is_whole(head)), most)

    def nudge_marks(self) -> dict[str, datetime]:
        """Return the marks of messages to users by name, and when each was written. Raises ArchiveError."""
        return {file.name.removeprefix(NUDGES): file.written_at for file in self._store.list_files(NUDGES)}

    def mark_nudge(self, name: str, run_id: str) -> bool:
        """Write the mark of a message, and return whether it was not there yet. Raises ArchiveError."""
        return self._store.create(f"{NUDGES}{name}", run_id.encode())

    def accept_nudge(self, name: str, run_id: str) -> None:
        """Note that a message was accepted. Raises ArchiveError."""
        self._store.write(f"{NUDGES}{name}{ACCEPTED}", run_id.encode())

    def forget_nudge(self, name: str) -> None:
        """Delete the mark of a message that was surely not sent. Raises ArchiveError."""
        self._store.delete(f"{NUDGES}{name}")

    def told_at(self) -> dict[tuple[str, str, str], datetime]:
        """Return when the first message of each notice was accepted, by account ID, user ID and day of the notice."""
        told: dict[tuple[str, str, str], datetime] = {}
        for name, at in self.nudge_marks().items():
            match name.split("/"):
                case [account_id, user_id, day, mark] if mark == f"first{ACCEPTED}":
                    told[account_id, user_id, day] = at
        return told

    def remember_release(self, report: RunReport, until: datetime) -> None:
        """Record the users whom this run will release; later runs leave them alone until then. Raises ArchiveError."""
        users = [
            ReleasedUser(account_id=account.id, user_name=user.name, user_id=user.id)
            for account in report.accounts
            for user in account.users
            if user.outcome is Outcome.PLANNED
        ]
        if users:
            self.note_release(report.run_id, users, until, now=report.finished_at)

    def note_release(self, run_id: str, users: Iterable[ReleasedUser], until: datetime, *, now: datetime) -> None:
        """Record users whom later runs leave alone until then; `now` ends their releases. Raises ArchiveError."""
        note = _Releases(run_id=run_id, until=until, users=tuple(users), noted_at=now)
        self._store.write(f"{RELEASES}{run_id}.json", note.model_dump_json().encode())

    def released_until(self, now: datetime) -> dict[tuple[str, str], Release]:
        """Return the releases still in force, by account ID and key of the record: the newest note of a user counts.

        Raises ArchiveError where one cannot be read: a run that did not know of a release would undo it.
        """
        notes = [(file.written_at, note) for file, note in self._read_notes()]
        notes.sort(key=lambda dated: (dated[0], dated[1].noted_at or dated[0], dated[1].run_id))
        newest: dict[tuple[str, str], Release] = {}
        for written_at, note in notes:
            for user in note.users:
                newest.pop((user.account_id, record_key(None, user.user_name)), None)
                newest[user.key] = Release(written_at, note.until, user.user_name, user.user_id)
        return {key: release for key, release in newest.items() if release.until > now}

    def unannounced_accounts(self) -> tuple[ChangedAccount, ...]:
        """Return the new accounts of which no event told, as the newest run over all accounts says."""
        changes = (head.changes for head in self.heads(ALIASES_FROM_RUNS) if is_whole(head) and head.changes)
        return next((found.unannounced_accounts for found in changes), ())

    def lost_releases(self, known: Iterable[ReleaseReport], now: datetime) -> tuple[ReleaseReport, ...]:
        """Return those of the releases of which earlier runs told that are not over and have no note any more."""
        noted = {user.key for _, note in self._read_notes() for user in note.users}
        return tuple(one for one in known if one.until > now and one.key not in noted)

    def forget_releases(self, now: datetime) -> None:
        """Delete notes that nothing depends on any more, unless they go by themselves.

        A note that ends a release is needed for as long as the older one would last. Raises ArchiveError.
        """
        for file, note in () if self._store.expires else self._read_notes():
            if note.until + MAX_RELEASE < now:
                self._store.delete(file.name)

    def handled_events(self, since: datetime) -> frozenset[str]:
        """Return the IDs of the onboarding events that runs have handled since then. Raises ArchiveError."""
        ids: set[str] = set()
        for file in self._store.list_files(ONBOARDED):
            if file.written_at >= since:
                ids.update(self._store.read_start(file.name, MAX_HANDLED_BYTES).decode("ascii", "replace").split())
        return frozenset(ids)

    def note_handled(self, run_id: str, event_ids: Iterable[str]) -> None:
        """Record the onboarding events that a run has handled. Raises ArchiveError."""
        self._store.write(f"{ONBOARDED}{run_id}.txt", "\n".join(sorted(event_ids)).encode())

    def is_reported(self, run_id: str, since: datetime) -> bool:
        """Return whether a scheduled run, started since then, has left its report. Raises ArchiveError."""
        heads = (head for _, head in self.with_heads(run for run in self.list_runs() if run.run_id == run_id))
        return any(head.started_at >= since and head.trigger in {Trigger.SCHEDULE, Trigger.MAP} for head in heads)

    def prune(self, now: datetime, *, event_runs: bool = False) -> int:
        """Delete files older than `archive.keep`, and return how many were deleted.

        Releases stay: without the note that ended one, an older note would be in force again. With `event_runs` reports
        of event runs are deleted instead, a few of one week: no number of them may delay any other run.
        """
        if self._keep is None:
            return 0
        last = now - self._keep
        days = [f"{EVENT_RUNS}{last - timedelta(days=number):%Y/%m/%d}/" for number in range(7)]
        prefixes = days if event_runs else (RUNS, ACCOUNTS, EVENTS, WORK, NUDGES)
        files = (file for prefix in prefixes for file in self._store.list_files(prefix))
        found = (one.name for one in files if one.written_at < last - MARKS_LONGER * one.name.startswith(NUDGES))
        old = list(islice(found, MAX_PRUNED if event_runs else None))
        for name in old:
            self._store.delete(name)
        return len(old)

    def _read_notes(self) -> Iterable[tuple[StoredFile, _Releases]]:
        """Return the notes of releases with their files; each is read once, since a run asks every few seconds."""
        files = self._store.list_files(RELEASES)
        self._notes = notes = {file: self._notes.get(file) or self._read_note(file.name) for file in files}
        return notes.items()

    def _read_note(self, name: str) -> _Releases:
        try:
            return _Releases.model_validate_json(self._store.read(name))
        except ValidationError as error:
            message = f"the archive: {self._store.address(name)} is no record of a release: mend or remove it"
            raise ArchiveError(message) from error


def _pack(lines: Iterable[bytes]) -> bytes:
    content = BytesIO()  # level 9 would take more than twice the CPU for 4 % less
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=6, mtime=0) as file:
        file.writelines(lines)
    return content.getvalue()


def name_event(key: str) -> str:
    """Return the name of the mark of an event; it never leaves its folder."""
    return EVENTS + re.sub(r"[^\w.-]", "_", key)
