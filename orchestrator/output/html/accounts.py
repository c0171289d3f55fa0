"""The accounts, worst first, and the list of them that stands in the page without any script. Pure.

The script replaces this list by its own, made from `data`, with all accounts; this one is for viewers that run none.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.domain.model import Outcome, Status, Verdict
from orchestrator.output.html.markup import Html, element, escape, join
from orchestrator.output.html.text import (
    OUTCOME_RANK,
    STAGES,
    STATUSES,
    VERDICTS,
    Tone,
    Word,
    count,
    days_between,
    is_read,
    is_root_open,
    needs_hand,
    outcome_words,
    reason_of,
    title_of,
)
from orchestrator.reports.compressed import Packed
from orchestrator.reports.report import AccountReport, RunReport, UserReport

COLUMNS = 6
OU_HEAD = Html('<th scope="col" data-key="ou">OU</th>')
"""The head of a further column, where the OUs of accounts are known."""
MAX_ACCOUNTS = 200
MAX_USERS = 50
"""How many accounts, and users of one, are listed without the script."""

_STATUS_RANK = {status: rank for rank, status in enumerate(STATUSES)}
_VERDICT_RANK = {verdict: rank for rank, verdict in enumerate(VERDICTS)}
_HELD_TO_IT = frozenset({Outcome.ENFORCED, Outcome.ALREADY_ENFORCED})


def worst_first(report: RunReport) -> Packed[AccountReport]:
    """Return the accounts of a report in the order in which they ask for a person."""
    return report.accounts.sorted(_badness)


def order_users(users: Iterable[UserReport]) -> list[UserReport]:
    """Return the users of an account in the order in which they ask for a person."""
    return sorted(users, key=_user_badness)


def render_accounts(report: RunReport, accounts: Sequence[AccountReport], *, tells_ous: bool) -> Html:
    """Return the rows of the first accounts, their OUs too if `tells_ous`; the caller has put them into order."""
    rows = [row for account in accounts[:MAX_ACCOUNTS] for row in _rows(report, account, tells_ous=tells_ous)]
    hidden = len(accounts) - MAX_ACCOUNTS
    if hidden > 0:
        rows.append(
            _line(
                f"{count(hidden, 'more account')}: a browser that runs the script of this page lists all.",
                tells_ous=tells_ous,
            )
        )
    return join(rows or [_line("No account was listed.", tells_ous=tells_ous)])


def _line(text: str, *, tells_ous: bool) -> Html:
    return element("tr", element("td", text, colspan=COLUMNS + tells_ous), class_="detail")


def _rows(report: RunReport, account: AccountReport, *, tells_ous: bool) -> Iterator[Html]:
    words = outcome_words(report.mode)
    without = sum(user.verdict is Verdict.NON_COMPLIANT for user in account.users)
    outcomes = Counter(user.outcome for user in account.users)
    tags = [
        _tag(word, f"{outcomes[each]:,} ")
        for each, word in words.items()
        if outcomes[each] and each is not Outcome.NONE
    ]
    if is_root_open(account):
        tags.insert(0, _tag(Word("root without MFA", Tone.WARN)))
    if account.error:
        tags.insert(0, _tag(Word(account.error.code, STATUSES[account.status].tone)))
    days = [days_between(user.open_since, report.finished_at) for user in account.users]
    longest = max((number for number in days if number is not None), default=None)
    yield element(
        "tr",
        element("th", element("bdi", title_of(account)), element("span", account.id, class_="id"), scope="row"),
        element("td", _breakable(account.ou or ""), class_="ou", data_label="OU") if tells_ous else Html(),
        element("td", _tag(STATUSES[account.status]), data_label="Status"),
        element("td", f"{len(account.users):,}" if is_read(account) else "", class_="number", data_label="Users"),
        element("td", f"{without:,}" if is_read(account) else "", class_="number", data_label="Without MFA"),
        element("td", *tags, class_="tags", data_label="Outcome"),
        element("td", "" if longest is None else f"{longest:,} d", class_="number", data_label="Longest open"),
        class_="account",
    )
    if detail := join(_details(report, account, words)):
        yield _line(detail, tells_ous=tells_ous)


def _breakable(ou: str) -> Html:
    """Return the path of an OU, in which a line breaks after a slash."""
    return element("bdi", Html("/<wbr>".join(map(escape, ou.split("/"))))) if ou else Html()


def _details(report: RunReport, account: AccountReport, words: dict[Outcome, Word]) -> Iterator[Html]:
    if error := account.error:
        where = element("strong", f"{STATUSES[account.status].label} {STAGES[error.stage]} ({error.code})")
        yield element("p", where, f": {error.message}" if error.message else "")
        runs = f" Failing for {account.failing_runs} runs." if account.failing_runs > 1 else ""
        remedy = f"Try: {error.remedy}" if error.remedy else ""
        yield element("p", remedy, runs) if remedy or runs else Html()
    if is_root_open(account):
        yield element("p", element("strong", "Root user without MFA"), ": it has a password or access keys.")
    if account.unread_open_since:
        yield element("p", "Without MFA when last read: ", ", ".join(_unread(report, account)))
    open_users = [user for user in order_users(account.users) if user.verdict is not Verdict.COMPLIANT]
    if open_users:
        more = len(open_users) - MAX_USERS
        named = [element("li", *_describe(user, report, words)) for user in open_users[:MAX_USERS]]
        yield element("ul", *named, *([element("li", f"and {more:,} more")] if more > 0 else []))


def _unread(report: RunReport, account: AccountReport) -> Iterator[str]:
    users = sorted(account.unread_open_since.items())
    for name, since in users[:MAX_USERS]:
        yield f"{name} (for {count(days_between(since, report.finished_at) or 0, 'day')})"
    if len(users) > MAX_USERS:
        yield f"and {len(users) - MAX_USERS:,} more"


def _describe(user: UserReport, report: RunReport, words: dict[Outcome, Word]) -> Iterator[str]:
    yield element("bdi", user.name)
    days = days_between(user.open_since, report.finished_at)
    facts = [
        VERDICTS[user.verdict].label,
        "" if user.outcome is Outcome.NONE else words[user.outcome].label,
        "" if days is None else f"for {count(days, 'day')}",
    ]
    yield f": {', '.join(filter(None, facts))}"
    if reason := reason_of(user):
        yield f" ({reason})"


def _tag(word: Word, prefix: str = "") -> Html:
    return element("span", prefix, word.label, class_=f"tag {word.tone}")


def _badness(account: AccountReport) -> tuple[object, ...]:
    without = sum(user.verdict is Verdict.NON_COMPLIANT for user in account.users)
    held_to_it = sum(user.verdict is Verdict.NON_COMPLIANT and user.outcome in _HELD_TO_IT for user in account.users)
    return (
        _STATUS_RANK[account.status],
        -sum(map(needs_hand, account.users)),
        not is_root_open(account),
        held_to_it - without,
        -without,
        account.status is Status.INSPECTED and not account.users,
        title_of(account).casefold(),
        account.id,
    )


def _user_badness(user: UserReport) -> tuple[object, ...]:
    return not needs_hand(user), _VERDICT_RANK[user.verdict], OUTCOME_RANK[user.outcome], user.name.casefold()
