"""The event of a finished run as a pydantic model, which is the published schema (docs/run-finished.schema.json). Pure.

It has counts and addresses alone, no name of a user, account or alias: who reads the bus need not read the report.
"""

from typing import Literal

from pydantic import Field

from orchestrator.domain.model import Mode, Stage, Trigger
from orchestrator.reports.report import Changes, Frozen, RunReport, Totals, UtcTime, exit_code

RUN_FINISHED = "Run Finished"
"""The detail-type of the event."""


class ErrorCode(Frozen):
    """Where the run failed, and with which code."""

    stage: Stage
    code: str


class ChangeCounts(Frozen):
    """How many users and accounts changed since the run that this one is compared with; as `changes` of the report."""

    since_run_id: str
    since: UtcTime
    newly_without_mfa: int
    enrolled: int
    newly_enforced: int
    enforcement_undone: int
    newly_exempt: int
    newly_released: int
    new_accounts: int
    unannounced_accounts: int
    gone_accounts: int


class RunFinished(Frozen):
    """One run has ended. Fields are added and never taken away or changed in meaning while `schema_version` is 1."""

    schema_version: Literal[1] = 1
    run_id: str = Field(description="the same in an event that EventBridge delivers twice")
    mode: Mode
    trigger: Trigger
    organization_id: str
    started_at: UtcTime
    finished_at: UtcTime
    complete: bool = Field(description="false where the organization could not be listed to its end")
    narrowed: bool = Field(description="the run was asked for some accounts or OUs alone")
    gate: str | None = Field(
        description="why nothing was written, or would be after a plan: gate.code of the report, such as over_limit"
    )
    exit_code: int = Field(description="0 where nothing failed, nothing held the run and nothing is to fix, else 1")
    errors: tuple[ErrorCode, ...] = Field(description="errors of the run itself, each once; accounts are in totals")
    totals: Totals
    changes: ChangeCounts | None = Field(description="null where there is no run to compare with")
    report: str | None = Field(description="address of the archived report; null where it could not be archived")
    page: str | None = Field(description="address of the page of the run; null where none was made")
    link: str | None = Field(description="what archive.link makes; null without one")


def describe_run(report: RunReport, *, address: str | None, page: str | None, link: str | None) -> RunFinished:
    """Return the event of a run, whose report and page have these addresses."""
    return RunFinished(
        run_id=report.run_id,
        mode=report.mode,
        trigger=report.trigger,
        organization_id=report.organization_id,
        started_at=report.started_at,
        finished_at=report.finished_at,
        complete=report.complete,
        narrowed=report.narrowed,
        gate=report.gate.code if report.gate else None,
        exit_code=exit_code(report),
        errors=tuple(dict.fromkeys(ErrorCode(stage=error.stage, code=error.code) for error in report.errors)),
        totals=report.totals,
        changes=_count(report.changes) if report.changes else None,
        report=address,
        page=page,
        link=link,
    )


def _count(changes: Changes) -> ChangeCounts:
    counts = {name: len(value) if isinstance(value, tuple) else value for name, value in changes}
    return ChangeCounts.model_validate(counts)
