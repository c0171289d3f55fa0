"""Tells users without MFA what will happen to them, each once, and returns what became of it.

A mark is written before a message is sent, so that a run that is killed tells nobody twice, and another once the
provider has accepted it. With `nudge.required` a mark without acceptance is told again by the next run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import structlog

from orchestrator.domain.errors import ArchiveError, DeliveryError
from orchestrator.domain.model import Mode, Outcome, Trigger
from orchestrator.domain.nudges import (
    FIRST,
    SUBJECT,
    TOLD_ENFORCED,
    Nudge,
    Occasion,
    find_nudge,
    in_turn,
    is_listed,
    is_member_id,
    write_text,
)
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.ports import Messenger
from orchestrator.pipeline.results import Results
from orchestrator.reports.archive import ACCEPTED, LATER
from orchestrator.reports.report import MessageReport

Messages = Mapping[tuple[str, str], tuple[MessageReport, ...]]  # what became of the messages, by account ID and user ID

NO_ADDRESS = "no address: neither the tag of nudge.address_tag nor the user name is one of nudge.domains"
MAX_LISTED = 20  # users whom one message lists; Slack takes no text of any length
MAX_BY_EVENTS = 3
"""Messages that runs of IAM events may send to one person in a day: whoever can make users can cause such runs."""
_TOLD_BY = frozenset({Trigger.ONBOARDING, Trigger.IAM_EVENT})

log = structlog.get_logger(__name__)


def find_due(results: Results, context: RunContext, *, is_preview: bool = False) -> list[Nudge]:
    """Return whom to tell, planned users too in a preview, but for those who were told. Raises ArchiveError."""
    request, mode = context.request, context.request.mode
    tells = not request.is_narrowed or request.trigger in _TOLD_BY
    if context.config.nudge.via is None or mode is Mode.RELEASE or (mode is Mode.APPLY and not tells):
        return []
    marks = context.archive.nudge_marks()
    owed = _find_owed(marks)
    enforced = Outcome.PLANNED if is_preview or mode is Mode.PLAN else Outcome.ENFORCED
    occasion = Occasion(context.config, request.started_at, context.now(), enforced)
    found = (
        find_nudge(
            decision,
            occasion,
            account_id=result.account.id,
            alias=result.alias,
            owed=owed.get((result.account.id, decision.user.id)),
        )
        for result in results
        for decision in result.decisions
    )
    return [due for nudge in found if nudge and (due := _due(nudge, marks, occasion))]


def tell_users(due: Sequence[Nudge], context: RunContext) -> Messages:
    """Tell these users of an apply run, and return what became of it; of a plan, what would be sent."""
    if context.request.mode is Mode.PLAN:
        return {
            (one.account_id, one.user_id): (_message(one, context, problem=None if one.address else NO_ADDRESS),)
            for one in due
        }
    if context.messenger is None:
        return {}
    round_ = _Round(context, context.messenger)
    round_.tell(due)
    return {key: (message,) for key, message in round_.messages.items()}


def preview_messages(results: Results, context: RunContext) -> Messages:
    """Return whom an apply run would tell once its plan is carried out; nobody where the archive cannot say."""
    try:
        due = find_due(results, context, is_preview=True)
    except ArchiveError as error:
        log.warning("messages_unknown", message=str(error))
        return {}
    return tell_users(due, replace(context, request=replace(context.request, mode=Mode.PLAN)))


def _find_owed(marks: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the day on which each user was enforced, of those whom a run told so, tried to, or left to the next."""
    parts = [name.split("/") for name in sorted(marks)]
    return {(one[0], one[1]): one[2] for one in parts if one[3:] in ([TOLD_ENFORCED], [f"{TOLD_ENFORCED}{LATER}"])}


def _due(nudge: Nudge, marks: Mapping[str, object], occasion: Occasion) -> Nudge | None:
    """Return what of a user's messages is still to be sent; the first of those that are due speaks for all."""
    config, names = occasion.config, {kind: nudge.name_of(kind) for kind in nudge.covers}
    left = tuple(
        kind
        for kind, name in names.items()
        if name not in marks or (config.nudge.required and f"{name}{ACCEPTED}" not in marks)
    )
    if not left:
        return None
    until = nudge.until
    if left[0] == FIRST and config.nudge.required:  # the days count from this message
        until = max(until or occasion.now, occasion.now + config.enforcement.notice)
    return replace(nudge, kind=left[0], covers=left, until=until, again=names[left[0]] in marks)


def _message(nudge: Nudge, context: RunContext, *, problem: str | None) -> MessageReport:
    at = context.now() if problem is None and context.request.mode is Mode.APPLY else None
    settings = {"kind": nudge.kind, "via": context.config.nudge.via, "at": at, "problem": problem}
    return MessageReport.model_validate(settings)


