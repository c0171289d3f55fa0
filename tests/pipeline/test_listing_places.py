"""OUs and owners of accounts: found out beside the run, and never in its way."""

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied
from orchestrator.domain.model import Placement
from orchestrator.pipeline.listing import FEW_ACCOUNTS, PlaceLookup
from tests.builders import make_request
from tests.fake_aws import FakeAws
from tests.fakes import fail, make_context


@dataclass
class SlowDirectory(FakeAws):
    """Answers once it may, or once nobody wants to know any longer."""

    may_answer: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)

    def find_ou_paths(self, account_ids: Sequence[str], cancellation: Cancellation) -> None:
        while not self.may_answer.wait(0.01) and not cancellation.reason:
            pass
        super().find_ou_paths(account_ids, cancellation)
        self.ended.set()


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    structlog.reset_defaults()
    with capture_logs() as logs:
        yield logs


@pytest.mark.parametrize(
    ("targets", "surveyed"),
    [
        ((), ()),
        (("111122223333", "444455556666"), ("111122223333", "444455556666")),
        (("payments",), ()),
        (("111122223333",) * (FEW_ACCOUNTS + 1), ()),
    ],
    ids=["all", "by ID", "by name", "many"],
)
def test_few_accounts_named_by_id_are_looked_up_and_else_the_whole_tree(
    targets: tuple[str, ...], surveyed: tuple[str, ...]
) -> None:
    aws = FakeAws(ous={"111122223333": "Root/Workloads"})

    survey = PlaceLookup(make_context(aws, request=make_request(targets=targets)))
    place_of = survey.finish()

    assert aws.surveyed == [surveyed]
    assert place_of("111122223333").ou == "Root/Workloads"
    assert place_of("444455556666").ou is None


def test_survey_that_fails_is_one_warning_and_no_ou(logs: list[MutableMapping[str, Any]]) -> None:
    def deny(action: str, account_id: str, subject: str) -> None:
        raise fail(AccessDenied, "AccessDeniedException", "ListRoots")

    survey = PlaceLookup(make_context(FakeAws(before=deny)))
    survey.finish()
    place_of = survey.finish()

    assert [(line["event"], line["log_level"], line["code"]) for line in logs] == [
        ("ous_not_known", "warning", "AccessDeniedException")
    ]
    assert "organizations:ListRoots" in logs[0]["remedy"]
    assert place_of("111122223333") == Placement()


def test_report_waits_for_no_slow_tree_and_says_so_once(logs: list[MutableMapping[str, Any]]) -> None:
    directory = SlowDirectory(ous={"111122223333": "Root"})

    survey = PlaceLookup(make_context(directory), timeout_seconds=0)
    survey.finish()
    survey.finish()

    assert [line["event"] for line in logs] == ["ous_not_all_known"]
    assert directory.ended.wait(10)


def test_run_that_is_to_end_does_not_wait_for_the_tree() -> None:
    directory, cancellation = SlowDirectory(), Cancellation()
    cancellation.event.set()

    survey = PlaceLookup(make_context(directory, cancellation=cancellation), timeout_seconds=1e9)
    survey.finish()

    assert directory.ended.wait(10)


def test_owners_are_looked_up_of_the_accounts_as_they_are_listed_even_where_the_tree_cannot_be_read() -> None:
    def deny(action: str, account_id: str, subject: str) -> None:
        if action == "survey":
            raise fail(AccessDenied, "AccessDeniedException", "ListRoots")

    aws = FakeAws(before=deny, owners={"1": "team-a", "3": "team-c"})
    listed = {"1": 0, "2": 1}

    survey = PlaceLookup(make_context(aws), listed)
    listed["3"] = 2
    place_of = survey.finish()

    assert [place_of(account_id) for account_id in ("1", "2", "3")] == [
        Placement(owner="team-a"),
        Placement(),
        Placement(owner="team-c"),
    ]


def test_owners_that_may_not_be_read_are_one_warning(logs: list[MutableMapping[str, Any]]) -> None:
    def deny(action: str, account_id: str, subject: str) -> None:
        if action == "owner":
            raise fail(AccessDenied, "AccessDeniedException", "ListTagsForResource")

    survey = PlaceLookup(make_context(FakeAws(before=deny, owners={"1": "a", "2": "b"})), ["1", "2"])
    place_of = survey.finish()

    assert [line["event"] for line in logs] == ["owners_not_known"]
    assert "organizations:ListTagsForResource" in logs[0]["remedy"]
    assert place_of("1") == Placement()


def test_lookup_of_a_run_that_never_finishes_ends_with_the_run() -> None:
    cancellation, directory = Cancellation(), FakeAws()
    survey = PlaceLookup(make_context(directory, cancellation=cancellation), ["1"])

    cancellation.event.set()

    survey._thread.join(10)
    assert not survey._thread.is_alive()
