"""Slack as a channel that runs are told in: when a digest goes out, what is in it, and what is attached to it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.domain.config import Config
from orchestrator.domain.errors import ArchiveError, AttachmentError, DigestError
from orchestrator.domain.model import Trigger
from orchestrator.output.run_notes import run_notes
from orchestrator.output.words import archive_link
from orchestrator.reports.report import RunReport

PAGE_COMMENT = "The page of this run, with every account and user: save it, then open it in a browser."


class _Client(Protocol):
    """Posts to Slack, as `SlackClient` does, which says what each of these is."""

    @property
    def has_thread(self) -> bool: ...
    def send(self, text: str, blocks: Sequence[dict[str, Any]]) -> None: ...
    def reply(self, text: str, blocks: Sequence[dict[str, Any]], otherwise: Sequence[dict[str, Any]]) -> None: ...
    def attach(self, filename: str, content: bytes, comment: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """Tells of a run in Slack: one message in the channel, the rest in its thread."""

    client: _Client
    config: Config

    def notify(self, report: RunReport, *, render_page: Callable[[], Iterable[str]]) -> None:
        """Send the digest of a run where one is wanted, with its thread and its page. Raises DigestError."""
        from orchestrator.output.slack.digest import render_digest  # noqa: PLC0415 - not at cold start

        client, config = self.client, self.config
        names = config.slack.users == "names"
        digest = render_digest(
            report,
            config.slack,
            link=archive_link(config.archive.link, report),
            notes=run_notes(config, report, names=names),
            blocks_access_keys=config.policy.blocks_access_keys,
            has_thread=client.has_thread,
        )
        wants_findings = config.slack.when == "findings" or report.trigger in {Trigger.ONBOARDING, Trigger.IAM_EVENT}
        if wants_findings and not digest.has_findings:
            return
        client.send(digest.text, digest.blocks)
        try:
            for reply in digest.thread:
                client.reply(reply.text, reply.blocks, reply.otherwise)
            if config.slack.attach:
                page = "".join(render_page()).encode()
                client.attach(f"orgmfa-{report.run_id}.html", page, PAGE_COMMENT)
        except (ArchiveError, DigestError) as error:
            raise AttachmentError(str(error)) from error
