from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from orchestrator.domain.assessment import Rules, assess_user, find_exception, find_exemption, is_unused
from orchestrator.domain.config import Exemption
from orchestrator.domain.model import Decision, Outcome, Verdict
from orchestrator.domain.records import Release
from orchestrator.reports.report import FirstSight
from tests.builders import ACCOUNT_ID, NOW, days_ago, make_config, make_user, user_id_of


@pytest.mark.parametrize(
    ("has_mfa", "verdict"),
    [(True, Verdict.COMPLIANT), (False, Verdict.NON_COMPLIANT), (None, Verdict.UNKNOWN)],
)
def test_unreadable_is_unknown_and_never_compliant(has_mfa: bool | None, verdict: Verdict) -> None:
    assert assess_user(make_user(has_mfa=has_mfa)) is verdict


def found(
    user: Any,
    *,
    released: dict[tuple[str, str], Any] | None = None,
    own_arn: str = "",
    seen: dict[str, dict[str, Any]] | None = None,
    **config: Any,
) -> Any:
    sights = {
        account_id: {user_id_of(name): FirstSight(name=name, since=since) for name, since in dates.items()}
        for account_id, dates in (seen or {}).items()
    }
    rules = Rules(make_config(**config), released or {}, own_arn, sights)
    found = find_exception(user, ACCOUNT_ID, rules, now=NOW)
    return found and (found[0].value, found[1].code)


SCOPE_ALL = {"enforcement": {"users": "all"}}
EXEMPT_CI = {"exemptions": [{"user": "ci-*", "reason": "build robots", "until": date(2026, 3, 2)}]}


@pytest.mark.parametrize(
    ("user", "config", "expected"),
    [
        (make_user(), {}, None),
        (make_user(has_console_password=False), {}, ("out_of_scope", "no_console_password")),
        (make_user(has_console_password=False), SCOPE_ALL, None),
        (make_user("ci-1"), EXEMPT_CI, ("exempt", "exempt")),
        (make_user("CI-1"), EXEMPT_CI, ("exempt", "exempt")),
        (make_user("ci-1", has_console_password=False), EXEMPT_CI, ("exempt", "exempt")),
        (make_user("alice"), EXEMPT_CI, None),
        (make_user("Break-Glass"), {"protected_users": ["break-*"]}, ("exempt", "protected")),
        (make_user(created_at=days_ago(2)), {"enforcement": {"grace_period": "3d"}}, ("in_grace", "new_user")),
        (make_user(created_at=days_ago(3)), {"enforcement": {"grace_period": "3d"}}, None),
        (make_user(active_access_keys=1, keys_last_used=days_ago(1)), {}, ("held", "active_key")),
        (make_user(active_access_keys=1, keys_last_used=days_ago(90)), {}, None),
        (make_user(active_access_keys=1, keys_last_used=None), {}, None),
        (make_user(active_access_keys=None), {}, ("held", "active_key")),
        (
            make_user(active_access_keys=1, keys_last_used=days_ago(1)),
            {"policy": {"access_keys": "allow"}},
            None,
        ),
        (
            make_user(active_access_keys=1, keys_last_used=days_ago(1)),
            {"limits": {"hold_keys_used_within": "0d"}},
            None,
        ),
    ],
)
def test_rules_say_whom_to_leave_alone(user: Any, config: dict[str, Any], expected: Any) -> None:
    assert found(user, **config) == expected


NOTICE: Any = {"enforcement": {"notice": "7d"}}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, ("in_grace", "notice")),
        ({ACCOUNT_ID: {}}, ("in_grace", "notice")),
        ({ACCOUNT_ID: {"alice": days_ago(6.99)}}, ("in_grace", "notice")),
        ({ACCOUNT_ID: {"alice": days_ago(7)}}, None),
        ({ACCOUNT_ID: {"alice": days_ago(400)}}, None),
        ({ACCOUNT_ID: {"bob": days_ago(400)}}, ("in_grace", "notice")),
        ({"444455556666": {"alice": days_ago(400)}}, ("in_grace", "notice")),
    ],
)
def test_user_is_left_alone_for_the_notice_from_when_it_was_first_seen(seen: Any, expected: Any) -> None:
    assert found(make_user(), seen=seen, **NOTICE) == expected


@pytest.mark.parametrize("seen", [{}, {ACCOUNT_ID: {"alice": NOW}}])
def test_without_notice_nobody_is_left_alone_for_it(seen: Any) -> None:
    assert found(make_user(), seen=seen) is None


def test_notice_and_grace_period_run_at_once_and_the_longer_counts() -> None:
    both: Any = {"enforcement": {"notice": "7d", "grace_period": "3d"}}
    old_sight = {ACCOUNT_ID: {"alice": days_ago(8)}}

    assert found(make_user(created_at=days_ago(2)), **both) == ("in_grace", "new_user")
    assert found(make_user(created_at=days_ago(5)), seen={ACCOUNT_ID: {"alice": days_ago(5)}}, **both) == (
        "in_grace",
        "notice",
    )
    assert found(make_user(created_at=days_ago(2)), seen=old_sight, **both) == ("in_grace", "new_user")
    assert found(make_user(created_at=days_ago(8)), seen=old_sight, **both) is None


@pytest.mark.parametrize(
    ("user", "config", "expected"),
    [
        (make_user("ci-1"), EXEMPT_CI, ("exempt", "exempt")),
        (make_user(has_console_password=False), {}, ("out_of_scope", "no_console_password")),
        (make_user(active_access_keys=1, keys_last_used=days_ago(1)), {}, ("in_grace", "notice")),
    ],
)
def test_notice_comes_after_what_holds_for_good_and_before_what_needs_a_hand(
    user: Any, config: dict[str, Any], expected: Any
) -> None:
    assert found(user, **(NOTICE | config)) == expected


