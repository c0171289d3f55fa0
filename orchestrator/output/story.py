"""The story of a report: what is said of a run, in which order and in which words. The views only lay it out. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property

from orchestrator.domain.model import Mode, Outcome, PolicyState, Stage, Status, Trigger
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup, label_of, outcomes_of
from orchestrator.domain.selection import MANAGEMENT_ACCOUNT
from orchestrator.output.attention import account_order, has_finding, is_clean, is_covered
from orchestrator.output.causes import group_causes
from orchestrator.output.change_summary import ChangeSummary, summarize_changes
from orchestrator.output.words import count, days_between, list_counts
from orchestrator.reports.report import RunReport, UserReport, failures

READ_AS = (
    "This is what a service control policy would do (plan --scp), not a plan of orgmfa: read 'would be enforced' as "
    "'would be blocked by it', and 'held' as 'look at it before it is attached'."
)
_CUT = {"interrupted": "The run was interrupted", "deadline": "The run came near its deadline"}
_NOTHING = {Mode.PLAN: "nothing to enforce", Mode.APPLY: "nothing to enforce", Mode.RELEASE: "nobody to release"}
_ASKED = frozenset({Outcome.PLANNED, Outcome.ENFORCED, Outcome.GUARDED})


class Story:
    """What is said of a run: each value is made once a view asks for it, and empty where there is nothing to say.

    `accounts` are all of them, in the order in which they need a person; `causes` are what is to fix in them.
    """

    def __init__(self, report: RunReport, *, blocks_access_keys: bool, notes: Iterable[str] = ()) -> None:
        """Take a report; `blocks_access_keys` is that of `policy`, `notes` are remarks on the run."""
        self.report = report
        self.accounts = report.accounts.sorted(account_order)
        self.causes = group_causes(self.accounts)
        self.blocks_access_keys = blocks_access_keys
        self._remarks = tuple(notes)

    @property
    def is_incident(self) -> bool:
        """Whether something failed, so that somebody is to be told at once; findings alone are everyday."""
        report, totals = self.report, self.report.totals
        failed = totals.failed + totals.not_reached + totals.of(Outcome.FAILED)
        return bool(failures(report) or not report.complete or failed)

    @cached_property
    def has_findings(self) -> bool:
        """Whether there is more to tell than of a clean run."""
        changed = any(group.is_finding for group in self.changes.groups) if self.changes else False
        is_empty = not self.report.totals.inspected
        has_some = any(has_finding(account, self.report.mode) for account in self.accounts)
        return bool(self.gate or self.causes or self.notes or changed or self.is_incident or is_empty or has_some)

    @property
    def names_users(self) -> bool:
        """Whether the report has the users that events named alone, and says nothing of the others."""
        return self.report.trigger is Trigger.IAM_EVENT

    @property
    def limit(self) -> str:
        """Which limit held the run as a whole; nothing where the message of the gate has to say why."""
        gate = self.report.gate
        if gate is None or gate.limit is None or self.names_users:  # what events enforced before counts too
            return ""
        return f"{gate.planned:,} changes planned, the limit is {gate.limit:,}"

    @property
    def gate(self) -> str:
        """Why the run as a whole wrote nothing."""
        gate = self.report.gate
        return f"{self._held[0].upper()}: {self.limit or gate.message}. {gate.remedy}" if gate else ""

    @property
    def _held(self) -> list[str]:
        """That the run as a whole wrote nothing, or of a plan that apply would not, where it was held."""
        if self.report.gate is None:
            return []
        return ["apply would write nothing" if self.report.mode is Mode.PLAN else "nothing was written"]

    @cached_property
    def sentence(self) -> tuple[str, ...]:
        """What the run came to, in parts: 214 accounts, 41 users without MFA, 17 enforced today, 3 accounts failed."""
        report, totals = self.report, self.report.totals
        said = [*self._held, count(totals.accounts, "account")]
        is_whole = report.complete and not totals.failed + totals.not_reached and not self.names_users
        if totals.users and totals.compliant == totals.users and is_whole:
            said.append("every user has MFA")
        elif report.mode is not Mode.RELEASE:
            said.append(f"{count(totals.non_compliant, 'user')} without MFA")
        for outcome in outcomes_of(OutcomeGroup.CHANGED):
            if number := totals.of(outcome):
                today = "" if outcome is Outcome.PLANNED else " today"
                said.append(f"{number:,} {label_of(outcome, report.mode)}{today}")
        said += _counted(sum(cause.users for cause in self.causes), "user", "to fix")
        said += _counted(totals.failed, "account", "failed")
        said += _counted(totals.not_reached, "account", "not reached")
        return tuple(said)

    @cached_property
    def news(self) -> tuple[str, ...]:
        """What the run came to in counts, the worst first; or that there was nothing to do."""
        report, totals, changes = self.report, self.report.totals, self.report.changes
        to_fix = sum(cause.users or len(cause.members) for cause in self.causes)
        said = [*self._held, *([] if report.complete else ["incomplete"])]
        said += _counted(len(report.errors), "error")
        said += [f"{to_fix:,} to fix"] if to_fix else []
        said += _counted(len(changes.enforcement_undone) if changes else 0, "enforcement", "undone by others")
        for outcome in outcomes_of(OutcomeGroup.CHANGED):
            newly = "newly " if outcome is Outcome.ENFORCED else ""
            said += _counted(totals.of(outcome), "user", f"{newly}{label_of(outcome, report.mode)}")
        said += _counted(len(changes.enrolled) if changes else 0, "new device")
        return tuple(said) or (_NOTHING[report.mode],)

    @property
    def incomplete(self) -> str:
        """Why accounts are missing, in a sentence: AWS broke off the listing, or the run ended early."""
        if self.report.complete:
            return ""
        errors = self.report.errors
        cut = [_CUT[error.code] for error in errors if error.stage is Stage.SELECT and error.code in _CUT]
        if cut:
            return f"{cut[0]} while accounts were still being listed: some may be missing here."
        return "The organization could not be listed to its end: accounts are missing here."

    @cached_property
    def changes(self) -> ChangeSummary | None:
        """What changed since the last run."""
        return summarize_changes(self.report)

    @cached_property
    def totals(self) -> tuple[str, ...]:
        """The totals in sentences: accounts, users, and what became of the users."""
        totals, mode = self.report.totals, self.report.mode
        by_status = [(getattr(totals, status), status.value.replace("_", " ")) for status in Status]
        words = [word for number, word in by_status if number] or ["listed"]
        said = [
            count(totals.accounts, "account") + (f": {list_counts(by_status)}." if len(words) > 1 else f" {words[0]}.")
        ]
        if totals.users and mode is Mode.RELEASE:
            said.append(f"{count(totals.users, 'user')}, whose MFA a release does not look at.")
        elif totals.users:
            verdicts = (
                (totals.compliant, "with MFA"),
                (totals.non_compliant, "without MFA"),
                (totals.unknown, "unknown"),
            )
            said.append(f"{count(totals.users, 'user')}: {list_counts(verdicts)}.")
        outcomes = (outcome for outcome in OUTCOMES if outcome is not Outcome.NONE)
        counted = list_counts((totals.of(outcome), label_of(outcome, mode)) for outcome in outcomes)
        return (*said, *([f"{counted}."] if counted else []))

    @property
    def written(self) -> str:
        """How many users were written to."""
        if self.report.mode is Mode.PLAN:
            return "Nothing was written."
        outcome = Outcome.RELEASED if self.report.mode is Mode.RELEASE else Outcome.ENFORCED
        users = self.report.totals.of(outcome)
        return f"{count(users, 'user') if users else 'No user'} {'were' if users > 1 else 'was'} {outcome}."

    @property
    def stopping(self) -> tuple[Outcome | None, str]:
        """The outcome of users whose access keys stop by this run, or would, and the words; None where none do."""
        if self.report.mode is Mode.RELEASE or not self.blocks_access_keys:
            return None, ""
        is_plan = self.report.mode is Mode.PLAN or self.report.gate
        return (Outcome.PLANNED, "would stop") if is_plan else (Outcome.ENFORCED, "stopped")

    @cached_property
    def key_users(self) -> tuple[UserReport, ...]:
        """The users whose access keys stop by this run, or would."""
        outcome, _ = self.stopping
        return tuple(user for user in self._users if user.outcome is outcome and user.active_access_keys != 0)

    @cached_property
    def keys(self) -> str:
        """How many access keys stop by this run, or would, and what else, in sentences."""
        outcome, stop = self.stopping
        if outcome is None:
            return ""
        known = sum(user.active_access_keys or 0 for user in self.key_users)
        unread = sum(user.active_access_keys is None for user in self.key_users)
        more = f", and those of {count(unread, 'user')} that could not be read" if unread else ""
        said = [f"{count(known, 'access key')} {stop} working without MFA{more}."] if self.key_users else []
        if others := sum(len(user.service_credentials) for user in self._users):
            said.append(f"Service credentials and SSH keys that would stop, of users held for it: {others:,}.")
        return " ".join(said)

    @cached_property
    def covered(self) -> int:
        """How many users have MFA or are enforced."""
        return sum(map(is_covered, self._users))

    @cached_property
    def open_for(self) -> str:
        """How many users, but for those left alone for good, have been without MFA for a day or more, and how long."""
        alone, now = outcomes_of(OutcomeGroup.LEFT_ALONE), self.report.finished_at
        since = (user.open_since for user in self._users if user.outcome not in alone)
        if not (days := [number for moment in since if (number := days_between(moment, now))]):
            return ""
        have, longest = ("has", "") if len(days) == 1 else ("have", "the longest ")
        for_days = f"for {count(max(days), 'day')}"
        return f"{count(len(days), 'user')} {have} been without MFA for a day or more, {longest}{for_days}."

    @cached_property
    def guards(self) -> str:
        """How many of the users to be enforced others deny without MFA already."""
        asked = whole = part = 0
        for user in self._users:
            asked += user.guarded is not None or user.outcome in _ASKED
            whole += user.guarded is not None and not user.guarded.partial
            part += user.guarded is not None and user.guarded.partial
        if not whole + part:
            return ""
        more = f", {part:,} more in part" if part else ""
        return f"Denied without MFA by others already: {whole:,} of {count(asked, 'planned user')}{more}."

    @cached_property
    def unused(self) -> str:
        """How many users without MFA have not signed in for long, and what is cheaper."""
        if not (unused := sum(user.unused for user in self._users)):
            return ""
        have = "has" if unused == 1 else "have"
        return (
            f"{count(unused, 'user')} without MFA {have} not signed in for enforcement.unused_after, or never: "
            "remove the password first (aws iam delete-login-profile --user-name NAME), or the user."
        )

    @cached_property
    def clean(self) -> str:
        """How many accounts ask for nothing."""
        mode, clean, outcomes = self.report.mode, 0, Counter[Outcome]()
        for account in self.accounts:
            if is_clean(account, mode):
                clean += 1
                outcomes.update(user.outcome for user in account.users)
        if not clean or self.names_users:
            return ""
        if mode is Mode.RELEASE:
            return f"{count(clean, 'account')} with nothing to release."
        kinds = outcomes_of(OutcomeGroup.LEFT_ALONE)
        alone = list_counts((outcomes[outcome], label_of(outcome, mode)) for outcome in kinds)
        left_alone = f" or is left alone ({alone})" if alone else ""
        return f"{count(clean, 'account')} clean: every user has MFA{left_alone}."

    @cached_property
    def skipped(self) -> tuple[tuple[int, str], ...]:
        """How many accounts were skipped for which reason, the most frequent first."""
        reasons = Counter(
            account.error.code.replace("_", " ") if account.error else "no reason given"
            for account in self.accounts
            if account.status is Status.SKIPPED
        )
        return tuple((number, why) for why, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the run, then on its accounts, each once."""
        first = [READ_AS, *self._remarks] if self.report.preflight else [*self._remarks, *self._not_deployed()]
        return (*first, *dict.fromkeys(note for account in self.report.accounts for note in account.notes))

    def _not_deployed(self) -> Iterator[str]:
        """Yield what a plan says before anything is deployed: where EnforceMFA is not, which account was not read."""
        missing = 0
        for account in self.accounts:
            missing += account.policy is PolicyState.NOT_DEPLOYED
            if account.error and account.error.code == MANAGEMENT_ACCOUNT:
                yield f"The management account {account.id} was not read. {account.error.message}."
        if missing:
            where = count(missing, "account")
            yield f"EnforceMFA is not deployed in {where}: the plan tells what it would do once it is."

    @property
    def _users(self) -> Iterator[UserReport]:
        return (user for account in self.accounts for user in account.users)


def _counted(number: int, noun: str, words: str = "") -> list[str]:
    return [f"{count(number, noun)} {words}".rstrip()] if number else []
