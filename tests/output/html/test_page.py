import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage, Status, Verdict, Via
from orchestrator.domain.outcomes import OutcomeGroup, outcomes_of
from orchestrator.output.html import MAX_RUNS, TrendPoint, render_page, trend_point
from orchestrator.output.html.accounts import MAX_ACCOUNTS, MAX_USERS
from orchestrator.output.html.summary import MAX_NAMED
from orchestrator.output.html.trend import fit_axis
from orchestrator.output.ordering import account_order, user_order
from orchestrator.output.story import tell_story
from orchestrator.output.words import reason_of, visible
from orchestrator.reports.report import (
    AccountReport,
    ChangedUser,
    Changes,
    ProblemReport,
    ReasonReport,
    RootUserReport,
    RunReport,
    UserReport,
)
from tests.browser.samples import (
    HOSTILE,
    PROBLEM,
    changed,
    make_account_report,
    make_failed_account,
    make_hostile_report,
    make_run_report,
    make_small_report,
    make_trend,
    make_user_report,
)
from tests.builders import NOW, days_ago

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROOT_OPEN = RootUserReport(has_credentials=True, has_mfa=False)


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, the text of each kind, all that can be read of it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in {"meta", "link", "input", "wbr"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop(), "elements are nested as they are closed"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    @property
    def readable(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script"][0])


def page_of(report: RunReport, trend: Sequence[TrendPoint] = (), *, keys_stop: bool = True) -> Page:
    return Page("".join(render_page(report, trend=trend, keys_stop=keys_stop)))


SMALL = make_small_report()
SMALL_PAGE = page_of(SMALL, make_trend(30))
EMPTY_PAGE = page_of(make_run_report())


# -- the sentence ----------------------------------------------------------------------------------------------------


def users_of(outcome: Outcome, count: int, **changes: Any) -> list[UserReport]:
    return [make_user_report(f"{outcome}-{index}", outcome, **changes) for index in range(count)]


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (SMALL, "5 accounts, 3 users without MFA, 1 enforced today, 1 user to fix, 1 account failed"),
        (make_run_report(), "0 accounts, 0 users without MFA"),
        (make_run_report(make_account_report("1", *users_of(Outcome.NONE, 3))), "1 account, every user has MFA"),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.NONE, 3)), make_failed_account()),
            "2 accounts, 0 users without MFA, 1 account failed",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.NONE, 3)), complete=False),
            "1 account, 0 users without MFA",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.PLANNED, 17)), mode=Mode.PLAN),
            "1 account, 17 users without MFA, 17 would be enforced",
        ),
        (
            make_run_report(
                make_account_report("1", *users_of(Outcome.ENFORCED, 1200), *users_of(Outcome.PLANNED, 1)),
                make_failed_account(status=Status.NOT_REACHED),
            ),
            "2 accounts, 1,201 users without MFA, 1,200 enforced today, 1 not yet enforced, 1 account not reached",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.RELEASED, 2)), mode=Mode.RELEASE),
            "1 account, 2 users without MFA, 2 released today",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.NONE, 2, verdict=Verdict.UNKNOWN))),
            "1 account, 0 users without MFA, 2 users to fix",
        ),
    ],
)
def test_sentence_says_what_a_run_came_to(report: RunReport, sentence: str) -> None:
    page = page_of(report)

    assert ", ".join(tell_story(report, keys_stop=True).sentence) == sentence
    assert page.texts["h1"] == [sentence]
    assert page.texts["title"][0].startswith(sentence)


def test_head_tells_which_run_of_which_organization_it_was() -> None:
    for words in ("orgmfa apply", "o-exampleorg1", "2 March 2026, 12:00 UTC", "run-1", "the schedule", "2 minutes 5 s"):
        assert words in SMALL_PAGE.readable


def test_plan_says_that_nothing_was_written() -> None:
    assert "nothing was written" in page_of(make_run_report(mode=Mode.PLAN)).readable
    assert "nothing was written" not in SMALL_PAGE.readable


# -- coverage and notices --------------------------------------------------------------------------------------------


def test_coverage_counts_accounts_that_could_be_entered_and_users_with_mfa_or_enforced() -> None:
    assert [meter["value"] for meter in SMALL_PAGE.all("meter")] == ["3", "2", "3"]
    assert [meter["max"] for meter in SMALL_PAGE.all("meter")] == ["4", "5", "5"]
    assert "1 enforced, 1 held, 1 exempt" in SMALL_PAGE.readable


