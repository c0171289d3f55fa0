"""Hostile files of the archive are refused before they fill the memory, and real ones fit with room."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.reports.history import read_past
from orchestrator.reports.report_json import (
    MAX_JSON_VALUES,
    MAX_LINE_BYTES,
    MAX_UNPACKED_BYTES,
    load_json,
    read_head,
    read_report,
    unpack,
    unpack_lines,
    write_lines,
)
from tests.builders import days_ago, make_run_report, make_seen, make_seen_account
from tests.reports.bombs import BOMBS

pytestmark = pytest.mark.thorough

MIB = 1024 * 1024


def size_of_an_account(users: int) -> tuple[int, int]:
    """Return the bytes and, as they are counted, the values of the line of an account."""
    seen = (make_seen(f"firstname.lastname-{number}", open_since=days_ago(20)) for number in range(users))
    line = max(write_lines(make_run_report(make_seen_account(*seen))), key=len)
    return len(line), sum(map(line.count, (b",", b"[", b"{")))


def test_report_of_ten_thousand_accounts_fits_with_room() -> None:
    size, _ = size_of_an_account(20)

    assert 10_000 * size * 6 < MAX_UNPACKED_BYTES


def test_account_with_as_many_users_as_iam_allows_fits_with_room() -> None:
    size, values = size_of_an_account(5_000)

    assert size * 15 < MAX_LINE_BYTES
    assert values * 6 < MAX_JSON_VALUES


def peak_of(read: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("parse", [read_report, read_past])
@pytest.mark.parametrize("packed", [pytest.param(make(), id=name) for name, make in BOMBS.items()])
def test_bomb_is_refused_and_fills_no_memory(packed: bytes, parse: Callable[..., object]) -> None:
    def read() -> None:
        with pytest.raises(ValueError, match=r"valid|longer|values"):
            parse(unpack_lines(packed))

    assert len(packed) < 2 * MIB
    assert peak_of(read) < 300 * MIB


@pytest.mark.parametrize("packed", [pytest.param(make(), id=name) for name, make in BOMBS.items()])
def test_beginning_of_a_bomb_fills_no_memory(packed: bytes) -> None:
    assert peak_of(partial(read_head, packed)) < 100 * MIB


def test_lines_that_are_many_and_each_short_come_to_an_end() -> None:
    member = gzip.compress(b'{"a": "b"}\n' * (MIB // 11), mtime=0)
    packed = member * (MAX_UNPACKED_BYTES // MIB + 20)

    with pytest.raises(ValueError, match="longer than anything"):
        for _ in unpack_lines(packed):
            pass


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lines_are_those_that_were_packed(parts: list[bytes]) -> None:
    content = b"\n".join(parts)

    assert b"".join(unpack_lines(gzip.compress(content))) == unpack(gzip.compress(content)) == content
    assert [line.removesuffix(b"\n") for line in unpack_lines(gzip.compress(content + b"\n"))] == content.split(b"\n")


@given(st.binary(max_size=60) | st.binary(max_size=60).map(gzip.compress).map(lambda packed: packed[:-5]))
@settings(deadline=None)
def test_whatever_is_no_gzip_file_is_a_value_error(content: bytes) -> None:
    try:
        unpacked = unpack(content)
    except ValueError:
        return
    assert unpacked == gzip.decompress(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_values_are_never_counted_too_few(value: object) -> None:
    def count(node: object) -> int:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        return 1 + sum(map(count, children))

    text = json.dumps(value).encode()

    assert load_json(text) == value
    assert count(value) <= 1 + sum(map(text.count, (b",", b"[", b"{")))


def test_text_of_one_value_too_many_is_refused() -> None:
    most = b"[" + b"0," * (MAX_JSON_VALUES - 2) + b"0]"

    assert len(load_json(most)) == MAX_JSON_VALUES - 1
    with pytest.raises(ValueError, match="more values"):
        load_json(b"[0," + most[1:-1] + b",0]")
