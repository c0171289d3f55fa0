"""What the archive tells a daily run, and operators, of the runs before it: no run of IAM events changes any of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from orchestrator.aws.file_store import FolderStore
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode
from orchestrator.reports.archive import RunArchive


@dataclass(frozen=True, slots=True)
class DailyRuns:
    """The files under `runs/`, the run IDs of latest, base and trend, and first sights by account ID and user name."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    latest: str = ""
    base: str = ""
    trend: tuple[str, ...] = ()
    sights: Mapping[tuple[str, str], datetime] = field(default_factory=dict)


def read_daily_runs(folder: Path, organization_id: str) -> DailyRuns:
    """Return what the archive in a folder tells; of one that is elsewhere, nothing."""
    paths = [path for path in (folder / "runs").rglob("*") if path.is_file()]
    archive = RunArchive(FolderStore(str(folder)), None)
    history = archive.build_history(Mode.APPLY, organization_id)
    try:
        latest = archive.load().run_id
    except ConfigError:
        latest = ""
    return DailyRuns(
        files={path.name: path.read_bytes() for path in paths},
        latest=latest,
        base=history.base.run_id if history.base else "",
        trend=tuple(run.run_id for run in archive.trend(organization_id)),
        sights={(key, one.name): one.since for key, known in history.sights.items() for one in known.values()},
    )