def test_nearly_all_is_never_said_to_be_all() -> None:
    users = [*users_of(Outcome.NONE, 1999), *users_of(Outcome.HELD, 1)]

    text = page_of(make_run_report(make_account_report("1", *users))).readable

    assert "99.9 % 1,999 of 2,000" in text.replace("%1", "% 1")


def test_nothing_to_cover_is_no_division_by_zero() -> None:
    assert page_of(make_run_report()).all("meter") == []


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (make_run_report(complete=False), "could not be listed to the end"),
        (make_run_report(errors=(PROBLEM,)), "Error assuming the role (AccessDenied): not authorized Try: Check the"),
        (make_run_report(errors=(PROBLEM,) * 25), "5 more errors of the run."),
        (make_run_report(make_account_report(root_user=ROOT_OPEN)), "with a password or keys: Payments"),
        (
            make_run_report(*(make_account_report(str(n), root_user=ROOT_OPEN, name=f"A{n}") for n in range(8))),
            "A0, A1, A2, A3, A4 and 3 more",
        ),
        (
            make_run_report(make_account_report("1", *users_of(Outcome.ENFORCED, 2, active_access_keys=2))),
            "Access keys that stop working without an MFA session: 4.",
        ),
        (
            make_run_report(
                make_account_report("1", *users_of(Outcome.PLANNED, 1, active_access_keys=None)), mode=Mode.PLAN
            ),
            "would stop working without an MFA session: 0, and those of 1 user that could not be read.",
        ),
    ],
)
def test_notice_is_given(report: RunReport, words: str) -> None:
    assert words in page_of(report).readable


@pytest.mark.parametrize(
    ("report", "keys_stop"),
    [
        (make_run_report(make_account_report("1", *users_of(Outcome.ENFORCED, 2, active_access_keys=2))), False),
        (make_run_report(make_account_report("1", *users_of(Outcome.EXEMPT, 2, active_access_keys=2))), True),
        (make_run_report(make_account_report("1", *users_of(Outcome.ENFORCED, 2))), True),
        (
            make_run_report(
                make_account_report("1", *users_of(Outcome.RELEASED, 2, active_access_keys=1)), mode=Mode.RELEASE
            ),
            True,
        ),
    ],
)
def test_no_notice_where_there_is_nothing_to_notice(report: RunReport, keys_stop: bool) -> None:
    page = page_of(report, keys_stop=keys_stop)

    assert "notices" not in {attributes.get("class") for attributes in page.all("ul")}


# -- changes ---------------------------------------------------------------------------------------------------------


def test_changes_name_users_with_their_accounts_and_devices_with_their_dates() -> None:
    for words in (
        "2 March 2026, 12:00 UTC",
        "Newly without MFA 1",
        "bob in acme-payments 111122223333",
        "Enforcement undone by others 1",
        "alice in acme-payments 111122223333: authenticator app, 2 March 2026",
        "New accounts 1",
        "Clean 333344445555",
    ):
        assert words in SMALL_PAGE.readable
    assert "Accounts gone" not in SMALL_PAGE.readable


def test_device_that_could_not_be_read_is_said_to_be_unknown() -> None:
    values = changed("alice", make_account_report()) | {"device": None, "enrolled_at": None}
    changes = Changes.model_validate({"since_run_id": "run-0", "since": days_ago(1), "enrolled": [values]})

    assert "kind of device unknown, date unknown" in page_of(make_run_report(changes=changes)).readable


@pytest.mark.parametrize("more", [0, 1, 1200])
def test_long_list_of_changes_is_cut_and_counted(more: int) -> None:
    users = [ChangedUser(**changed(f"user-{index}", make_account_report())) for index in range(MAX_NAMED + more)]
    changes = Changes(since_run_id="run-0", since=days_ago(1), newly_enforced=tuple(users))

    text = page_of(make_run_report(changes=changes)).readable

    assert text.count("user-") == MAX_NAMED
    assert (f"and {more:,} more" in text) == bool(more)


