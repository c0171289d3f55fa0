"""The invariants: what the fake's books say against what the program said. Each check yields its violations.

1 accounts   every account that was listed is in the report once; totals add up; a broken listing is said
2 writes     nobody is enforced who must not be, and nothing but EnforceMFA is used (invariants_of_writes)
3 truth      what was written is in the report, and what the report says was written (invariants_of_writes)
4 end state  running again reaches what a run without faults reaches (invariants_of_ends)
5 telling    exit code, result and digest tell of a failure; no secret in any output (invariants_of_telling)
6 naming     a run of IAM events writes to nobody and reports nobody whom its batch does not name (invariants_of_events)
7 daily runs a run of IAM events changes nothing of what daily runs left, and of what the next one says of others
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.model import Status, Verdict
from orchestrator.reports.report import AccountReport, RunReport
from tests.chaos.book import Book, Entry, Page
from tests.chaos.evidence import Evidence
from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold, and in what."""

    invariant: int
    text: str

    def __str__(self) -> str:
        return f"invariant {self.invariant}: {self.text}"


def check_accounts(evidence: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield where accounts or users are lost, counted twice, or judged by what was not read."""
    report = evidence.best_report
    if report is None:
        return
    yield from (Violation(1, text) for text in _listing(evidence, book, report))
    yield from (Violation(1, text) for text in _totals(report))
    for account in report.accounts:
        yield from (Violation(1, f"{account.name}: {text}") for text in _account(account, evidence, book, world))


def _listing(evidence: Evidence, book: Book, report: RunReport) -> Iterator[str]:
    pages, is_event = book.pages(evidence.since, evidence.until), evidence.named is not None
    if evidence.asked is not None:
        pages = [Page(tuple(evidence.asked), has_more=is_event and not report.complete)]
    listed = {account_id for page in pages for account_id in page.account_ids}
    reported = Counter(account.id for account in report.accounts)
    if twice := [account_id for account_id, count in reported.items() if count > 1]:
        yield f"in the report more than once: {twice}"
    if invented := reported.keys() - listed:
        yield f"in the report and never listed: {sorted(invented)}"
    # A run that was told to end drops the page that it was reading; `complete` then says that accounts are missing.
    is_part = (report.narrowed and evidence.asked is None) or (
        (evidence.was_halted or is_event) and not report.complete
    )
    if (lost := listed - reported.keys()) and not is_part:
        yield f"listed and not in the report: {sorted(lost)}"
    is_whole = any(not page.has_more for page in pages)
    if report.complete and not is_whole:
        yield "complete, though the last page never arrived"
    if is_whole and not report.complete and not evidence.was_halted:
        yield "not complete, though all pages arrived"
    if not report.complete and not evidence.was_halted and not any(error.stage == "select" for error in report.errors):
        yield "the listing broke off, and no error says so"


def _totals(report: RunReport) -> Iterator[str]:
    totals = report.totals.model_dump()
    users = [user for account in report.accounts for user in account.users]
    counted = Counter(account.status.value for account in report.accounts)
    counted.update(user.verdict.value for user in users)
    outcomes = Counter(user.outcome.value for user in users)
    outcomes["failed_users"] = outcomes.pop("failed", 0)
    counted.update(outcomes)
    counted.update(accounts=len(report.accounts), users=len(users))
    virtual = sum(user.verdict == "compliant" and user.mfa_device == "virtual" for user in users)
    counted.update(mfa_virtual=virtual, mfa_other=counted["compliant"] - virtual)
    if wrong := {name: value for name, value in totals.items() if value != counted[name]}:
        yield f"totals do not add up: {wrong} against {dict(counted)}"


def _account(account: AccountReport, evidence: Evidence, book: Book, world: World) -> Iterator[str]:
    """Yield what is wrong with one account: users left out, or verdicts that nothing supports."""
    names = Counter(user.name for user in account.users)
    if twice := [name for name, count in names.items() if count > 1]:
        yield f"users in the report more than once: {twice}"
    place = world.places.get(account.id)
    if place is None:
        return
    untouched = [person for person in place.people if (account.id, person.name) not in world.touched]
    if account.status is Status.INSPECTED:
        named = evidence.named
        wanted = {person.name for person in untouched if named is None or (account.id, person.name) in named}
        if lost := wanted - names.keys():
            yield f"inspected, and users are missing: {sorted(lost)}"
        read = "GetAccountAuthorizationDetails" if named is None else "GetAccountSummary"
        if not any(_has_read(entry, account.id, read) for entry in book.of_run(evidence.run_id)):
            yield "inspected, though its users were never read"
    yield from _verdicts(account, {person.name: person.kind.device is not None for person in untouched})


def _verdicts(account: AccountReport, had_device: dict[str, bool]) -> Iterator[str]:
    """Yield the verdicts that what users had does not support."""
    for user in account.users:
        if user.name in had_device and user.verdict is not Verdict.UNKNOWN:
            has_mfa = user.verdict is Verdict.COMPLIANT
            if has_mfa != had_device[user.name]:
                yield f"{user.name} is {user.verdict.value}, with{'' if had_device[user.name] else 'out'} a device"


def _has_read(entry: Entry, account_id: str, action: str) -> bool:
    return entry.action == action and entry.call.account_id == account_id and entry.told
