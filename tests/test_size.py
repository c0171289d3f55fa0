"""The program does not grow unseen: what is added is paid for by what is made simpler (DECISIONS 74)."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "orchestrator"
MOST_LINES = 22_000
MOST_OF_A_FILE = 500


def test_program_has_no_more_lines_than_it_may() -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}

    assert sum(lines.values()) <= MOST_LINES
    assert max(lines.values()) <= MOST_OF_A_FILE


def test_test_files_are_split_by_behaviour_before_they_are_long() -> None:
    files = Path(__file__).parent.rglob("*.py")

    assert [path.name for path in files if len(path.read_text("utf-8").splitlines()) > MOST_OF_A_FILE] == []
