"""The data that the script of the page reads."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage, Status, Verdict, Via
from orchestrator.domain.outcomes import OutcomeGroup, outcomes_of
from orchestrator.output.attention import account_order, user_order
from orchestrator.output.html import render_page
from orchestrator.output.words import reason_of, visible
from orchestrator.reports.report import (
    AccountReport,
    ProblemReport,
    ReasonReport,
    UserReport,
)
from tests.browser.samples import (
    HOSTILE,
    make_account_report,
    make_failed_account,
    make_run_report,
    make_user_report,
)
from tests.builders import NOW, days_ago
from tests.output.html.page_reader import EPOCH, SMALL_PAGE, page_of, users_of

ORDER = [Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.COMPLIANT]
STATUSES = [Status.FAILED, Status.NOT_REACHED, Status.INSPECTED, Status.SKIPPED]


def test_script_finds_statuses_verdicts_and_the_last_outcome_where_it_expects_them() -> None:
    data = SMALL_PAGE.data

    assert [label for label, *_ in data["statuses"]] == ["failed", "not reached", "inspected", "skipped"]
    assert [(label, to_fix) for label, _, to_fix, _ in data["verdicts"]] == [
        ("without MFA", 0),
        ("MFA unknown", 1),
        ("with MFA", 0),
    ]
    assert data["outcomes"][-1][0] == "nothing to do"
    assert {label for label, _, needs_hand, _ in data["outcomes"] if needs_hand} == {"failed", "held", "over quota"}


def test_release_calls_nobody_unread() -> None:
    data = page_of(make_run_report(mode=Mode.RELEASE)).data

    assert [verdict[:3] for verdict in data["verdicts"]] == [["MFA not looked at", "quiet", 0]] * 3


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
    service_credentials=st.lists(TEXTS.filter(bool), max_size=2).map(tuple),
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
        id_, name, alias, ou, owner, status, failing, is_root_open, changes, error, causes, users, unread = written
        assert set(causes) <= set(range(len(data["causes"])))
        assert data["texts"][owner] == visible(account.owner or "")
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
    values = values + [None] * (12 - len(values))
    name, verdict, outcome, via, console, keys, used, days, reason, device, enrolled, others = values
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
    assert data["texts"][others or 0] == visible(", ".join(user.service_credentials))
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

    pieces = list(render_page(make_run_report(*accounts), trend=[], blocks_access_keys=True))

    assert len(pieces) > len(accounts)
    assert max(map(len, pieces[1:-1])) < 2_000
