"""Users told before they are enforced and when they are, over runs in a row, in one process and in steps."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.model import Trigger
from orchestrator.output.run_notes import run_notes
from orchestrator.pipeline.nudging import MAX_LISTED
from orchestrator.reports.report import MessageReport
from tests.builders import days_ago, make_config, make_user
from tests.fakes import FakeMessenger
from tests.pipeline.days import PAYMENTS, SEARCH, Days
from tests.pipeline.stage import outcomes, user_of

MAIL = (("email", "alice@acme.com"),)


def nudging(notice: str = "7d", **nudge: Any) -> Config:
    settings = {"via": "slack", "domains": ["acme.com"]} | nudge
    return make_config(enforcement={"notice": notice}, nudge=settings)


class Overtaken(FakeMessenger):
    """While it looks for people, another run does something."""

    def __init__(self, other: Callable[[], None]) -> None:
        super().__init__()
        self.other = other

    def find(self, address: str) -> tuple[str, str]:
        self.other()
        return super().find(address)


@pytest.fixture
def people(days: Days) -> Days:
    """Both users without MFA have a tag with their address."""
    days.change(PAYMENTS, "alice", tags=MAIL)
    days.change(SEARCH, "carol", tags=(("email", "carol@acme.com"),))
    return days


def kinds(days: Days) -> list[str]:
    return [recipient.partition("@")[0] for recipient, _ in days.messenger.sent]


def messages(report: Any, name: str = "alice") -> list[tuple[str, bool]]:
    return [(one.kind, one.at is not None) for one in user_of(report, name).messages]


def test_user_is_told_when_first_seen_when_days_are_left_and_when_enforced(people: Days) -> None:
    config = nudging("10d")

    reports = [people.play(day, config=config) for day in (0, 1, 3, 4, 8, 9, 9.5, 10, 11)]

    assert [messages(report) for report in reports] == [
        [("first", True)],
        [],
        [("left-7", True)],
        [],
        [],
        [("left-1", True)],
        [],
        [("enforced", True)],
        [],
    ]
    assert kinds(people).count("alice") == 4


def test_person_who_is_asked_sees_whom_the_run_would_tell_and_nobody_is_told_after_a_no(people: Days) -> None:
    config = nudging()
    people.play(0, config=config)
    sent = len(people.messenger.sent)
    people.answers = False

    asked = people.play(8, config=config)

    assert [messages(asked, name) for name in ("alice", "carol")] == [[("enforced", False)]] * 2
    assert "2 users would be told by slack" in run_notes(config, asked)
    assert len(people.messenger.sent) == sent
    people.answers = True
    assert messages(people.play(8.1, config=config)) == [("enforced", True)]


def test_plan_is_shown_though_the_marks_of_messages_cannot_be_read(people: Days) -> None:
    config = nudging()
    people.play(0, config=config)
    people.answers, people.store.denied = False, ("list", "nudges/")

    assert outcomes(people.play(8, config=config)) == {"alice": "planned", "bob": "none", "carol": "planned"}


def test_message_says_account_date_and_sign_in_address_of_the_account_id(people: Days) -> None:
    people.play(0, config=nudging())

    text = dict(people.messenger.sent)["alice@acme.com"]
    assert "alias\N{WORD JOINER}" not in text.replace("-\N{WORD JOINER}", "-")
    assert f"({PAYMENTS})" in text
    assert "from 09 March 2026, 12:00 UTC on" in text
    assert f"https://{PAYMENTS}.signin.aws.amazon.com/console" in text


@pytest.mark.parametrize(
    ("tags", "name", "is_told"),
    [
        ((("email", "alice@acme.com"),), "alice", True),
        ((("email", "ALICE@ACME.COM"),), "alice", True),
        ((("email", "alice@evil.com"),), "alice", False),
        ((("email", "alice@acme.com.evil.com"),), "alice", False),
        ((("email", "alice@evil.com,bob@acme.com"),), "alice", False),
        ((("email", "alice@acme.com bob@acme.com"),), "alice", False),
        ((("email", "alice+1@acme.com"),), "alice", False),
        ((("email", "mallory%evil.com@acme.com"),), "alice", False),
        ((("email", "<!channel>@acme.com"),), "alice", False),
        ((("mail", "alice@acme.com"),), "alice", False),
        ((), "alice@acme.com", True),
        ((), "alice@evil.com", False),
        ((("email", "nobody"),), "alice@acme.com", False),
        ((("email", "U0ALICE"),), "alice", True),
        ((("email", "U0STRANGER"),), "alice", False),
        ((("email", "U0UNKNOWN"),), "alice", False),
    ],
)
def test_only_one_address_of_a_listed_domain_is_written_to(
    days: Days, tags: tuple[tuple[str, str], ...], name: str, *, is_told: bool
) -> None:
    days.messenger.people = {"U0ALICE": "alice@acme.com", "U0STRANGER": "mallory@evil.com"}
    users = days.aws.accounts[PAYMENTS].users
    users[name] = replace(users.pop("alice"), tags=tags, name=name)

    report = days.play(0, config=nudging())

    assert messages(report, name) == [("first", is_told)]
    assert {recipient for recipient, _ in days.messenger.sent} == ({"alice@acme.com"} if is_told else set())
    problems = {message.problem for message in user_of(report, name).messages}
    assert not [text for text in problems if text and re.search(r"@|\bU0", text)]


def test_users_of_one_address_are_in_one_message(days: Days) -> None:
    days.change(PAYMENTS, "alice", tags=MAIL)
    days.change(SEARCH, "carol", tags=MAIL)

    days.play(0, config=nudging())

    ((recipient, text),) = days.messenger.sent
    assert recipient == "alice@acme.com"
    assert "User alice" in text
    assert "User carol" in text


def test_no_more_than_the_limit_are_told_and_the_next_run_goes_on(people: Days) -> None:
    first = people.play(0, config=nudging(max_per_run=1))
    asked = len(people.messenger.asked)
    people.play(1, config=nudging(max_per_run=1))
    people.play(2, config=nudging(max_per_run=1))

    problems = [one.problem for name in ("alice", "carol") for one in user_of(first, name).messages if one.problem]
    assert problems == ["nudge.max_per_run is reached: told by the next run"]
    assert asked == 1
    assert sorted(kinds(people)) == ["alice", "carol"]


def test_message_that_fails_is_a_note_of_the_user_and_holds_nobody(people: Days) -> None:
    people.messenger.refuses = {"alice@acme.com"}

    reports = [people.play(day, config=nudging()) for day in (0, 7)]

    assert messages(reports[0]) == [("first", False)]
    assert user_of(reports[0]).messages[0].problem == "refused"
    assert outcomes(reports[1])["alice"] == "enforced"


def test_nobody_is_enforced_untold_where_telling_is_required(people: Days) -> None:
    config = nudging(required=True)
    people.messenger.refuses = {"alice@acme.com"}

    reports = [people.play(day, config=config) for day in (0, 7, 30)]
    people.messenger.refuses = set()
    later = [people.play(day, config=config) for day in (31, 37, 38)]

    assert [outcomes(report)["alice"] for report in reports] == ["in_grace", "held", "held"]
    assert [outcomes(report)["alice"] for report in later] == ["held", "in_grace", "enforced"]
    error = user_of(reports[1]).error
    assert error is not None
    assert error.code == "not_told"
    assert outcomes(reports[1])["carol"] == "enforced"


def test_days_of_a_required_notice_count_from_the_message_that_was_accepted(people: Days) -> None:
    config = nudging(required=True)
    people.messenger.refuses = {"alice@acme.com"}
    people.play(0, config=config)
    people.messenger.refuses = set()

    reports = [people.play(day, config=config) for day in (3, 9, 10)]

    assert [outcomes(report)["alice"] for report in reports] == ["in_grace", "in_grace", "enforced"]


def test_run_that_is_killed_tells_nobody_twice(people: Days) -> None:
    people.messenger.killed_after = 1
    with pytest.raises(KeyboardInterrupt):
        people.play(0, config=nudging())
    people.messenger.killed_after = None

    people.play(1, config=nudging())

    assert kinds(people) == ["alice"]


def test_user_whom_another_run_tells_at_the_same_time_is_told_once(people: Days) -> None:
    people.play(0, config=nudging(required=True))
    marks = {name: content for name, content in people.store.files.items() if name.startswith("nudges/")}
    for name in marks:
        people.store.delete(name)
    people.messenger = Overtaken(lambda: people.store.files.update(marks))

    people.play(0.1, config=nudging(required=True))

    assert people.messenger.sent == []


def test_plan_shows_who_would_be_told_and_tells_nobody(people: Days) -> None:
    people.change(SEARCH, "carol", tags=())

    report = people.play(0, "plan", nudging())

    assert user_of(report).messages == (MessageReport(kind="first", via="slack"),)
    (carol,) = user_of(report, "carol").messages
    assert carol.problem is not None
    assert people.messenger.sent == []


def test_narrowed_run_tells_nobody(people: Days) -> None:
    people.play(0, config=nudging(), targets=(PAYMENTS,))

    assert people.messenger.sent == []


def test_without_domains_nobody_is_told(people: Days) -> None:
    report = people.play(0, config=nudging(domains=[]))

    assert messages(report) == [("first", False)]
    assert people.messenger.sent == []


def test_run_of_new_accounts_tells_their_users(people: Days) -> None:
    people.play(0, config=nudging(), trigger=Trigger.ONBOARDING, targets=(PAYMENTS,))

    assert kinds(people) == ["alice"]


@pytest.mark.parametrize(
    ("config", "stop"),
    [({}, True), ({"limits": {"max_changes_per_run": 0}}, False)],
    ids=["stopped", "over_limit"],
)
def test_run_that_is_held_tells_who_is_in_grace_and_nobody_of_being_enforced(
    people: Days, config: dict[str, Any], *, stop: bool
) -> None:
    people.change(PAYMENTS, "alice", created_at=days_ago(30))
    people.change(SEARCH, "carol", created_at=days_ago(1))
    settings = {"enforcement": {"grace_period": "7d"}, "nudge": {"via": "slack", "domains": ["acme.com"]}}

    report = people.play(0, config=make_config(**settings | config), stop=stop)

    assert report.gate is not None
    assert messages(report) == []
    assert messages(report, "carol") == [("first", True)]


def test_run_that_a_person_declines_tells_nobody(people: Days) -> None:
    people.change(SEARCH, "carol", created_at=days_ago(1))
    people.answers = False
    settings = {"enforcement": {"grace_period": "7d"}, "nudge": {"via": "slack", "domains": ["acme.com"]}}

    report = people.play(0, config=make_config(**settings))

    assert report.gate is not None
    assert people.messenger.asked == []


def test_release_tells_nobody_also_not_whom_a_run_left_to_the_next(people: Days) -> None:
    people.play(0, config=nudging("0d", max_per_run=1))
    people.messenger.asked.clear()

    people.play(1, "release", nudging("0d"), user_names=frozenset({"nobody"}))

    assert people.messenger.asked == []


@pytest.mark.parametrize(
    ("denied", "codes", "problem"),
    [("list", ["users_not_told", "archive_failed"], None), ("create", [], "no access to nudges/")],
)
def test_without_marks_in_the_archive_nobody_is_told_and_the_run_goes_on(
    people: Days, denied: str, codes: list[str], problem: str | None
) -> None:
    people.store.denied = denied, "nudges/"

    report = people.play(0, config=nudging("0d"))

    assert people.messenger.sent == []
    assert outcomes(report)["alice"] == "enforced"
    assert [error.code for error in report.errors] == codes
    assert [one.problem for one in user_of(report).messages] == ([problem] if problem else [])


def test_where_telling_is_required_and_marks_cannot_be_written_nobody_is_enforced(people: Days) -> None:
    people.store.denied = "create", "nudges/"

    reports = [people.play(day, config=nudging(required=True)) for day in (0, 7)]

    assert [outcomes(report)["alice"] for report in reports] == ["in_grace", "held"]


def test_plan_tells_who_would_be_told_of_being_enforced(people: Days) -> None:
    report = people.play(0, "plan", nudging("0d"))

    assert user_of(report).messages == (MessageReport(kind="enforced", via="slack"),)
    assert people.messenger.asked == []


def test_who_is_enforced_over_the_limit_of_messages_is_told_by_the_next_run(people: Days) -> None:
    config = nudging("0d", max_per_run=1)

    reports = [people.play(day, config=config) for day in (0, 1, 2)]

    assert [outcomes(report)["carol"] for report in reports] == ["enforced", "already_enforced", "already_enforced"]
    assert sorted(kinds(people)) == ["alice", "carol"]


def test_failure_that_concerns_every_message_ends_the_round_and_the_next_run_tells_everybody(people: Days) -> None:
    people.messenger.is_down = True
    first = people.play(0, config=nudging())
    tried = len(people.messenger.asked)
    people.messenger.is_down = False

    people.play(1, config=nudging())

    assert tried == 1
    assert {one.problem for name in ("alice", "carol") for one in user_of(first, name).messages} == {
        "refused: told by the next run"
    }
    assert sorted(kinds(people)) == ["alice", "carol"]


def test_message_lists_so_many_users_and_the_next_run_the_others(days: Days) -> None:
    users = days.aws.accounts[PAYMENTS].users
    users.clear()
    users.update({f"user-{n:02}": make_user(name=f"user-{n:02}", id=f"AIDA{n:02}", tags=MAIL) for n in range(25)})

    days.play(0, config=nudging())
    days.play(1, config=nudging())

    counts = [text.count("Sign in at") for _, text in days.messenger.sent]
    assert counts == [MAX_LISTED, 25 - MAX_LISTED]


def test_person_with_two_addresses_gets_one_message_a_run(people: Days) -> None:
    people.messenger.people = {"U0ALICE": "alice@acme.com"}
    people.change(SEARCH, "carol", tags=(("email", "U0ALICE"),))

    people.play(0, config=nudging())
    assert kinds(people) == ["alice"]

    people.play(1, config=nudging())
    assert kinds(people) == ["alice", "alice"]


def test_account_with_many_addresses_leaves_room_for_the_others(days: Days) -> None:
    users = days.aws.accounts[PAYMENTS].users
    users.clear()
    for n in range(50):
        address = (("email", f"nobody-{n}@acme.com"),)
        users[f"user-{n:02}"] = make_user(name=f"user-{n:02}", id=f"AIDA{n:02}", tags=address)
    days.change(SEARCH, "carol", tags=(("email", "carol@acme.com"),))

    days.play(0, config=nudging(max_per_run=2))

    assert "carol" in kinds(days)


def test_new_user_is_told_once_and_of_the_day_on_which_grace_and_notice_are_over(people: Days) -> None:
    people.change(PAYMENTS, "alice", created_at=days_ago(1.5))
    config = make_config(
        enforcement={"grace_period": "3d", "notice": "10d"}, nudge={"via": "slack", "domains": ["acme.com"]}
    )

    reports = [people.play(day, config=config) for day in (0, 1, 2, 3)]

    assert [messages(report) for report in reports] == [[("first", True)], [], [], [("left-7", True)]]
    assert "from 12 March 2026, 12:00 UTC on" in people.messenger.sent[0][1]


def test_first_message_of_a_required_notice_names_the_day_that_counts_from_it(people: Days) -> None:
    config = nudging(required=True)
    people.messenger.refuses = {"alice@acme.com"}
    people.play(0, config=config)
    people.messenger.refuses = set()

    people.play(3, config=config)

    assert "from 12 March 2026, 12:00 UTC on" in dict(people.messenger.sent)["alice@acme.com"]
