"""The table of accounts: users, how many are without MFA, what was done, for how long they have been open."""

import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.domain.model import Mode, Outcome, Status, Verdict, Via
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup, Tone
from orchestrator.output import attention, words
from orchestrator.output.story import Story
from orchestrator.output.terminal.console import style_of
from orchestrator.reports.history import was_read
from orchestrator.reports.report import AccountReport, RunReport, UserReport

MAX_USERS = 5
"""How many users of one outcome are named in an account, unless all are wanted."""
WIDE = 120
"""From so many columns on, ID and OU of an account have columns of their own."""


@dataclass(frozen=True, slots=True)
class _View:
    report: RunReport
    width: int
    blocks_access_keys: bool
    show_all: bool

    @property
    def judges(self) -> bool:
        return self.report.mode is not Mode.RELEASE

    def table(self, accounts: Sequence[AccountReport]) -> Table:
        longest = max((cell_len(line) for account in accounts for line in self._names(account)), default=0)
        width = max(len("111122223333"), min(longest, self.width // 3))
        table = Table(box=SIMPLE_HEAD, header_style="", pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        table.add_column("Account", min_width=width, max_width=width, overflow="fold")
        if self.width >= WIDE:
            table.add_column("ID", min_width=12, overflow="fold")
            table.add_column("OU", max_width=self.width // 5, overflow="fold")
        table.add_column("Users", justify="right")
        if self.judges:
            table.add_column("Without MFA", justify="right", max_width=7)
        table.add_column("Would be done" if self.report.mode is Mode.PLAN else "Done", overflow="fold")
        table.add_column("Open for", justify="right", no_wrap=True)
        for account in accounts:
            table.add_row(*self._cells(account))
        return table

    def _cells(self, account: AccountReport) -> Iterator[Text]:
        longest = words.longest_open(account.users, self.report.finished_at)
        yield Text("\n".join(self._names(account)))
        if self.width >= WIDE:
            yield Text(words.plain(account.id))
            yield Text(words.plain(account.ou or ""))
        yield Text(f"{len(account.users):,}" if was_read(account) else "")
        if self.judges:
            yield Text(f"{attention.count_without_mfa(account):,}" if was_read(account) else "")
        yield Text("\n").join(self._done(account))
        yield Text(f"{longest:,} d" if longest else "")

    def _names(self, account: AccountReport) -> list[str]:
        title, account_id = words.title_of(account), words.plain(account.id)
        return [title] if self.width >= WIDE or title == account_id else [title, account_id]

    def _done(self, account: AccountReport) -> Iterator[Text]:
        """Yield what is to say of an account, a line each: its own failure, its users by outcome, its root user."""
        word, error = words.STATUSES[account.status], account.error
        if account.status is not Status.INSPECTED:
            what = f"{word.label}, {words.STAGES[error.stage]} ({words.plain(error.code)})" if error else word.label
            runs = f" for {account.failing_runs:,} runs" if account.failing_runs > 1 else ""
            yield Text.assemble((what, style_of(word.tone)), runs)
        by_label: dict[tuple[Tone, str], list[UserReport]] = defaultdict(list)
        for user in sorted(account.users, key=attention.user_order):
            is_open = self.judges and user.verdict is not Verdict.COMPLIANT
            if user.outcome is not Outcome.NONE or is_open or attention.is_at_risk(user):
                by_label[self._label(user)].append(user)
        for (tone, label), users in by_label.items():
            names = words.some_of([self._name(user) for user in users], sys.maxsize if self.show_all else MAX_USERS)
            yield Text.assemble((f"{len(users):,} {label}: ", style_of(tone)), names)
        if attention.is_root_open(account):
            yield Text("root user without MFA", style_of(Tone.WARN))
        if account.policy_changes:
            yield Text.assemble(("policy and group: ", style_of(Tone.GOOD)), words.list_policy_changes(account))

    def _label(self, user: UserReport) -> tuple[Tone, str]:
        label, tone = attention.state_of(user, self.report.mode)
        if OUTCOMES[user.outcome].group is OutcomeGroup.CHANGED and user.via is Via.GROUP:
            label += " through the group"
        if user.verdict is Verdict.UNKNOWN and user.outcome is not Outcome.NONE and self.judges:
            label += f", {words.VERDICTS[user.verdict].label}"
        code = user.error.code if user.error else user.outcome.value
        return tone, label + (f" ({words.plain(code)})" if code != user.outcome.value else "")

    def _name(self, user: UserReport) -> str:
        """Return the name of a user, with the keys that stop and the days; with all else only where all is wanted."""
        row, now, remarks = OUTCOMES[user.outcome], self.report.finished_at, []
        keys = user.active_access_keys
        if self.blocks_access_keys and self.judges and row.group is OutcomeGroup.CHANGED and keys != 0:
            remarks.append("keys unknown" if keys is None else words.count(keys, "key"))
        if user.service_credentials:
            remarks.append(words.count(len(user.service_credentials), "service credential"))
        remarks += filter(None, (words.plain(words.guard_of(user)), words.unused_of(user)))
        if self.show_all or user.grace_ends is not None:
            remarks += filter(None, [words.age(user, now)])
        reason = words.plain(user.reason or "") if self.show_all else ""
        remark = f" ({', '.join(remarks)})" if remarks else ""
        return f"{words.plain(user.name)}{remark}{reason and f' - {reason}'}"


def make_table(story: Story, console: Console, most_lines: int, *, show_all: bool) -> tuple[Table, int, int]:
    """Return the table of as many accounts as fit into these lines, how many it lists, and how many there are.

    Where all are wanted, each account has a row, however many lines that takes; else each with users to tell of:
    accounts that failed before anybody was read are told by their cause.
    """
    view = _View(story.report, console.width, story.blocks_access_keys, show_all)
    if show_all:
        return view.table(list(story.accounts)), len(story.accounts), len(story.accounts)
    listed, total = [], 0
    for account in story.accounts:
        if was_read(account) and not attention.is_clean(account, view.report.mode):
            total += 1
            listed += [account] if total <= most_lines else []

    def height(number: int) -> int:
        return len(console.render_lines(view.table(listed[:number])))

    fitting = bisect_right(range(1, len(listed) + 1), most_lines, key=height)
    return view.table(listed[:fitting]), fitting, total