@pytest.mark.parametrize(
    ("changes", "words"),
    [(None, "no earlier run to compare"), (Changes(since_run_id="run-0", since=days_ago(1)), "Nothing changed.")],
)
def test_no_change_is_said(changes: Changes | None, words: str) -> None:
    assert words in page_of(make_run_report(changes=changes)).readable


# -- trend -----------------------------------------------------------------------------------------------------------


def test_trend_point_counts_all_who_are_enforced_and_all_with_mfa() -> None:
    users = [*users_of(Outcome.ENFORCED, 2), *users_of(Outcome.ALREADY_ENFORCED, 3), *users_of(Outcome.NONE, 4)]

    point = trend_point(make_run_report(make_account_report("1", *users), make_failed_account()))

    assert point == TrendPoint("run-1", NOW, users_without_mfa=5, enforced=5, enrolled=4, accounts_failed=1)


def test_trend_is_drawn_and_told_in_words_and_numbers() -> None:
    charts = SMALL_PAGE.all("svg")

    assert len(charts) == 3
    assert charts[0]["aria-label"] == (
        "Users without MFA: 40 on 31 January 2026, 3 on 2 March 2026; between 3 and 40 in 31 runs."
    )
    assert "The numbers of these 31 runs" in SMALL_PAGE.readable
    assert "1 March 2026, 12:00 UTC31640" in SMALL_PAGE.readable


def test_trend_ends_with_this_run_and_shows_it_once_whatever_the_order() -> None:
    earlier = make_trend(3)
    trend = [earlier[1], trend_point(SMALL), earlier[2], earlier[0]]

    assert "The numbers of these 4 runs" in page_of(SMALL, trend).readable
    assert page_of(SMALL, trend).source == page_of(SMALL, earlier).source


def test_trend_of_an_older_run_ends_with_it() -> None:
    later = TrendPoint("later", NOW + timedelta(days=1), 1, 1, 1, 1)

    assert page_of(SMALL, [later, *make_trend(3)]).source == page_of(SMALL, make_trend(3)).source


@pytest.mark.parametrize("change", [{"narrowed": True}, {"complete": False}])
def test_trend_leaves_out_this_run_where_it_saw_a_part_alone(change: dict[str, Any]) -> None:
    report = SMALL.model_copy(update=change)

    assert "The numbers of these 3 runs" in page_of(report, make_trend(3)).readable
    assert ("Only some accounts were asked for." in page_of(report).readable) == report.narrowed


def test_trend_shows_the_newest_runs_and_no_more() -> None:
    page = page_of(SMALL, make_trend(MAX_RUNS + 30))

    assert f"The numbers of these {MAX_RUNS} runs" in page.readable
    assert "2 March 2026" in str(page.all("svg")[0]["aria-label"])


def test_trend_of_one_run_is_none_yet() -> None:
    page = page_of(SMALL)

    assert "begins with the second run" in page.readable
    assert page.all("svg") == []


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0, 0], (0, 1)),
        ([0, 4], (0, 1)),
        ([5, 0], (0, 2)),
        ([41, 12], (0, 20)),
        ([198_000, 0], (0, 50_000)),
        ([1000, 1010], (1000, 5)),
        ([999, 1007], (995, 5)),
        ([7, 7], (7, 1)),
    ],
)
def test_axis_has_round_steps_and_starts_at_zero_unless_little_changes(
    values: list[int], scale: tuple[int, int]
) -> None:
    assert fit_axis(values) == scale


@given(st.lists(st.integers(0, 300_000), min_size=2, max_size=100), st.booleans())
@example([0, 0], False)
@example([7, 7], True)
def test_axis_of_a_trend_holds_every_value(values: list[int], at_once: bool) -> None:
    step = timedelta(0) if at_once else timedelta(hours=7)
    trend = [TrendPoint(f"r{i}", NOW - step * (len(values) - i), value, 0, 0, 0) for i, value in enumerate(values)]

    page = page_of(make_run_report(), trend)

    chart = re.findall(r"<svg.*?</svg>", page.source)[0]
    axis, line = chart.split('class="axis left"')[1].split('class="series lines"')
    labels = sorted(int(text.replace(",", "")) for text in re.findall(r">([\d,]+)</text>", axis))
    grid = [float(place) for place in re.findall(r'y1="([\d.]+)"', axis)]
    heights = [float(place) for place in re.findall(r"[ML] [\d.]+ ([\d.]+)", line)]
    shown = [*values[-(MAX_RUNS - 1) :], 0]
    assert labels[0] == 0
    assert labels[-1] >= max(shown)
    assert len(labels) == len(set(labels)) == 5
    assert len(heights) == len(shown)
    assert min(grid) <= min(heights) <= max(heights) <= max(grid)


