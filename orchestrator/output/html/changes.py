"""What changed since the last run, list by list, as the report tells it. Pure."""

from collections.abc import Iterator, Sequence

from orchestrator.output.html.markup import Html, element, join
from orchestrator.output.html.text import DEVICES, say_date, say_time
from orchestrator.reports.report import ChangedAccount, ChangedUser, Changes, EnrolledUser

MAX_NAMED = 50
"""How many users or accounts of one kind of change are named; the rest is counted."""

_Change = ChangedUser | ChangedAccount


def render_changes(changes: Changes | None) -> Html:
    """Return what changed since the run this one is compared with."""
    if changes is None:
        return element("p", "There is no earlier run to compare this one with.", class_="empty")
    when = f"Compared with the run of {say_time(changes.since)} ("
    intro = element("p", when, element("code", changes.since_run_id), ").", class_="facts")
    lists = [_render(title, note, changed) for title, note, changed in _lists(changes) if changed]
    return join((intro, *(lists or [element("p", "Nothing changed.", class_="empty")])))


def _lists(changes: Changes) -> Iterator[tuple[str, str, Sequence[_Change]]]:
    yield "Newly without MFA", "", changes.newly_without_mfa
    undone = "EnforceMFA was there at the last run and is gone, and not by orgmfa release."
    yield "Enforcement undone by others", undone, changes.enforcement_undone
    yield "Enrolled", "A device that its user does not know of is a thief's: ask where in doubt.", changes.enrolled
    yield "Newly enforced", "", changes.newly_enforced
    yield "New accounts", "", changes.new_accounts
    yield "Accounts gone", "", changes.gone_accounts


def _render(title: str, note: str, changed: Sequence[_Change]) -> Html:
    named = [element("li", *_describe(change)) for change in changed[:MAX_NAMED]]
    if len(changed) > MAX_NAMED:
        named.append(element("li", f"and {len(changed) - MAX_NAMED:,} more"))
    heading = element("h3", f"{title} ", element("span", f"{len(changed):,}", class_="number"))
    notes = [element("p", note, class_="note")] if note else []
    return element("div", heading, *notes, element("ul", *named), class_="change")


def _describe(change: _Change) -> Iterator[str]:
    match change:
        case ChangedAccount():
            yield _account(change.alias, change.name, change.id)
            return
        case ChangedUser():
            yield element("strong", element("bdi", change.name))
            yield " in "
            yield _account(change.account_alias, change.account_name, change.account_id)
    if isinstance(change, EnrolledUser):
        yield f": {DEVICES[change.device] or 'kind of device unknown'}"
        yield f", {say_date(change.enrolled_at)}" if change.enrolled_at else ", date unknown"


def _account(alias: str | None, name: str, account_id: str) -> Html:
    title = (alias or "").strip() or name.strip()
    number = element("span", account_id, class_="id")
    return join((element("bdi", title), " ", number)) if title else number
