"""The digest tells what changed since the last run: counted at the top, by name where somebody has to know."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.model import Mode, Outcome, Status
from orchestrator.reports.report import ChangedAccount, ChangedUser, Changes, EnrolledUser
from tests.builders import NOW, days_ago
from tests.output.slack.digest_samples import (
    HOSTILE,
    LINK,
    TEXT,
    assert_safe,
    cells,
    make_account_report,
    make_failed,
    make_run,
    make_user_report,
    render,
    show,
    show_thread,
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


def test_changes_are_counted_in_one_line_and_named_where_somebody_has_to_know() -> None:
    assert show(make_run(CLEAN, changes=ALL)).splitlines() == [
        "Apply: 1 enforcement undone by others · 3 new devices",
        "1 of 1 users have MFA or are enforced (100 %)",
        (
            "Since yesterday: 3 newly without MFA, 3 enrolled (1 virtual, 2 FIDO), 2 newly enforced, "
            "1 enforcement undone by others, 1 newly exempt or protected, 1 released, 1 new account, 2 accounts gone"
        ),
        "Enforcement undone by others: hal (acme-00001) - EnforceMFA was taken off, not by orgmfa release",
        "New device: eva (acme-00001, 2 Mar), fay (acme-00001, 2 Mar) and 1 more - ask if it was them",
        "Newly exempt or protected: ida (acme-00001) - a user can be renamed to a protected name",
        "Details: orgmfa report",
    ]


@pytest.mark.parametrize(
    ("changes", "words"), [(make_changes(), "nothing changed"), (make_changes(new_accounts=(GONE,)), "1 new account")]
)
def test_all_clean_run_tells_what_changed(changes: Changes, words: str) -> None:
    digest = render(make_run(CLEAN, changes=changes), link=LINK)

    assert not digest.has_findings
    assert texts(digest.blocks)[1].splitlines()[1:] == [f"Since yesterday: {words}"]


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


def test_counts_leave_the_names_of_changed_users_out() -> None:
    report = make_run(
        make_account_report(1, make_user_report("bob", Outcome.IN_GRACE, open_since=days_ago(5))), changes=ALL
    )

    shown = show(report, users="counts") + show_thread(report, users="counts") + render(report, users="counts").text

    assert not re.findall(r"\b(?:bob|cem|dan|eva|fay|gil|hal|ida|jon)\b", shown)
    assert "New device: 3 users - ask if it was them" in shown
    assert "3 enrolled (1 virtual, 2 FIDO)" in shown


@pytest.mark.parametrize(("days", "words"), [(0.9, "-"), (1, "1 day"), (63.5, "63 days"), (1200, "1,200 days")])
def test_account_is_shown_with_the_days_its_users_have_been_open(days: float, words: str) -> None:
    user = make_user_report("ana", Outcome.PLANNED, open_since=days_ago(days))

    [_, row] = cells(render(make_run(make_account_report(1, user))).thread[0].blocks)

    assert row[5] == words


@pytest.mark.parametrize(
    ("days", "words"), [(-7, "7 days left"), (-6.1, "7 days left"), (-1, "1 day left"), (-0.1, "1 day left")]
)
def test_user_in_grace_is_shown_with_the_days_left(days: float, words: str) -> None:
    user = make_user_report("ana", Outcome.IN_GRACE, open_since=days_ago(3), grace_ends=days_ago(days))

    assert f"in grace: ana ({words})" in show_thread(make_run(make_account_report(1, user)))


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

    shown = show_thread(make_run(make_account_report(1, *users, for_good)))

    assert ("for a day or more" in shown) == (words is not None)
    assert (words or "") in shown


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
    for title, number in (("Enforcement undone", undone), ("New device", enrolled)):
        assert bool(number) == any(title in text for text in texts(digest.blocks))


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

    assert_safe(digest)
    shown = "\n".join(texts(digest.blocks))
    for words in ("*600 accounts*", "Enforcement undone", "New device", "and 44 more remarks"):
        assert words in shown