# -- accounts --------------------------------------------------------------------------------------------------------


def names_in_order(report: RunReport) -> list[str]:
    return [name for _, name, *_ in page_of(report).data["accounts"]]


def test_accounts_stand_worst_first_whatever_their_order() -> None:
    accounts = [
        make_account_report("01", name="skipped", status=Status.SKIPPED),
        make_account_report("02", name="empty"),
        make_account_report("03", *users_of(Outcome.NONE, 3), name="clean"),
        make_account_report("04", *users_of(Outcome.ENFORCED, 3), name="enforced"),
        make_account_report("05", *users_of(Outcome.EXEMPT, 2), name="open"),
        make_account_report("06", *users_of(Outcome.EXEMPT, 3), name="more open"),
        make_account_report("07", name="root", root_user=ROOT_OPEN),
        make_account_report("08", *users_of(Outcome.HELD, 1), name="held"),
        make_account_report("09", *users_of(Outcome.NONE, 2, verdict=Verdict.UNKNOWN), name="unknown"),
        make_account_report("10", name="not reached", status=Status.NOT_REACHED),
        make_failed_account("12", name="failed b"),
        make_failed_account("11", name="Failed A"),
    ]
    worst_first = [
        "Failed A", "failed b", "not reached", "unknown", "held", "root", "more open", "open", "enforced", "clean",
        "empty", "skipped",
    ]  # fmt: skip

    assert names_in_order(make_run_report(*accounts)) == worst_first
    assert names_in_order(make_run_report(*reversed(accounts))) == worst_first


def test_users_stand_worst_first() -> None:
    users = [
        make_user_report("d"),
        make_user_report("c", Outcome.EXEMPT),
        make_user_report("b", Outcome.HELD),
        make_user_report("a", verdict=Verdict.UNKNOWN),
        make_user_report("B", Outcome.EXEMPT),
    ]

    data = page_of(make_run_report(make_account_report("1", *users))).data

    assert [name for name, *_ in data["accounts"][0][9]] == ["b", "a", "B", "c", "d"]


def test_list_without_a_script_tells_what_a_person_needs() -> None:
    for words in (
        "Legacy444455556666failed",
        "failed assuming the role (AccessDenied): not authorizedTry: Check the StackSet. Failing for 3 runs.",
        "acme-payments111122223333Root/Workloads/Productioninspected321 held1 enforced40 d",
        "bob: without MFA, held, for 12 days (an access key was used yesterday (active_key))",
        "carol: without MFA, enforced, for 40 days",
        "gina: without MFA, exempt, for 12 days (build robots)",
        "Root user without MFA",
        "Closed555566667777Root/Suspendedskippedsuspended",
    ):
        assert words in SMALL_PAGE.readable
    assert "hal" not in SMALL_PAGE.readable.split()


@pytest.mark.parametrize("more", [0, 1, 60])
def test_list_without_a_script_is_cut_and_says_so(more: int) -> None:
    accounts = [make_failed_account(f"{n:012}", name=f"acct-{n}") for n in range(MAX_ACCOUNTS + more)]

    text = page_of(make_run_report(*accounts)).readable

    assert text.count("acct-") == MAX_ACCOUNTS
    assert ("a browser that runs the script of this page lists all" in text) == bool(more)


def test_users_that_were_not_read_are_named_with_the_days_they_have_been_open() -> None:
    unread = {"zoe": days_ago(30), "yan": days_ago(1)}
    many = {f"user-{index:03}": days_ago(1) for index in range(MAX_USERS + 1)}
    report = make_run_report(make_failed_account(unread_open_since=unread), make_failed_account(unread_open_since=many))

    text = page_of(report).readable

    assert "Without MFA when last read: yan (for 1 day), zoe (for 30 days)" in text
    assert "user-049 (for 1 day), and 1 more" in text


