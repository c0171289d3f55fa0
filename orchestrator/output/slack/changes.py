"""What changed since the last run, account by account. Pure."""

from collections.abc import Iterator, Sequence

from orchestrator.output.change_summary import describe_user, list_user_news
from orchestrator.output.slack.limits import MAX_ENTRIES, Group
from orchestrator.output.slack.mrkdwn import code
from orchestrator.output.slack.text import MAX_NAME, MAX_NAMES, count, label
from orchestrator.reports.report import ChangedAccount, ChangedUser, Changes


def user_change_groups(changes: Changes | None, *, names: bool) -> list[Group]:
    """Return the users whose enforcement was undone, who enrolled or who lost MFA, or nothing."""
    groups = []
    for news in list_user_news(changes) if changes else ():
        members = _by_account(news.users)
        where = f"{count(len(news.users), 'user')} in {count(len(members), 'account')}"
        entries = tuple(_describe(account, users, names=names) for account, users in members[:MAX_ENTRIES])
        groups.append(Group(f"*{news.title}: {where}*", (news.note,) if news.note else (), entries, len(members)))
    return groups


def account_change_groups(changes: Changes | None) -> list[Group]:
    """Return the accounts that came or went, or nothing."""
    if changes is None:
        return []
    lists = (("New accounts", changes.new_accounts), ("Accounts gone", changes.gone_accounts))
    return [
        Group(
            f"*{title}: {len(accounts):,}*", (), tuple(map(label, accounts[:MAX_ENTRIES])), len(accounts), joiner=", "
        )
        for title, accounts in lists
        if accounts
    ]


def _by_account(users: Sequence[ChangedUser]) -> list[tuple[ChangedAccount, list[ChangedUser]]]:
    """Return the users by account, the account with most of them first."""
    members: dict[str, tuple[ChangedAccount, list[ChangedUser]]] = {}
    for user in users:
        account = ChangedAccount(id=user.account_id, name=user.account_name, alias=user.account_alias)
        members.setdefault(user.account_id, (account, []))[1].append(user)
    return sorted(members.values(), key=lambda member: (-len(member[1]), member[0].id))


def _describe(account: ChangedAccount, users: Sequence[ChangedUser], *, names: bool) -> str:
    if not names:
        return f"• {label(account)}: {count(len(users), 'user')}"
    more = f" and {len(users) - MAX_NAMES:,} more" if len(users) > MAX_NAMES else ""
    return f"• {label(account)}: {', '.join(_names(users[:MAX_NAMES]))}{more}"


def _names(users: Sequence[ChangedUser]) -> Iterator[str]:
    for user in users:
        note = describe_user(user)
        yield (code(user.name, MAX_NAME) or "(no name)") + (f" ({note})" if note else "")
