"""`orgmfa report` and `orgmfa package` with a path that cannot be used."""

import pytest

from orchestrator.reports.build import build_report
from tests.builders import NOW, make_request
from tests.cli.calling import Cli, assert_refused


@pytest.fixture(autouse=True)
def kept(cli: Cli) -> None:
    """Write a report into the folder."""
    report = build_report(make_request(), "o-exampleorg1", (), errors=(), is_complete=True, finished_at=NOW)
    (cli.folder / "run.json").write_text(report.model_dump_json(), encoding="utf-8")


@pytest.mark.parametrize("path", ["a" * 300, "x/" * 3000 + "run.json"])
def test_report_of_a_file_that_cannot_be_looked_at_is_refused(cli: Cli, path: str) -> None:
    assert_refused(cli("report", path), f"orgmfa: cannot read {path}: File name too long")


@pytest.mark.parametrize("option", ["--html", "--csv"])
@pytest.mark.parametrize("path", [".", "..", "/", "run.json/page", "missing/page", "a" * 300])
def test_page_or_table_that_cannot_be_written_is_refused_by_its_path(cli: Cli, option: str, path: str) -> None:
    assert_refused(cli("report", "run.json", option, path), f"orgmfa: cannot write {path}: ")
    assert [one.name for one in cli.folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_package_in_the_place_of_a_folder_is_refused(cli: Cli, path: str) -> None:
    assert_refused(cli("package", "--output", path), "--output", f"'{path}' is a directory")
