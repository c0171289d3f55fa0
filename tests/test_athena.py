"""docs/athena.md: its table fits the lines that runs leave, and its queries answer what they say, asked in DuckDB."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestrator.aws.file_store import FolderStore
from orchestrator.domain.model import Mode, Stage, Status, Verdict
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import AccountReport, ProblemReport, ReasonReport, RootUserReport
from tests.builders import NOW, make_run_report, make_seen, make_seen_account, user_id_of

DOCUMENT = Path(__file__).parents[1].joinpath("docs/athena.md").read_text(encoding="utf-8")
_, TABLE, *QUERIES = re.findall(r"^```sql\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
NO_COLUMNS = {"unread_open_since", "first_sights"}
PAYMENTS, SEARCH = "111122223333", "444455556666"
DENIED = ProblemReport(stage=Stage.ASSUME_ROLE, code="AccessDenied", message="no", remedy="look")


def columns() -> dict[str, str]:
    """Return the types of the table's columns, in DuckDB's words."""
    text = TABLE[TABLE.index("(") + 1 : TABLE.index(")\nPARTITIONED BY")]
    found = re.findall(r"^  (\w+) ((?:.|\n   )+?),?$(?=\n  \w|\n\Z)", text, re.MULTILINE)
    return {name: translate(kind) for name, kind in found}


def translate(kind: str) -> str:
    """Return a type of Hive as one of DuckDB."""
    kind = " ".join(kind.split())
    if inner := re.fullmatch(r"array<(.*)>", kind):
        return f"{translate(inner[1])}[]"
    if inner := re.fullmatch(r"struct<(.*)>", kind):
        fields = (one.replace("`", '"').split(":", 1) for one in split(inner[1]))
        return f"STRUCT({', '.join(f'{name.strip()} {translate(of)}' for name, of in fields)})"
    return {"string": "VARCHAR", "int": "INTEGER", "boolean": "BOOLEAN"}[kind]


def split(fields: str) -> Iterator[str]:
    """Yield the fields of a struct: commas inside of another type part none."""
    depth, start = 0, 0
    for index, sign in enumerate(fields):
        depth += (sign == "<") - (sign == ">")
        if sign == "," and not depth:
            yield fields[start:index]
            start = index + 1
    yield fields[start:]


def save(archive: RunArchive, day: int, *accounts: AccountReport, hour: int = 12, mode: Mode = Mode.APPLY) -> None:
    started = NOW.replace(day=day, hour=hour)
    archive.save_lines(
        make_run_report(*accounts, run_id=f"{started:%Y%m%dT%H%M%SZ}-0a1b2c3d", started_at=started, mode=mode)
    )


@pytest.fixture
def athena(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """The table over the files of four runs.

    2 March   plan    payments: alice planned, bob has MFA                          search: not read
    3 March   apply   payments: alice enforced, bob has MFA, ci-1 exempt            search: not read
    4 March   plan    payments: alice planned                                       (an earlier run of the day)
    4 March   apply   payments: alice already enforced, bob has MFA, ci-1 exempt    search: carol held, dave unknown
    """
    archive = RunArchive(FolderStore(str(tmp_path)), keep=None)
    since = NOW - timedelta(days=1)
    bob = make_seen("bob", "none", mfa_device="virtual", mfa_enrolled_at=NOW, keys_last_used=NOW, active_access_keys=1)
    exempt = make_seen("ci-1", "exempt", reason="build robots", open_since=since, service_credentials=("bedrock",))
    unread = make_seen_account(account_id=SEARCH, name="search", status=Status.FAILED, error=DENIED, failing_runs=2)
    root_user = RootUserReport(has_credentials=True, has_mfa=False)
    save(archive, 2, make_seen_account(make_seen("alice", open_since=since), bob), unread, mode=Mode.PLAN)
    save(archive, 3, make_seen_account(make_seen("alice", "enforced", open_since=since), bob, exempt), unread)
    save(archive, 4, make_seen_account(make_seen("alice", open_since=since)), hour=8, mode=Mode.PLAN)
    carol = make_seen("carol", "held", open_since=NOW, error=ReasonReport(code="active_key", message="a key"))
    dave = make_seen("dave", "none", verdict=Verdict.UNKNOWN)
    save(
        archive,
        4,
        make_seen_account(make_seen("alice", "already_enforced", open_since=since), bob, exempt),
        make_seen_account(carol, dave, account_id=SEARCH, name="search", alias=None, root_user=root_user),
    )
    files, kinds = f"{tmp_path}/accounts/*/*.jsonl.gz", str(columns())
    reads = f"read_json('{files}', format='newline_delimited', columns={kinds}, hive_types={{'date': VARCHAR}})"
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA orgmfa")
    connection.execute(f"CREATE VIEW orgmfa.accounts AS SELECT * FROM {reads}")  # noqa: S608 - a path of this test
    return connection


def test_table_loses_nothing_of_a_line(athena: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    texts = [gzip.decompress(file.read_bytes()).decode() for file in sorted(tmp_path.glob("accounts/*/*.jsonl.gz"))]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]

    rows = athena.execute("SELECT to_json(a) FROM orgmfa.accounts AS a").fetchall()

    read = [json.loads(text) for (text,) in rows]
    assert {row.pop("date") for row in read} == {"2026-03-02", "2026-03-03", "2026-03-04"}
    in_order = itemgetter("run_id", "id")
    kept = [{name: value for name, value in line.items() if name not in NO_COLUMNS} for line in lines]
    assert sorted(read, key=in_order) == sorted(kept, key=in_order)
    assert all(line.keys() > NO_COLUMNS for line in lines)


def test_table_looks_where_runs_leave_their_lines(tmp_path: Path) -> None:
    archive = RunArchive(FolderStore(str(tmp_path)), keep=None)
    save(archive, 2, make_seen_account())

    (template,) = re.findall(r"'storage.location.template' = 's3://BUCKET/archive/(.*)'", TABLE)
    (location,) = re.findall(r"LOCATION 's3://BUCKET/archive/(.*)'", TABLE)
    (file,) = tmp_path.glob("accounts/**/*.jsonl.gz")
    assert f"{file.parent.relative_to(tmp_path)}/" == template.replace("${date}", "2026-03-02")
    assert template.startswith(location)


@pytest.mark.parametrize(
    ("number", "rows"),
    [
        (
            0,
            [
                (PAYMENTS, "acme-payments", "alice", "already_enforced", None, 3),
                (PAYMENTS, "acme-payments", "ci-1", "exempt", "build robots", 3),
                (SEARCH, None, "carol", "held", None, 2),
            ],
        ),
        (
            1,
            [
                ("2026-03-02", 2, 1, 0, 0, 50.0),
                ("2026-03-03", 3, 1, 1, 0, 33.3),
                ("2026-03-04", 5, 1, 1, 1, 20.0),
            ],
        ),
        (2, [(SEARCH, "search", 2, "2026-03-02", "2026-03-03", "AccessDenied")]),
        (3, [(PAYMENTS, "ci-1", "build robots", "2026-03-03", "2026-03-04")]),
        (4, [("2026-03-03", "20260303T120000Z-0a1b2c3d", PAYMENTS, "alice", user_id_of("alice"), "user")]),
    ],
)
def test_query_answers_its_question(
    athena: duckdb.DuckDBPyConnection, number: int, rows: list[tuple[Any, ...]]
) -> None:
    assert len(QUERIES) == 5
    assert athena.execute(QUERIES[number]).fetchall() == rows