@pytest.mark.parametrize("more", [0, 1, 60])
def test_users_of_an_account_are_cut_without_a_script_and_counted(more: int) -> None:
    text = page_of(make_run_report(make_account_report("1", *users_of(Outcome.EXEMPT, MAX_USERS + more)))).readable

    assert text.count("exempt-") == MAX_USERS
    assert (f"and {more:,} more" in text) == bool(more)


def test_account_that_was_not_read_is_not_said_to_have_no_users() -> None:
    rows = page_of(make_run_report(make_failed_account(), make_account_report("1"))).source.split(
        '<tr class="account">'
    )

    assert 'data-label="Users"></td>' in rows[1]
    assert 'data-label="Without MFA"></td>' in rows[1]
    assert 'data-label="Users">0</td>' in rows[2]


def test_run_without_accounts_says_so() -> None:
    assert "No account was listed." in page_of(make_run_report()).readable


def test_ou_has_a_column_of_its_own_where_it_is_known() -> None:
    known, unknown = page_of(make_run_report(make_account_report(ou="Root/A & B"))), page_of(make_run_report())

    assert "Root/<wbr>A &amp; B</bdi></td>" in known.source
    assert [head.get("data-key") for head in known.all("th")][:2] == ["title", "ou"]
    assert "ou" not in [head.get("data-key") for head in unknown.all("th")]
    assert unknown.all("td")[0]["colspan"] == "6"


# -- the data --------------------------------------------------------------------------------------------------------

ORDER = [Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.COMPLIANT]
STATUSES = [Status.FAILED, Status.NOT_REACHED, Status.INSPECTED, Status.SKIPPED]


def test_script_finds_statuses_verdicts_and_the_last_outcome_where_it_expects_them() -> None:
    data = SMALL_PAGE.data

    assert [label for label, _ in data["statuses"]] == ["failed", "not reached", "inspected", "skipped"]
    assert [label for label, _ in data["verdicts"]] == ["without MFA", "MFA unknown", "with MFA"]
    assert data["outcomes"][-1][0] == "nothing to do"
    assert {label for label, _, needs_hand in data["outcomes"] if needs_hand} == {"failed", "held", "over quota"}


@pytest.mark.parametrize("mode", list(Mode))
def test_every_outcome_has_a_name_of_its_own(mode: Mode) -> None:
    labels = [label for label, *_ in page_of(make_run_report(mode=mode)).data["outcomes"]]

    assert len(labels) == len(set(labels)) == len(Outcome)
    assert ("still enforced" in labels) == (mode is Mode.RELEASE)


TEXTS = st.text(max_size=12) | st.sampled_from(HOSTILE)
REASONS = st.builds(ReasonReport, code=TEXTS, message=TEXTS)
MOMENTS = st.integers(0, 900).map(days_ago)
USERS = st.builds(
    UserReport,
    name=TEXTS,
    arn=TEXTS,
    verdict=st.sampled_from(Verdict),
    console_password=st.none() | st.booleans(),
    active_access_keys=st.none() | st.integers(0, 2),
    keys_last_used=st.none() | MOMENTS,
    outcome=st.sampled_from(Outcome),
    via=st.none() | st.sampled_from(Via),
    error=st.none() | REASONS,
    reason=st.none() | TEXTS,
    open_since=st.none() | MOMENTS,
    mfa_device=st.sampled_from([None, "virtual", "fido", "hardware"]),
    mfa_enrolled_at=st.none() | MOMENTS,
)
PROBLEMS = st.builds(ProblemReport, stage=st.sampled_from(Stage), code=TEXTS, message=TEXTS, remedy=TEXTS)
ACCOUNTS = st.builds(
    make_account_report,
    TEXTS,
    name=TEXTS,
    alias=st.none() | TEXTS,
    ou=st.none() | TEXTS,
    status=st.sampled_from(Status),
    error=st.none() | PROBLEMS,
    failing_runs=st.integers(0, 9),
    policy_changes=st.sampled_from([(), (PolicyChange.CREATE_POLICY,)]),
    unread_open_since=st.sampled_from([{}, {"zoe": days_ago(30)}]),
)