@pytest.mark.parametrize(
    ("notice", "seen_at", "words"),
    [
        ("7d", NOW, "seen without MFA since 2026-03-02; 7 days of notice left, then enforced"),
        ("7d", days_ago(0.5), "seen without MFA since 2026-03-02; 7 days of notice left, then enforced"),
        ("7d", days_ago(4), "seen without MFA since 2026-02-26; 3 days of notice left, then enforced"),
        ("7d", days_ago(6), "seen without MFA since 2026-02-24; 24 hours of notice left, then enforced"),
        ("7d", days_ago(6.99), "seen without MFA since 2026-02-23; 1 hour of notice left, then enforced"),
        ("12h", NOW, "seen without MFA since 2026-03-02; 12 hours of notice left, then enforced"),
    ],
)
def test_reason_tells_the_notice_that_is_left(notice: str, seen_at: Any, words: str) -> None:
    sights = {ACCOUNT_ID: {user_id_of("alice"): FirstSight(name="alice", since=seen_at)}}
    rules = replace(Rules(make_config(enforcement={"notice": notice})), sights=sights)

    found = find_exception(make_user(), ACCOUNT_ID, rules, now=NOW)

    assert found is not None
    assert found[1].message == words
    assert found[1].until == seen_at + rules.config.enforcement.notice


def test_every_grace_tells_when_it_ends() -> None:
    user, ends = make_user(created_at=days_ago(2)), NOW + timedelta(days=5)
    config = make_config(enforcement={"grace_period": "7d"})

    new = find_exception(user, ACCOUNT_ID, Rules(config), now=NOW)
    released = find_exception(
        user, ACCOUNT_ID, Rules(make_config(), {(ACCOUNT_ID, user_id_of("alice")): Release(NOW, ends)}), now=NOW
    )

    assert new is not None
    assert released is not None
    assert new[1].until == released[1].until == ends


def test_own_user_is_never_written_to() -> None:
    user = make_user("operator")

    assert found(user, own_arn=user.arn) == ("exempt", "protected")


def test_release_is_honoured_until_it_ends_in_its_account_alone() -> None:
    user = make_user()
    soon = NOW + timedelta(seconds=1)

    assert found(user, released={(ACCOUNT_ID, user.id): Release(NOW, soon)}) == ("in_grace", "released")
    assert found(user, released={(ACCOUNT_ID, user.id): Release(NOW, NOW)}) is None
    assert found(user, released={("444455556666", user.id): Release(NOW, soon)}) is None


@pytest.mark.parametrize(("until", "is_applied"), [(date(2026, 3, 2), True), (date(2026, 3, 1), False), (None, True)])
def test_exemption_counts_to_the_end_of_its_last_day(until: date | None, is_applied: bool) -> None:
    exemption = Exemption(user="robot", accounts=(ACCOUNT_ID,), reason="migration", until=until)
    last_minute = NOW.replace(hour=23, minute=59)

    assert (find_exemption("robot", ACCOUNT_ID, (exemption,), now=last_minute) is exemption) == is_applied


def test_exemption_counts_in_its_accounts_alone() -> None:
    exemption = Exemption(user="robot", accounts=("444455556666",), reason="migration")

    assert find_exemption("robot", ACCOUNT_ID, (exemption,), now=NOW) is None
    assert find_exemption("robot", "444455556666", (exemption,), now=NOW) is exemption


def test_reason_names_the_exemption_and_its_end() -> None:
    rules = Rules(make_config(**EXEMPT_CI))

    found = find_exception(make_user("ci-7"), ACCOUNT_ID, rules, now=NOW)

    assert found is not None
    assert found[0] is Outcome.EXEMPT
    assert found[1].message == "build robots (exemption ci-*, until 2026-03-02)"


MADE_LONG_AGO = {"created_at": days_ago(91)}


@pytest.mark.parametrize(
    ("user", "outcome", "expected"),
    [
        (MADE_LONG_AGO | {"password_last_used": "never"}, "planned", True),
        (MADE_LONG_AGO | {"password_last_used": days_ago(90.5)}, "enforced", True),
        (MADE_LONG_AGO | {"password_last_used": "never"}, "guarded", True),
        (MADE_LONG_AGO | {"password_last_used": days_ago(89)}, "planned", False),
        (MADE_LONG_AGO | {"password_last_used": None}, "planned", False),
        ({"created_at": days_ago(89), "password_last_used": "never"}, "planned", False),
        (MADE_LONG_AGO | {"password_last_used": "never", "has_console_password": None}, "planned", False),
        (MADE_LONG_AGO | {"password_last_used": "never", "has_console_password": False}, "out_of_scope", False),
        (MADE_LONG_AGO | {"password_last_used": "never", "has_mfa": True}, "none", False),
        (MADE_LONG_AGO | {"password_last_used": "never", "has_mfa": None}, "none", False),
        (MADE_LONG_AGO | {"password_last_used": "never"}, "exempt", False),
    ],
)
def test_unused_is_who_has_a_password_and_signed_in_neither_lately_nor_was_made_lately(
    user: dict[str, Any], outcome: str, expected: bool
) -> None:
    one = make_user(**user)

    assert is_unused(Decision(one, assess_user(one), Outcome(outcome)), days_ago(90)) is expected
