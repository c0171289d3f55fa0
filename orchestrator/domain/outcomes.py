"""Table of the outcomes of users, from which totals, exit code and every view of a report are made. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.domain.model import Mode, Outcome

CANNOT_ENROL, CANNOT_TELL, SIGN_IN = "cannot_enrol", "cannot_tell", "sign_in_unknown"
"""Codes of what the policy simulator says of a user; the last holds nobody."""


class Tone(StrEnum):
    """Severity of a word; the page shows it as a colour and a sign."""

    BAD = "bad"
    WARN = "warn"
    GOOD = "good"
    QUIET = "quiet"


class OutcomeGroup(StrEnum):
    """What a reader has to do about an outcome."""

    TO_FIX = "to fix"  # only a person can resolve it; it makes the exit code 1
    CHANGED = "changed"  # written by this run, or to be written
    WAITING = "waiting"  # without MFA still, and nothing is to be written now
    LEFT_ALONE = "left alone"  # left alone on purpose, for good
    NOTHING = "nothing"  # nothing to do; or the verdict is unknown


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """An outcome as the views show it. `total` names its count in a report: there `failed` counts accounts."""

    label: str
    tone: Tone
    group: OutcomeGroup
    label_by_mode: Mapping[Mode, str] = field(default_factory=dict)
    total: str = ""


_PLANNED = {Mode.PLAN: "would be enforced", Mode.APPLY: "not yet enforced", Mode.RELEASE: "not yet released"}
_ALREADY = {Mode.RELEASE: "still enforced"}

OUTCOMES: Mapping[Outcome, OutcomeRow] = {
    Outcome.FAILED: OutcomeRow("failed", Tone.BAD, OutcomeGroup.TO_FIX, total="failed_users"),
    Outcome.QUOTA_EXCEEDED: OutcomeRow("over quota", Tone.WARN, OutcomeGroup.TO_FIX),
    Outcome.HELD: OutcomeRow("held", Tone.WARN, OutcomeGroup.TO_FIX),
    Outcome.ENFORCED: OutcomeRow("enforced", Tone.GOOD, OutcomeGroup.CHANGED),
    Outcome.RELEASED: OutcomeRow("released", Tone.WARN, OutcomeGroup.CHANGED),
    Outcome.PLANNED: OutcomeRow("planned", Tone.WARN, OutcomeGroup.CHANGED, label_by_mode=_PLANNED),
    Outcome.IN_GRACE: OutcomeRow("in grace", Tone.QUIET, OutcomeGroup.WAITING),
    Outcome.ALREADY_ENFORCED: OutcomeRow("already enforced", Tone.GOOD, OutcomeGroup.WAITING, label_by_mode=_ALREADY),
    Outcome.EXEMPT: OutcomeRow("exempt", Tone.QUIET, OutcomeGroup.LEFT_ALONE),
    Outcome.GUARDED: OutcomeRow("guarded by others", Tone.QUIET, OutcomeGroup.LEFT_ALONE),
    Outcome.OUT_OF_SCOPE: OutcomeRow("out of scope", Tone.QUIET, OutcomeGroup.LEFT_ALONE),
    Outcome.NONE: OutcomeRow("nothing to do", Tone.QUIET, OutcomeGroup.NOTHING),
}
"""In the order of every view, the worst first."""

ENFORCED = frozenset({Outcome.ENFORCED, Outcome.ALREADY_ENFORCED})  # EnforceMFA denies all but to enrol


def outcomes_of(*groups: OutcomeGroup) -> tuple[Outcome, ...]:
    """Return the outcomes of these groups, the worst first."""
    return tuple(outcome for outcome, row in OUTCOMES.items() if row.group in groups)


def label_of(outcome: Outcome, mode: Mode) -> str:
    """Return what an outcome is called in a run of this mode."""
    row = OUTCOMES[outcome]
    return row.label_by_mode.get(mode, row.label)


def total_name(outcome: Outcome) -> str:
    """Return the name of the count of an outcome in the totals of a report."""
    return OUTCOMES[outcome].total or outcome.value
