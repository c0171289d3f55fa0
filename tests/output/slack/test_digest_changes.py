"""The digest tells what changed since the last run: counted at the top, by name where somebody has to know."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.model import Mode, Outcome, Status
from orchestrator.output.slack.limits import BUDGET, size_of_blocks
from orchestrator.output.slack.text import MAX_NAMES
from orchestrator.reports.report import ChangedAccount, ChangedUser, Changes, EnrolledUser
from tests.builders import NOW, days_ago
from tests.fake_slack import find_fault
from tests.output.slack.digest_samples import (
    HOSTILE,
    LINK,
    TEXT,
    assert_safe,
    held,
    line_with,
    make_account_report,
    make_failed,
    make_run,
    make_user_report,
    render,
    show,
    texts,
)

CLEAN = make_account_report(1, make_user_report("zoe"))


def make_changed(name: str = "ana", number: int = 1, **changes: Any) -> ChangedUser:
    values: dict[str, Any] = {"account_alias": f"acme-{number:05}", "account_name": f"Team {number}"}
    return ChangedUser(account_id=f"{number:012}", name=name, **(values | changes))


def make_enrolled(name: str = "ana", device: Any = "virtual", number: int = 1, **changes: Any) -> EnrolledUser:
    changed = make_changed(name, number, **changes)
    return EnrolledUser(**changed.model_dump(), device=device, enrolled_at=days_ago(0.5) if device else None)


def make_changes(**lists: Any) -> Changes:
    return Changes(since_run_id="run-0", since=days_ago(1), **lists)


GONE = ChangedAccount(id="000000000009", name="Team 9", alias=None)
ALL = make_changes(
    newly_without_mfa=(make_changed("bob"), make_changed("cem", 2), make_changed("dan", 2)),
    enrolled=(make_enrolled("eva"), make_enrolled("fay", "fido"), make_enrolled("gil", "fido", 2)),
    newly_enforced=(make_changed("bob"), make_changed("cem", 2)),
    enforcement_undone=(make_changed("hal"),),
    newly_exempt=(make_changed("ida"),),
    newly_released=(make_changed("jon", 2),),
    new_accounts=(ChangedAccount(id="000000000007", name="Team 7", alias="acme-00007"),),
    gone_accounts=(GONE, GONE.model_copy(update={"id": "000000000010"})),
)


def test_changes_are_counted_in_one_line_right_after_the_totals() -> None:
    lines = show(make_run(CLEAN, changes=ALL)).splitlines()

    assert lines[0] == "orgmfa apply: 1 enforcement undone by others, 3 users enrolled"
    assert lines[1].startswith("1 account inspected.")
    assert lines[3] == (
        "Since the run of 2026-03-01 12:00 UTC: 3 newly without MFA, 3 enrolled (1 virtual, 2 FIDO), 2 newly enforced, "
        "1 enforcement undone by others, 1 newly exempt or protected, 1 released, 1 new account, 2 accounts gone."
    )


def test_who_changed_is_named_by_account_what_is_alarming_first() -> None:
    shown = show(make_run(CLEAN, changes=ALL))

    order = [
        "Enforcement undone by others: 1 user in 1 account",
        "EnforceMFA was taken off, not by orgmfa release",
        "• acme-00001 (000000000001): hal",
        "Enrolled: 3 users in 2 accounts",
        "• acme-00001 (000000000001): eva (virtual, 2026-03-02 00:00 UTC), fay (FIDO, 2026-03-02 00:00 UTC)",
        "• acme-00002 (000000000002): gil (FIDO, 2026-03-02 00:00 UTC)",
        "Newly exempt or protected: 1 user in 1 account",
        "• acme-00001 (000000000001): ida",
        "Released: 1 user in 1 account",
        "• acme-00002 (000000000002): jon",
        "Newly without MFA: 3 users in 2 accounts",
        "• acme-00002 (000000000002): cem, dan",
        "• acme-00001 (000000000001): bob",
        "New accounts: 1",
        "acme-00007 (000000000007)",
        "Accounts gone: 2",
        "Team 9 (000000000009), Team 9 (000000000010)",
    ]
    found = [shown.index(words) for words in order]
    assert found == sorted(found)


def test_device_that_nobody_knows_is_said_to_be_unknown() -> None:
    shown = show(make_run(CLEAN, changes=make_changes(enrolled=(make_enrolled("eva", None),))))

    assert "1 enrolled (1 unknown device)" in shown
    assert "eva (unknown device)" in shown


@pytest.mark.parametrize(
    ("changes", "words"), [(make_changes(), "nothing changed"), (make_changes(new_accounts=(GONE,)), "1 new account")]
)
def test_all_clean_run_keeps_to_three_lines_and_tells_what_changed(changes: Changes, words: str) -> None:
    digest = render(make_run(CLEAN, changes=changes), link=LINK)

    assert not digest.has_findings
    assert len(digest.blocks) == 3
    assert f"Since the run of 2026-03-01 12:00 UTC: {words}." in texts(digest)[1]


def test_first_run_says_nothing_of_changes() -> None:
    assert "Since" not in show(make_run(CLEAN))


@pytest.mark.parametrize(
    ("changes", "has_findings"),
    [
        (make_changes(enrolled=(make_enrolled(),)), True),
        (make_changes(enforcement_undone=(make_changed(),)), True),
        (make_changes(newly_without_mfa=(make_changed(),)), True),
        (make_changes(new_accounts=(GONE,)), False),
        (make_changes(gone_accounts=(GONE,)), False),
        (make_changes(), False),
    ],
)
def test_new_device_and_undone_enforcement_are_findings_and_accounts_that_come_and_go_are_none(
    changes: Changes, *, has_findings: bool
) -> None:
    digest = render(make_run(CLEAN, changes=changes))

    assert digest.has_findings == has_findings
    assert ("all clean" in digest.text) != has_findings


def test_names_of_changed_users_are_capped_per_account_with_a_count() -> None:
    names = [f"user{number:02}" for number in range(12)]

    line = line_with(
        "user00", show(make_run(CLEAN, changes=make_changes(newly_without_mfa=tuple(map(make_changed, names)))))
    )

    assert line.endswith(f"{', '.join(names[:MAX_NAMES])} and 4 more")


def test_counts_leave_the_names_of_changed_users_out() -> None:
    report = make_run(
        make_account_report(1, make_user_report("bob", Outcome.IN_GRACE, open_since=days_ago(5))), changes=ALL
    )

    shown = show(report, users="counts") + render(report, users="counts").text

    assert not re.findall(r"\b(?:bob|cem|dan|eva|fay|gil|hal)\b", shown)
    assert "• acme-00002 (000000000002): 2 users" in shown
    assert "3 enrolled (1 virtual, 2 FIDO)" in shown


@pytest.mark.parametrize(
    ("outcome", "days", "words"),
    [
        (Outcome.PLANNED, 0.9, "ana"),
        (Outcome.PLANNED, 1, "ana (open 1 day)"),
        (Outcome.ALREADY_ENFORCED, 63.5, "ana (open 63 days)"),
        (Outcome.ALREADY_ENFORCED, 1200, "ana (open 1,200 days)"),
    ],
)
def test_user_is_shown_with_the_days_it_has_been_open(outcome: Outcome, days: float, words: str) -> None:
    user = make_user_report("ana", outcome, open_since=days_ago(days))

    assert line_with("ana", show(make_run(make_account_report(1, user)))).endswith(f": {words}")


def test_user_that_needs_a_hand_is_shown_with_its_days() -> None:
    user = held("ana").model_copy(update={"open_since": days_ago(40)})

    assert "• acme-00001 (000000000001): ana (open 40 days)" in show(make_run(make_account_report(1, user)))


@pytest.mark.parametrize(
    ("days", "words"), [(-7, "7 days left"), (-6.1, "7 days left"), (-1, "1 day left"), (-0.1, "1 day left")]
)
def test_user_in_grace_is_shown_with_the_days_left(days: float, words: str) -> None:
    user = make_user_report("ana", Outcome.IN_GRACE, open_since=days_ago(3), grace_ends=days_ago(days))

    assert f"in grace: ana ({words})" in show(make_run(make_account_report(1, user)))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([], None),
        ([0.5], None),
        ([3], "1 user has been without MFA for a day or more, for 3 days."),
        ([3, 0.5, 63], "2 users have been without MFA for a day or more, the longest for 63 days."),
    ],
)
def test_how_long_users_have_been_open_is_summed_up(days: list[float], words: str | None) -> None:
    users = [make_user_report(f"user{n}", Outcome.PLANNED, open_since=days_ago(d)) for n, d in enumerate(days)]
    for_good = make_user_report("svc", Outcome.EXEMPT, open_since=days_ago(400))

    shown = show(make_run(make_account_report(1, *users, for_good)))

    assert ("for a day or more" in shown) == (words is not None)
    assert (words or "") in shown


def test_account_that_keeps_failing_is_shown_with_the_runs() -> None:
    shown = show(make_run(make_failed(1, failing_runs=1), make_failed(2, failing_runs=3)))

    assert "acme-00001 (000000000001), acme-00002 (000000000002) (failing for 3 runs)" in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_in_changes_is_harmless(text: str) -> None:
    user = {"account_id": text, "account_alias": text, "account_name": text}
    account = ChangedAccount(id=text, name=text, alias=text)
    changes = Changes(
        since_run_id=text,
        since=NOW,
        newly_without_mfa=(make_changed(text), ChangedUser(**user, name=text)),
        enrolled=(EnrolledUser(**user, name=text, device="fido", enrolled_at=NOW),),
        enforcement_undone=(ChangedUser(**user, name=text),),
        new_accounts=(account,),
        gone_accounts=(account,),
    )

    assert_safe(render(make_run(make_account_report(), changes=changes)))


NUMBERS = st.sampled_from([0, 1, 3, 40, 2_000])


@given(
    counts=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), name=TEXT, per_account=st.sampled_from([1, 9, 500])
)
def test_changes_of_any_size_fit(counts: tuple[int, ...], name: str, per_account: int) -> None:
    def users(number: int) -> tuple[ChangedUser, ...]:
        return tuple(make_changed(f"{name}{index}", index // per_account) for index in range(number))

    undone, enrolled, without, new, gone = counts
    changes = make_changes(
        enforcement_undone=users(undone),
        enrolled=tuple(EnrolledUser(**u.model_dump(), device="fido", enrolled_at=NOW) for u in users(enrolled)),
        newly_without_mfa=users(without),
        new_accounts=(GONE,) * new,
        gone_accounts=(GONE,) * gone,
    )

    digest = render(make_run(make_account_report(), *map(make_failed, range(2, 60)), changes=changes), link=LINK)

    assert_safe(digest)
    for title, number in (("Enforcement undone", undone), ("Enrolled", enrolled), ("New accounts", new)):
        assert bool(number) == any(title in text for text in texts(digest))


def test_no_group_is_crowded_out_by_changes_at_their_longest() -> None:
    long = "&<>" * 400
    changed = tuple(make_changed(f"{long}{number}", number, account_alias=long) for number in range(600))
    enrolled = tuple(EnrolledUser(**user.model_dump(), device="hardware", enrolled_at=NOW) for user in changed)
    changes = make_changes(
        newly_without_mfa=changed,
        enrolled=enrolled,
        newly_enforced=changed,
        enforcement_undone=changed,
        new_accounts=(ChangedAccount(id=long, name=long, alias=long),) * 600,
        gone_accounts=(ChangedAccount(id=long, name=long, alias=long),) * 600,
    )
    failed = [make_failed(number, status=Status.FAILED, name=long, alias=long) for number in range(600, 1200)]

    digest = render(make_run(*failed, changes=changes, mode=Mode.APPLY), link=LINK, notes=(long,) * 50)

    assert find_fault({"text": digest.text, "blocks": list(digest.blocks)}) is None
    assert size_of_blocks(digest.blocks) <= BUDGET
    titles = " ".join(text.splitlines()[0] for text in texts(digest))
    for words in ("600 accounts failed", "Please note", "Enforcement undone", "Enrolled", "Newly", "New acc", "gone"):
        assert words in titles
    assert len(re.findall(r"and [\d,]+ more (?:account|note)s", " ".join(texts(digest)))) == 7