@given(st.lists(ACCOUNTS.flatmap(lambda account: st.lists(USERS, max_size=4).map(lambda users: (account, users)))))
def test_script_reads_every_account_and_user_as_reported(drawn: list[tuple[AccountReport, list[UserReport]]]) -> None:
    accounts = [account.model_copy(update={"users": tuple(users)}) for account, users in drawn]

    report = make_run_report(*accounts)

    data = page_of(report).data

    assert len(data["accounts"]) == len(accounts)
    for account, written in zip(report.accounts.sorted(account_order), data["accounts"], strict=True):
        id_, name, alias, ou, status, failing, is_root_open, changes, error, users, unread = written
        said = account.error and [account.error.code, account.error.message, account.error.remedy]
        assert [id_, name, alias] == [visible(text) for text in (account.id, account.name, account.alias or "")]
        assert data["texts"][ou] == visible(account.ou or "")
        assert [STATUSES[status], failing, is_root_open] == [account.status, account.failing_runs, 0]
        assert data["texts"][changes] == ", ".join(account.policy_changes).replace("_", " ")
        assert [data["texts"][index] for index in error or []][1:] == [visible(text) for text in said or []]
        assert dict(unread) == {"zoe": 30} if account.unread_open_since else unread == []
        for user, values in zip(sorted(account.users, key=user_order), users, strict=True):
            assert_user_is(user, values, data)


def assert_user_is(user: UserReport, values: list[Any], data: Any) -> None:
    values = values + [None] * (11 - len(values))
    name, verdict, outcome, via, console, keys, used, days, reason, device, enrolled = values
    assert name == visible(user.name)
    assert ORDER[verdict] is user.verdict
    assert data["outcomes"][outcome][2] == (user.outcome in outcomes_of(OutcomeGroup.TO_FIX))
    assert data["vias"][via] == (user.via or "")
    assert (console if console is None else bool(console)) is user.console_password
    assert keys == user.active_access_keys
    assert used == (user.keys_last_used and (user.keys_last_used - EPOCH).days)
    assert days == (user.open_since and (NOW - user.open_since).days)
    assert data["texts"][reason or 0] == visible(reason_of(user))
    assert ["", "authenticator app", "passkey or security key", "hardware token"].index(
        data["devices"][device or 0]
    ) == [None, "virtual", "fido", "hardware"].index(user.mfa_device)
    assert enrolled == (user.mfa_enrolled_at and (user.mfa_enrolled_at - EPOCH).days)


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (make_user_report(), ""),
        (make_user_report(reason="build robots"), "build robots"),
        (make_user_report("bob", Outcome.HELD, error=ReasonReport(code="stopped", message="why")), "why (stopped)"),
        (make_user_report("bob", Outcome.HELD, error=ReasonReport(code="held", message="why")), "why"),
        (make_user_report("bob", Outcome.HELD, error=ReasonReport(code="stopped", message="")), "(stopped)"),
    ],
)
def test_reason_is_said_with_its_code_unless_the_outcome_says_it(user: UserReport, reason: str) -> None:
    assert reason_of(user) == reason


def test_messages_that_many_share_are_written_once() -> None:
    report = make_run_report(*(make_failed_account(str(index)) for index in range(300)))

    texts = page_of(report).data["texts"]

    assert texts == ["", "assuming the role", "AccessDenied", "not authorized", "Check the StackSet."]


def test_user_takes_few_bytes() -> None:
    users = [make_user_report(f"user-{index}") for index in range(1000)]

    assert len(json.dumps(page_of(make_run_report(make_account_report("1", *users))).data)) < 50_000


def test_page_is_made_piece_by_piece() -> None:
    accounts = [make_account_report(str(index), *users_of(Outcome.EXEMPT, 20)) for index in range(300)]

    pieces = list(render_page(make_run_report(*accounts), trend=[], keys_stop=True))

    assert len(pieces) > len(accounts)
    assert max(map(len, pieces[1:-1])) < 2_000


# -- hostile texts, and what the page may do -------------------------------------------------------------------------

HOSTILE_PAGE = page_of(make_hostile_report(), make_trend(3))


