"""The message that the first user of a plan would get, for people to read before anybody gets it. Pure."""

from orchestrator.domain.config import NudgeConfig
from orchestrator.domain.nudges import Nudge, read_text, write_text
from orchestrator.reports.report import AccountReport, RunReport, UserReport


def show_sample(report: RunReport, settings: NudgeConfig) -> str:
    """Return the message of the first user who would be told; nothing where nobody would be. Raises ConfigError."""
    told = (
        _as_nudge(account, user)
        for account in report.accounts
        for user in account.users
        if any(message.problem is None for message in user.messages)
    )
    found = next(told, None)
    if found is None:
        return ""
    nudge, partition = found
    text = write_text(read_text(settings), [nudge], partition=partition, contact=settings.contact)
    return f"The message to {nudge.user_name} ({nudge.alias or nudge.account_id}) would say:\n\n{text}"


def _as_nudge(account: AccountReport, user: UserReport) -> tuple[Nudge, str]:
    nudge = Nudge(
        account_id=account.id,
        alias=account.alias,
        user_id=user.id or "",
        user_name=user.name,
        kind=user.messages[0].kind,
        day="",
        covers=(),
        until=user.grace_ends,
        address=None,
        has_password=user.console_password is not False,
    )
    return nudge, user.arn.split(":")[1]
