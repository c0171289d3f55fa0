"""Checks of the configuration: limits of 0, exemptions that have ended or match nothing. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from orchestrator.doctor.report import Check, CheckName, fine, problem
from orchestrator.domain.config import Config
from orchestrator.domain.protections import check_protections


def check_limits(config: Config) -> Check:
    """Return whether the limits let a run change anything."""
    limits = config.limits
    closed = [
        name
        for name in ("max_changes_per_account", "max_changes_per_run", "max_share_per_account")
        if getattr(limits, name) == 0
    ]
    if closed:
        named = " and ".join(f"limits.{name}" for name in closed)
        remedy = "Raise it, or set enforcement.mode: plan where nothing is to be written."
        return problem(CheckName.LIMITS, f"{named} of 0 holds every user: nobody is ever enforced", remedy)
    message = (
        f"at most {_most(limits.max_changes_per_account)} changes an account, "
        f"{_most(limits.max_changes_per_run)} a run; {config.concurrency.workers} accounts at once"
    )
    return fine(CheckName.LIMITS, message)


def check_exemptions(config: Config, now: datetime) -> Check:
    """Return how many exemptions are in force, and name those that have ended; these are no problem for a run."""
    today = now.astimezone(UTC).date()
    ended = [
        f"{exemption.user} on {exemption.until:%Y-%m-%d}"
        for exemption in config.exemptions
        if exemption.until is not None and exemption.until < today
    ]
    message = f"{len(config.exemptions) - len(ended)} in force"
    if ended:
        message += f"; ended: {', '.join(ended)}"
    remedy = "Remove from exemptions what has ended, or give it a new `until`." if ended else ""
    return fine(CheckName.EXEMPTIONS, message, remedy)


def check_effects(
    config: Config, user_names: Iterable[tuple[str, Sequence[str] | None]], now: datetime
) -> Iterator[Check]:
    """Yield a check for each exemption, protected user and account that matches nothing, or everybody."""
    remarks = tuple(check_protections(config, user_names, now))
    for text, is_grave in remarks:
        remedy = "Correct it, or remove it, in the configuration."
        yield (problem if is_grave else fine)(CheckName.PROTECTIONS, text, remedy)
    if not remarks:
        yield fine(CheckName.PROTECTIONS, "each exemption, protected user and account that is named matches something")


def _most(count: int | None) -> str:
    return "any number of" if count is None else f"{count:,}"