def test_foreign_text_adds_no_element_and_no_attribute() -> None:
    names = {tag for tag, _ in HOSTILE_PAGE.elements}
    attributes = {name for _, given in HOSTILE_PAGE.elements for name in given}

    assert [attributes.get("id") for attributes in HOSTILE_PAGE.all("script")] == ["data", None]
    assert names <= {tag for tag, _ in SMALL_PAGE.elements}
    assert not {name for name in attributes if name.startswith("on")}
    assert not {"src", "style", "action"} & attributes


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_shown_as_it_is(text: str) -> None:
    shown = " ".join(visible(text).split())

    assert HOSTILE_PAGE.readable.count(shown) >= 5
    assert visible(text) in [account[1] for account in HOSTILE_PAGE.data["accounts"]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (" Zürich 東京 ", " Zürich 東京 "),
        ("a\tb\nc", "a b c"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}b", "a\\u202eb"),
        ("a\N{NULL}b", "a\\x00b"),
        ("a\N{LINE SEPARATOR}b", "a b"),
        ("a\ud800b", "a\\ud800b"),
        ("a\N{ZERO WIDTH SPACE}b", "a\\u200bb"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(text=st.text(), place=st.sampled_from(["run_id", "organization_id"]))
def test_text_that_is_put_in_is_shown_and_nothing_else(text: str, place: str) -> None:
    page = page_of(make_run_report(**{place: text}))

    assert [tag for tag, _ in page.elements] == [tag for tag, _ in EMPTY_PAGE.elements]
    assert visible(text) in "".join(page.words)


def test_text_is_not_escaped_twice() -> None:
    page = page_of(make_run_report(make_account_report(name="a & <b>", ou="Root/<i> & 'x'")))

    assert "<bdi>a &amp; &lt;b&gt;</bdi>" in page.source
    assert "Root/<wbr>&lt;i&gt; &amp; &#39;x&#39;</bdi>" in page.source


@given(st.text(alphabet=st.sampled_from('<>/!-script\N{LINE SEPARATOR}\\"&'), max_size=30))
def test_no_name_ends_the_data_early(name: str) -> None:
    page = page_of(make_run_report(make_account_report("1", make_user_report(name), name=name)))

    assert len(page.all("script")) == 2
    assert page.texts["script"][0].isascii()
    assert "<" not in page.texts["script"][0]
    assert page.data["accounts"][0][9][0][0] == visible(name)


def test_policy_lets_nothing_run_but_this_script_and_load_nothing() -> None:
    rules = dict(rule.split(" ", 1) for rule in str(SMALL_PAGE.all("meta")[1]["content"]).split("; "))
    style, script = SMALL_PAGE.texts["style"][0], SMALL_PAGE.texts["script"][1]

    assert SMALL_PAGE.all("meta")[1]["http-equiv"] == "Content-Security-Policy"
    assert rules == {
        "default-src": "'none'",
        "style-src": f"'{digest(style)}'",
        "script-src": f"'{digest(script)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }


def digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def test_policy_stands_before_anything_that_it_governs() -> None:
    tags = [tag for tag, _ in HOSTILE_PAGE.elements]

    assert tags[:4] == ["html", "head", "meta", "meta"]


def test_nothing_comes_from_anywhere_else() -> None:
    addresses = {str(attributes["href"]) for _, attributes in SMALL_PAGE.elements if "href" in attributes}
    urls = set(re.findall(r"\bhttps?:[^\s\"'<>]*", SMALL_PAGE.source))

    assert addresses == {"data:,", "#accounts"}
    assert urls == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\(|@import|@font-face", SMALL_PAGE.texts["style"][0])


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest",
             "import(", "localStorage", "cookie", ".style", "setTimeout"]
)  # fmt: skip
def test_script_does_nothing_that_the_page_is_not_to_do(word: str) -> None:
    assert word not in SMALL_PAGE.texts["script"][1]


@pytest.mark.parametrize("name", ["page.html", "page.css", "page.js"])
def test_what_lies_beside_the_module_has_line_ends_that_keep_its_hash(name: str) -> None:
    assert b"\r" not in resources.files("orchestrator.output.html").joinpath(name).read_bytes()


def test_every_control_has_a_name() -> None:
    labels = len(SMALL_PAGE.all("label"))

    assert labels == len(SMALL_PAGE.all("input")) + len(SMALL_PAGE.all("select")) == 5
    assert all(attributes.get("aria-label") for attributes in SMALL_PAGE.all("meter"))
    assert all(attributes.get("scope") for attributes in SMALL_PAGE.all("th"))
    assert SMALL_PAGE.all("html") == [{"lang": "en"}]
