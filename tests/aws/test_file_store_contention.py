"""One of many callers creates or replaces a file."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.aws.places import Place, make_place
from tests.aws_server import Answer, AwsServer, Call

CALLERS = 16


def test_file_is_created_once_and_keeps_its_first_content(place: Place) -> None:
    assert place.store.create("events/a", b"first") is True
    assert place.store.create("events/a", b"second") is False
    assert place.store.create("events/b", b"other") is True

    assert place.store.read("events/a") == b"first"
    assert place.files() == ["events/a", "events/b"]


def test_one_of_many_callers_creates_a_file(request: pytest.FixtureRequest) -> None:
    place = make_place("folder", request)
    at_once = Barrier(CALLERS)

    def create(number: int) -> bool:
        at_once.wait(timeout=60)
        return place.store.create("events/a", str(number).encode())

    with ThreadPoolExecutor(CALLERS) as pool:
        made = list(pool.map(create, range(CALLERS)))

    assert made.count(True) == 1
    assert place.store.read("events/a") == str(made.index(True)).encode()
    assert place.files() == ["events/a"]


def test_bucket_is_asked_to_refuse_a_second_creation(request: pytest.FixtureRequest) -> None:
    """One PutObject with a condition; that S3 holds it against threads is S3's: moto looks, then writes."""
    place = make_place("s3", request)
    aws: AwsServer = request.getfixturevalue("aws")
    aws.forget_calls()

    made = [place.store.create("events/a", str(number).encode()) for number in range(CALLERS)]

    assert made == [True, *[False] * (CALLERS - 1)]
    assert aws.actions().count("PUT /reports/orgmfa/events/a") == CALLERS


def test_creation_whose_answer_was_lost_still_counts(request: pytest.FixtureRequest) -> None:
    place = make_place("s3", request)
    aws: AwsServer = request.getfixturevalue("aws")
    lost: list[Call] = []

    def lose_first(call: Call) -> Answer | None:
        if not call.action.startswith("PUT") or lost:
            return None
        lost.append(call)
        return Answer(500, "<Error><Code>InternalError</Code></Error>")

    aws.after.append(lose_first)

    assert place.store.create("events/a", b"a mark of our own") is True
    assert place.store.create("events/a", b"a mark of somebody else") is False


def test_file_is_replaced_only_while_it_holds_what_is_expected(place: Place) -> None:
    place.store.write("lease", b"first")

    assert place.store.replace("lease", b"another", b"second") is False
    assert place.store.read("lease") == b"first"
    assert place.store.replace("lease", b"first", b"second") is True
    assert place.store.read("lease") == b"second"
    assert [file.name for file in place.store.list_files("")] == ["lease"]


def test_missing_file_is_not_replaced(place: Place) -> None:
    assert place.store.replace("lease", b"", b"second") is False
    assert list(place.store.list_files("")) == []


def test_one_of_many_callers_replaces_a_file(request: pytest.FixtureRequest) -> None:
    place = make_place("folder", request)
    place.store.write("lease", b"old")
    at_once = Barrier(CALLERS)

    def take(number: int) -> bool:
        at_once.wait(timeout=60)
        return place.store.replace("lease", b"old", str(number).encode())

    with ThreadPoolExecutor(CALLERS) as pool:
        taken = list(pool.map(take, range(CALLERS)))

    assert taken.count(True) == 1
    assert place.store.read("lease") == str(taken.index(True)).encode()


@pytest.mark.parametrize(("written_meanwhile", "is_ours"), [(b"somebody else's", False), (b"ours", True)])
def test_file_that_was_written_between_look_and_write_is_not_replaced(
    request: pytest.FixtureRequest, written_meanwhile: bytes, is_ours: bool
) -> None:
    """The writer can be oneself: a first try whose answer was lost."""
    place = make_place("s3", request)
    aws: AwsServer = request.getfixturevalue("aws")
    place.store.write("lease", b"old")
    other = aws.client("s3")

    def write_first(call: Call) -> Answer | None:
        if call.action.startswith("PUT"):
            aws.faults.clear()
            other.put_object(Bucket="reports", Key="orgmfa/lease", Body=written_meanwhile)
        return None

    aws.faults.append(write_first)

    assert place.store.replace("lease", b"old", b"ours") is is_ours
    assert place.store.read("lease") == written_meanwhile
