"""Packed values come out as they went in, in the order that was asked for."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.model import AddToGroup, AttachPolicy, DetachPolicy, RemoveFromGroup, UserChange
from orchestrator.reports.compressed import CompressedList, JsonCodec


@dataclass(frozen=True)
class Word:
    text: str
    weight: int


@dataclass(frozen=True)
class Change:
    change: UserChange


WORDS: JsonCodec[Word] = JsonCodec(Word)
SAMPLE = [Word("b", 2), Word("a", 1), Word("c", 1)]
DRAWN = st.lists(st.builds(Word, st.text(max_size=5), st.integers(0, 3)))


@given(DRAWN)
@settings(deadline=None)
def test_values_come_out_as_they_went_in(words: list[Word]) -> None:
    packed = CompressedList(WORDS, words)

    assert list(packed) == words
    assert packed == CompressedList(WORDS, words)
    assert packed == tuple(words)
    assert [WORDS.load(text) for text in packed.texts()] == words
    assert all(b"\n" not in text for text in packed.texts())


@given(DRAWN)
@settings(deadline=None)
def test_equal_keys_keep_their_order(words: list[Word]) -> None:
    def weight(word: Word) -> int:
        return word.weight

    assert list(CompressedList(WORDS, words).sorted(weight)) == sorted(words, key=weight)


def test_index_and_slice_are_those_of_a_sequence() -> None:
    packed = CompressedList(WORDS, SAMPLE)

    assert (packed[0], packed[-1], list(packed[1:])) == (SAMPLE[0], SAMPLE[-1], SAMPLE[1:])


@pytest.mark.parametrize("other", [SAMPLE[:2], [*SAMPLE[:2], Word("d", 1)], "bac", 3])
def test_other_values_are_not_equal(other: object) -> None:
    assert CompressedList(WORDS, SAMPLE) != other


def test_values_are_added_as_they_go_by() -> None:
    packed = CompressedList(WORDS)

    taken = packed.take(iter(SAMPLE))

    assert next(taken) == SAMPLE[0]
    assert list(packed) == SAMPLE[:1]


@pytest.mark.parametrize(
    "change",
    [
        AttachPolicy("alice", "arn"),
        DetachPolicy("alice", "arn"),
        AddToGroup("alice", "EnforceMFA"),
        RemoveFromGroup("alice", "EnforceMFA"),
    ],
)
def test_change_comes_back_as_the_kind_that_it_was(change: UserChange) -> None:
    packer: JsonCodec[Change] = JsonCodec(Change)

    assert packer.unpack(packer.pack(Change(change))).change == change
    assert type(packer.unpack(packer.pack(Change(change))).change) is type(change)