@dataclass
class _Round:
    """The messages of one run. `ended` is why no more can be sent, if so; `reached` are the people written to."""

    context: RunContext
    messenger: Messenger
    messages: dict[tuple[str, str], MessageReport] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    ended: str = ""

    def tell(self, nudges: Iterable[Nudge]) -> None:
        """Send one message an address, which lists its users; nothing is asked about who is over the limit."""
        by_address: dict[str, list[Nudge]] = {}
        for nudge in in_turn(nudges, self.context.request.run_id):
            if nudge.address is None:
                self._note(nudge, NO_ADDRESS)
            else:
                by_address.setdefault(nudge.address, []).append(nudge)
        for number, (address, some) in enumerate(by_address.items()):
            if number >= self.context.config.nudge.max_per_run:
                self.ended = self.ended or "nudge.max_per_run is reached"
            elif self.context.cancellation.reason:
                self.ended = self.ended or "the run ended early"
            if self.ended:
                self._postpone(some, self.ended)
            else:
                self._tell_one(address, some)
        log.info("users_told", users=sum(one.at is not None for one in self.messages.values()))

    def _tell_one(self, address: str, nudges: list[Nudge]) -> None:
        try:
            recipient = self._recipient(address)
            if recipient in self.reached or not self._has_room(recipient):
                self._postpone(nudges, "this person got a message already")
                return
            self.reached.add(recipient)
            self._postpone(nudges[MAX_LISTED:], f"a message lists {MAX_LISTED} users")
            fresh = [one for one in nudges[:MAX_LISTED] if self._may_send(one)]
        except (ArchiveError, DeliveryError) as error:
            self._fail(nudges, error)
            return
        if fresh:
            self._send(recipient, fresh)

    def _recipient(self, address: str) -> str:
        """Return whom the messenger is to write to. Raises DeliveryError where nobody is known, or may be told."""
        recipient, known_as = self.messenger.find(address)
        if is_member_id(address) and not is_listed(known_as, self.context.config.nudge):
            raise DeliveryError("the member's address in Slack is of no domain of nudge.domains")
        return recipient

    def _has_room(self, recipient: str) -> bool:
        """Return whether this run may write to a person; those of IAM events seldom. Raises ArchiveError."""
        request, archive = self.context.request, self.context.archive
        if request.trigger is not Trigger.IAM_EVENT:
            return True
        day = f"people/{sha256(recipient.encode()).hexdigest()}/{request.started_at:%Y-%m-%d}"
        return any(archive.mark_nudge(f"{day}/{number}", request.run_id) for number in range(MAX_BY_EVENTS))

    def _may_send(self, nudge: Nudge) -> bool:
        """Write the marks of a message, and return whether it may be sent: another run may have sent it meanwhile."""
        archive, run_id = self.context.archive, self.context.request.run_id
        is_new = [archive.mark_nudge(nudge.name_of(kind), run_id) for kind in nudge.covers]
        return is_new[0] or nudge.again

    def _send(self, recipient: str, nudges: list[Nudge]) -> None:
        context, archive = self.context, self.context.archive
        listed = sorted(nudges, key=lambda one: (one.account_id, one.user_name))
        partition, contact = context.organization.partition, context.config.nudge.contact
        try:
            words = write_text(context.nudge_text, listed, partition=partition, contact=contact)
            self.messenger.send(recipient, SUBJECT, words)
        except DeliveryError as error:
            self._fail(nudges, error)
            return
        for one in nudges:
            self.messages[one.account_id, one.user_id] = _message(one, context, problem=None)
        try:
            for one in nudges:
                for kind in one.covers:
                    archive.accept_nudge(one.name_of(kind), context.request.run_id)
        except ArchiveError as error:
            log.error("acceptance_not_noted", message=str(error))  # noqa: TRY400 - a known failure, no traceback

    def _fail(self, nudges: list[Nudge], error: ArchiveError | DeliveryError) -> None:
        """Note why users were not told; what concerns everybody ends the round, and leaves no mark of a message."""
        if isinstance(error, DeliveryError) and error.is_general:
            self.ended = str(error)
            self._postpone(nudges, self.ended, unmark=True)
        else:
            for nudge in nudges:
                self._note(nudge, str(error))

    def _postpone(self, nudges: Iterable[Nudge], why: str, *, unmark: bool = False) -> None:
        """Leave users to the next run, which knows by a mark that it is to tell who is enforced by now."""
        archive, run_id = self.context.archive, self.context.request.run_id
        for nudge in nudges:
            self._note(nudge, f"{why}: told by the next run")
            try:
                if nudge.kind == TOLD_ENFORCED:
                    archive.mark_nudge(f"{nudge.name_of(nudge.kind)}{LATER}", run_id)
                for kind in nudge.covers if unmark and not nudge.again else ():
                    archive.forget_nudge(nudge.name_of(kind))
            except ArchiveError as error:
                log.error("users_not_told", message=str(error))  # noqa: TRY400 - a known failure, no traceback

    def _note(self, nudge: Nudge, problem: str) -> None:
        log.warning("user_not_told", account_id=nudge.account_id, user_name=nudge.user_name, message=problem)
        self.messages[nudge.account_id, nudge.user_id] = _message(nudge, self.context, problem=problem)
