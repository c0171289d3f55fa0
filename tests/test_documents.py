"""The documents name tests as proof: each name leads to a test that is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (".", "docs", "member_role", "stackset")
    for path in (ROOT / folder).glob("*.md")
)


def named_tests(text: str) -> Iterator[tuple[str, str]]:
    """Yield file and name of each test in a text; `::name` alone is of the file that its line named last, if any."""
    for line in text.splitlines():
        file = ""
        for path, name in re.findall(r"`(tests/[\w/]+\.py)?(?:::(test_\w+)[^`]*)?`", line):
            file = path or file
            if file or name:
                yield file, name


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_test_that_a_document_names_is_there(document: str) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in named_tests((ROOT / document).read_text("utf-8"))
        if not (ROOT / file).is_file() or f"def {name}" not in (ROOT / file).read_text("utf-8")
    ]

    assert missing == []


def test_a_name_alone_is_of_the_file_before_it() -> None:
    named = list(named_tests("see `tests/a/test_b.py::test_c`, `::test_d` and `x`\n`::test_e`"))

    assert named == [("tests/a/test_b.py", "test_c"), ("tests/a/test_b.py", "test_d"), ("", "test_e")]
