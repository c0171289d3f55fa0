"""The matrix of faults itself: each invariant is violated by a doctored run, and the seed alone decides what is played.

`make chaos` plays the matrix; here nothing is played.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.model import Mode, Outcome, PolicyChange
from tests.aws_server import AwsServer, Call
from tests.chaos import mutations
from tests.chaos.__main__ import repeat_command
from tests.chaos.book import Fate, Session
from tests.chaos.doctored import DOCTORED, Doctored
from tests.chaos.doctored_events import OF_EVENTS, of_events
from tests.chaos.invariants_of_ends import check_end
from tests.chaos.invariants_of_events import check_event_limits
from tests.chaos.invariants_of_releases import check_freed, check_released, check_releases
from tests.chaos.invariants_of_switches import check_lease
from tests.chaos.moto_iam import delete_group, replace_policy_text, widen_group
from tests.chaos.mutants import MUTATIONS
from tests.chaos.mutation import Mutation
from tests.chaos.perfect import RUN_ID, Case, make_case
from tests.chaos.playing import Played, judge
from tests.chaos.plays import ALL, plan_plays
from tests.chaos.table import BEGIN, END, make_table, put_between_marks
from tests.chaos.wire import Dice
from tests.chaos.world import OURS, POLICY, backend, build_world, policy_arn
from tests.fake_slack import Message

ROOT = Path(__file__).parents[1]


@pytest.fixture
def case() -> Case:
    return make_case()


def violations(case: Case) -> list[str]:
    return [str(violation) for violation in judge(case.evidence, case.book, case.world)]


def test_run_in_which_nothing_goes_wrong_violates_nothing(case: Case) -> None:
    assert violations(case) == []
    assert list(check_end(case.evidence, case.world)) == []
    assert list(check_lease(case.book)) == []


@pytest.mark.parametrize("doctored", [*DOCTORED, *OF_EVENTS], ids=lambda doctored: doctored.name)
def test_doctored_run_violates_the_invariant(case: Case, doctored: Doctored) -> None:
    doctored.doctor(case)

    found = violations(case)

    assert any(text.startswith(f"invariant {doctored.invariant}:") and doctored.words in text for text in found), found


def test_user_to_whom_another_run_wrote_at_that_moment_may_be_reported_as_enforced(case: Case) -> None:
    case.change_entries("AttachUserPolicy", lambda entry: replace(entry, status=0, fate=Fate.REFUSED))
    refused = violations(case)
    for entry in [entry for entry in case.book.entries if entry.action == "AttachUserPolicy"]:
        other = replace(entry, status=200, session=Session("run-2", entry.call.account_id, can_write=True))
        case.book.entries.append(replace(other, number=len(case.book.entries)))

    assert [text for text in refused if "nothing was written" in text]
    assert not [text for text in violations(case) if "nothing was written" in text]


def test_write_whose_answer_was_lost_may_be_reported_as_failed_and_must_not_be_left_out(case: Case) -> None:
    case.change_entries("AttachUserPolicy", lambda entry: replace(entry, fate=Fate.LOST))
    case.change_user(case.target, outcome=Outcome.FAILED)
    failed = violations(case)
    case.change_user(case.target, outcome=Outcome.EXEMPT)

    assert not [text for text in failed if "invariant 3" in text]
    assert [text for text in violations(case) if "its answer was lost, and the user is exempt" in text]


def test_run_of_iam_events_in_which_nothing_goes_wrong_violates_nothing(case: Case) -> None:
    of_events()(case)

    assert violations(case) == []
    assert list(check_event_limits([case.evidence], case.book, case.world)) == []


@pytest.mark.parametrize(
    ("limits", "messages", "words"),
    [
        ({"most_per_run": 1}, 0, "and the limit of a run is 1"),
        ({"most_per_account": 1}, 0, "and its share is 1"),
        ({}, 2, "sent 2 messages within a minute"),
    ],
)
def test_runs_of_iam_events_are_held_to_the_limits_of_a_day_together(
    case: Case, limits: dict[str, int], messages: int, words: str
) -> None:
    of_events(messages=(Message(None, "a"),) * messages)(case)
    for name, most in limits.items():
        setattr(case.world, name, most)

    assert [found for found in check_event_limits([case.evidence], case.book, case.world) if words in str(found)]


@pytest.mark.parametrize("is_event", [True, False])
def test_another_run_may_come_between_the_writes_of_events_and_not_of_a_daily_run(case: Case, is_event: bool) -> None:
    middle = max(entry.number for entry in case.book.entries if entry.changes_iam)
    other = replace(case.book.entries[middle], session=Session("run-2", "1", can_write=True))
    case.book.entries.insert(middle, other)
    case.number()

    found = list(check_lease(case.book, frozenset({RUN_ID if is_event else "run-2"})))

    assert [violation.invariant for violation in found] == ([] if is_event else [2])


def test_user_who_ends_otherwise_than_without_faults_violates_the_fourth(case: Case) -> None:
    backend(case.target.account_id).detach_user_policy(policy_arn(case.target.account_id), case.target.name)
    backend(case.target.account_id).add_user_to_group(POLICY, case.target.name)

    assert ["ends as group, not as user" in str(found) for found in check_end(case.evidence, case.world)] == [True]


@pytest.mark.parametrize("changes", [{"code": 1}, {"report": None}])
def test_run_after_the_fault_must_start_and_end_well(case: Case, changes: dict[str, Any]) -> None:
    again = replace(case.evidence, **changes)

    assert [found.invariant for found in check_end(again, case.world)] == [4]


def test_two_runs_that_write_at_once_violate_the_second(case: Case) -> None:
    middle = max(entry.number for entry in case.book.entries if entry.changes_iam)
    other = replace(case.book.entries[middle], session=Session("run-2", "1", can_write=True))
    case.book.entries.insert(middle, other)
    case.number()

    assert [found.invariant for found in check_lease(case.book)] == [2]


@pytest.mark.parametrize("last", [True, False])
def test_run_that_writes_while_a_release_does_violates_the_second(case: Case, last: bool) -> None:
    """A release that comes between two writes of a run does not."""
    run = [entry.number for entry in case.book.entries if entry.changes_iam]
    session = Session("run-2", "1", can_write=True, role="orgmfa-release")
    writes = [replace(case.book.entries[run[0]], session=session)] * 2
    case.book.entries.insert(run[-1], writes[0])
    case.book.entries.insert(run[-1] + (2 if last else 1), writes[1])
    case.number()

    assert [found.invariant for found in check_lease(case.book)] == ([2] if last else [])


@pytest.mark.parametrize(("is_late", "invariants"), [(True, [2]), (False, [])])
def test_user_who_is_enforced_after_a_release_violates_the_second(
    case: Case, is_late: bool, invariants: list[int]
) -> None:
    (attach,) = [
        entry
        for entry in case.book.entries
        if (entry.call.account_id, entry.user_name) == (case.target.account_id, case.target.name) and entry.changes_iam
    ]
    call = replace(attach.call, action="DetachUserPolicy")
    release = replace(attach, call=call, session=Session("run-2", "1", can_write=True, role="orgmfa-release"))
    case.book.entries.insert(attach.number + (0 if is_late else 1), release)
    case.number()
    case.change_user(case.target, outcome=Outcome.RELEASED)
    evidence = replace(case.evidence, mode=Mode.RELEASE, run_id="run-2")

    assert [found.invariant for found in check_freed(evidence, case.book)] == invariants


@pytest.mark.parametrize(
    ("action", "parameters", "words"),
    [
        ("DetachUserPolicy", {"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "takes off"),
        ("RemoveUserFromGroup", {"GroupName": "developers"}, "takes off"),
        ("AttachUserPolicy", {}, "is no write that releasing makes"),
        ("DetachUserPolicy", {"PolicyArn": POLICY}, "may not release"),
    ],
)
def test_release_takes_off_nothing_else(case: Case, action: str, parameters: dict[str, str], words: str) -> None:
    case.enter(action, case.target.account_id, can_write=True, UserName=case.target.name, **parameters)

    assert [found for found in check_releases(case.evidence, case.book) if words in str(found)]


def test_release_that_says_what_is_not_so_violates_the_third(case: Case) -> None:
    case.evidence = replace(case.evidence, mode=Mode.RELEASE)
    case.change_user(case.target, outcome=Outcome.RELEASED)

    found = [str(violation) for violation in check_releases(case.evidence, case.book)]

    assert any("reported as released, and is not" in text for text in found)


def test_whoever_is_still_enforced_after_a_release_or_again_is_told(case: Case) -> None:
    found = list(check_released(replace(case.evidence, code=1), case.evidence, case.book, case.world))

    assert {violation.invariant for violation in found} == {2, 4}


# -- policy and group, where the program owns them


VERSION = {"PolicyArn": policy_arn("{}"), "PolicyDocument": OURS, "SetAsDefault": "true"}


def change_policy(case: Case, action: str, **parameters: str) -> None:
    """Have the run make a change to policy or group in the account of its target."""
    account_id = case.target.account_id
    given = {name: value.replace("{}", account_id) for name, value in parameters.items() if value}
    case.enter(action, account_id, can_write=True, **given)


@pytest.fixture
def owner(case: Case) -> Case:
    case.world.owns_policy = True
    return case


def test_change_that_is_right_and_reported_violates_nothing(owner: Case) -> None:
    change_policy(owner, "CreatePolicyVersion", **VERSION)
    owner.book.end(RUN_ID)
    owner.change_account(owner.target, policy_changes=(PolicyChange.UPDATE_POLICY,))

    assert violations(owner) == []


@pytest.mark.parametrize(
    ("action", "parameters", "words"),
    [
        ("CreatePolicy", {"PolicyName": POLICY, "PolicyDocument": "{}"}, "with another text"),
        ("CreatePolicy", {"PolicyName": "Other", "PolicyDocument": OURS}, "of Other"),
        ("CreatePolicyVersion", VERSION | {"PolicyArn": "arn:aws:iam::aws:policy/Other"}, "of arn:aws:iam::aws"),
        ("CreatePolicyVersion", VERSION | {"SetAsDefault": ""}, "not made the default"),
        ("CreateGroup", {"GroupName": "admins"}, "of admins"),
        ("AttachGroupPolicy", {"GroupName": POLICY, "PolicyArn": policy_arn("{}")}, "members or policies"),
        ("DeletePolicyVersion", {"PolicyArn": "arn:aws:iam::1:policy/Other"}, "of arn:aws:iam::1:policy/Other"),
        ("DeletePolicy", {"PolicyArn": policy_arn("{}")}, "is no write that enforcing makes"),
    ],
)
def test_nothing_else_is_made_of_policy_and_group(
    owner: Case, action: str, parameters: dict[str, str], words: str
) -> None:
    widen_group(backend(owner.target.account_id))

    change_policy(owner, action, **parameters)

    assert [text for text in violations(owner) if words in text and text.startswith("invariant 2")]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [({"has_policy": False}, "the policy is somebody else's"), ({"is_excluded": True}, "not to be entered")],
)
def test_policy_is_changed_where_it_is_the_program_s_alone(owner: Case, spoil: dict[str, bool], words: str) -> None:
    (name,) = spoil
    setattr(owner.world.places[owner.target.account_id], name, spoil[name])

    change_policy(owner, "CreatePolicyVersion", **VERSION)

    assert [text for text in violations(owner) if words in text]


def test_policy_that_the_stackset_owns_is_not_changed(case: Case) -> None:
    change_policy(case, "CreatePolicyVersion", **VERSION)

    assert [text for text in violations(case) if "is no write that enforcing makes" in text]


def test_change_that_the_report_is_wrong_about_violates_the_third(owner: Case) -> None:
    change_policy(owner, "CreatePolicyVersion", **VERSION)
    owner.change_account(owner.target, policy_changes=(PolicyChange.CREATE_GROUP,))

    found = [text for text in violations(owner) if text.startswith("invariant 3")]

    assert [text for text in found if "made, and not in the report: update_policy" in text]
    assert [text for text in found if "in the report, and not made: create_group" in text]
    assert [text for text in found if "made after the run was over" in text]


def test_change_whose_answer_was_lost_may_be_missing_from_the_report(owner: Case) -> None:
    change_policy(owner, "CreatePolicyVersion", **VERSION)
    owner.change_entries("CreatePolicyVersion", lambda entry: replace(entry, fate=Fate.LOST))
    owner.book.end(RUN_ID)

    assert violations(owner) == []


@pytest.mark.parametrize(("spoil", "words"), [(replace_policy_text, "the policy"), (delete_group, "the group")])
def test_policy_and_group_end_as_the_program_makes_them(owner: Case, spoil: Any, words: str) -> None:
    person = next(person for person in owner.world.people() if person.kind.wanted == "group")
    spoil(backend(person.account_id))

    found = [str(violation) for violation in check_end(owner.evidence, owner.world)]

    assert [text for text in found if f"{words} is not as orgmfa makes it" in text]


# -- what the seed decides


def test_same_seed_plans_the_same_plays() -> None:
    assert plan_plays(500, 1) == plan_plays(500, 1)
    assert plan_plays(500, 1) != plan_plays(500, 2)


def test_long_matrix_plays_each_scenario_and_the_short_one_leaves_out_what_takes_long() -> None:
    assert {planned.number for planned in plan_plays(500, 1)} == set(range(len(ALL)))
    assert not any(ALL[planned.number].is_for_long for planned in plan_plays(30, 1))


def test_dice_fall_by_what_a_call_is_and_not_by_when_it_comes() -> None:
    first, second = (Call("iam", "ListMFADevices", "1", {"UserName": name}, "AKIA") for name in ("alice", "bob"))
    here, there = Dice("seed"), Dice("seed")

    one_order = [here.throw(call).random() for call in (first, second, first)]
    other_order = [there.throw(call).random() for call in (first, first, second)]

    assert one_order == [other_order[0], other_order[2], other_order[1]]
    assert Dice("another").throw(first).random() != one_order[0]


def test_same_seed_builds_the_same_organization() -> None:
    worlds = [build_world(AwsServer(), seed, with_cases=True) for seed in ("a", "a", "b")]

    first, again, other = (list(world.people()) for world in worlds)
    assert first == again
    assert first != other


# -- the table and the commands


PLAYS = [Played("clock skew", "1-0", 1, (), 0.1), Played("clock skew", "1-1", 2, ("invariant 5: x",), 0.1)]


def test_table_has_a_row_a_scenario_and_their_sum() -> None:
    assert make_table(PLAYS).splitlines()[2:] == ["| clock skew | 3 | 1 |", "| **all** | **3** | **1** |"]


def test_table_is_put_between_its_marks() -> None:
    assert put_between_marks(f"a\n{BEGIN}\nold\n{END}\nb", "new") == f"a\n{BEGIN}\nnew\n{END}\nb"
    with pytest.raises(ValueError, match="chaos: begin"):
        put_between_marks("a", "new")


def test_violation_comes_with_the_command_that_repeats_it() -> None:
    assert repeat_command(PLAYS[1]) == ".venv/bin/python -m tests.chaos --only 'clock skew' --play 1-1"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_text_that_a_mutation_breaks_is_there_once(mutation: Mutation) -> None:
    assert (ROOT / mutation.path).read_text(encoding="utf-8").count(mutation.before) == 1
    assert [scenario.name for scenario in ALL if mutation.scenario in scenario.name]


# -- what docs/reliability.md tells


def rows(begin: str, end: str) -> list[list[str]]:
    """Return the cells of a table of the document, without its head."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = [line for line in text.partition(begin)[2].partition(end)[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_document_tells_of_each_scenario_and_of_no_violation() -> None:
    *scenarios, total = rows(BEGIN, END)

    assert [name for name, _, _ in scenarios] == [scenario.name for scenario in ALL]
    assert {violations for _, _, violations in scenarios} == {"0"}
    assert int(total[1].strip("*")) >= 500


def test_document_tells_of_each_mutation_as_caught() -> None:
    found = rows(mutations.BEGIN, mutations.END)

    assert [what for _, what, _, _ in found] == [f"{mutation.name} (`{mutation.path}`)" for mutation in MUTATIONS]
    assert {caught for _, _, _, caught in found} == {"yes"}
