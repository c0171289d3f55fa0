"""Tells users without MFA what will happen to them, each once, and returns what became of it.

A mark is written before a message is sent, so that a run that is killed tells nobody twice, and another once the
provider has accepted it. With `nudge.required` a mark without acceptance is told again by the next run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from orchestrator.domain.config import NudgeConfig
from orchestrator.domain.errors import ArchiveError, DeliveryError
from orchestrator.domain.model import Mode, Trigger
from orchestrator.domain.nudges import SUBJECT, Nudge, find_nudge, is_listed, is_member_id, read_text, write_text
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.ports import Messenger
from orchestrator.pipeline.results import Results
from orchestrator.reports.archive import ACCEPTED
from orchestrator.reports.report import MessageReport

Messages = Mapping[tuple[str, str], tuple[MessageReport, ...]]
"""What became of the messages, by account ID and user ID."""

NO_ADDRESS = "no address: neither the tag of nudge.address_tag nor the user name is one of nudge.domains"
_TOLD_BY = frozenset({Trigger.ONBOARDING, Trigger.IAM_EVENT})

log = structlog.get_logger(__name__)


def find_due(results: Results, context: RunContext) -> list[Nudge]:
    """Return the users of a plan or apply run who are due, but for those who were told. Raises ArchiveError."""
    request, settings, now = context.request, context.config.nudge, context.now()
    tells = not request.is_narrowed or request.trigger in _TOLD_BY
    if settings.via is None or request.mode is Mode.RELEASE or (request.mode is Mode.APPLY and not tells):
        return []
    marks = context.archive.nudge_marks()
    found = (
        find_nudge(
            decision,
            account_id=result.account.id,
            account_label=result.alias or result.account.name,
            settings=settings,
            now=now,
        )
        for result in results
        for decision in result.decisions
    )
    return [due for nudge in found if nudge and (due := _due(nudge, marks, settings))]


def tell_users(due: Sequence[Nudge], context: RunContext) -> Messages:
    """Tell these users of an apply run, and return what became of it; of a plan, what would be sent."""
    if context.request.mode is Mode.PLAN:
        settings = context.config.nudge
        return {
            (one.account_id, one.user_id): (_message(one, settings, problem=None if one.address else NO_ADDRESS),)
            for one in due
        }
    if context.messenger is None:
        return {}
    round_ = _Round(context, context.messenger)
    round_.tell(due)
    return {key: tuple(messages) for key, messages in round_.messages.items()}


def _due(nudge: Nudge, marks: Mapping[str, object], settings: NudgeConfig) -> Nudge | None:
    """Return what of a user's messages is still to be sent; the last of those that are due speaks for all."""
    is_done = [
        name in marks and (f"{name}{ACCEPTED}" in marks or not settings.required)
        for name in map(nudge.name_of, nudge.covers)
    ]
    left = [kind for kind, done in zip(nudge.covers, is_done, strict=True) if not done]
    if not left:
        return None
    return Nudge(**{name: getattr(nudge, name) for name in nudge.__slots__} | {"kind": left[0], "covers": tuple(left)})


def _message(nudge: Nudge, settings: NudgeConfig, *, at: object = None, problem: str | None = None) -> MessageReport:
    return MessageReport.model_validate({"kind": nudge.kind, "via": settings.via, "at": at, "problem": problem})


@dataclass
class _Round:
    """The messages of one run."""

    context: RunContext
    messenger: Messenger
    messages: dict[tuple[str, str], list[MessageReport]] = field(default_factory=dict)

    def tell(self, nudges: Iterable[Nudge]) -> None:
        """Send one message an address, which lists its users."""
        settings = self.context.config.nudge
        text = read_text(settings)
        by_recipient: dict[str, list[Nudge]] = {}
        for nudge in nudges:
            try:
                by_recipient.setdefault(self._recipient(nudge), []).append(nudge)
            except DeliveryError as error:
                self._note(nudge, str(error))
        for number, (recipient, some) in enumerate(by_recipient.items()):
            if number >= settings.max_per_run or self.context.cancellation.reason:
                why = "the run ended early" if self.context.cancellation.reason else "nudge.max_per_run is reached"
                for nudge in some:
                    self._note(nudge, f"{why}: told by the next run")
                continue
            self._send(recipient, some, text)
        log.info("users_told", messages=min(len(by_recipient), settings.max_per_run))

    def _recipient(self, nudge: Nudge) -> str:
        """Return whom the messenger is to write to. Raises DeliveryError where nobody is known, or may be told."""
        if nudge.address is None:
            raise DeliveryError(NO_ADDRESS)
        recipient, address = self.messenger.find(nudge.address)
        if is_member_id(nudge.address) and not is_listed(address, self.context.config.nudge):
            raise DeliveryError(f"the address of {nudge.address} in Slack is of no domain of nudge.domains")
        return recipient

    def _send(self, recipient: str, nudges: list[Nudge], text: str) -> None:
        context, settings = self.context, self.context.config.nudge
        run_id, archive = context.request.run_id, context.archive
        try:
            fresh = [one for one in nudges if self._may_send(one)]
            if not fresh:
                return
            words = write_text(text, fresh, partition=context.organization.partition, contact=settings.contact)
            self.messenger.send(recipient, SUBJECT, words)
            for one in fresh:
                self.messages.setdefault((one.account_id, one.user_id), []).append(
                    _message(one, settings, at=context.now())
                )
                for kind in one.covers:
                    archive.accept_nudge(one.name_of(kind), run_id)
        except (ArchiveError, DeliveryError) as error:
            for one in nudges:
                self._note(one, str(error))

    def _may_send(self, nudge: Nudge) -> bool:
        """Write the marks of a message, and return whether it may be sent: another run may have sent it meanwhile."""
        archive, run_id = self.context.archive, self.context.request.run_id
        is_new = [archive.mark_nudge(nudge.name_of(kind), run_id) for kind in nudge.covers]
        return is_new[0] or self.context.config.nudge.required

    def _note(self, nudge: Nudge, problem: str) -> None:
        log.warning("user_not_told", account_id=nudge.account_id, user_name=nudge.user_name, message=problem)
        noted = self.messages.setdefault((nudge.account_id, nudge.user_id), [])
        noted.append(_message(nudge, self.context.config.nudge, problem=problem))
