"""One set of rules on both engines: what a run in one process decides, does and reports, a run in steps does alike.

Each scenario is played on both from the same beginning; reports, writes, releases and the files of the archive are
compared. The run in steps has a batch for each account.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.errors import AssumeRoleDenied, NotFound, Throttled
from orchestrator.domain.model import AccountState, Guard, LiveUser, PolicyState
from orchestrator.reports.report import RunReport
from tests.builders import NOW, days_ago, make_config, make_user
from tests.fakes import fail
from tests.pipeline.days import ENGINES, LAB, PAYMENTS, SEARCH, Days, Engine

Play = Callable[[Days], list[RunReport]]
IN_ORDER = make_config(concurrency={"workers": 1})
"""One account after the other, where it matters in which the first write is."""
DENY = make_config(policy={"access_keys": "deny"})


def once(**config: Any) -> Play:
    return lambda days: [days.play(0, config=make_config(**config))]


def notice(days: Days) -> list[RunReport]:
    config = make_config(enforcement={"notice": "7d"})
    reports = [days.play(day, config=config) for day in (0, 3)]
    days.change(SEARCH, "carol", has_mfa=True)
    reports.append(days.play(5, config=config))
    days.change(SEARCH, "carol", has_mfa=False)
    days.aws.accounts[PAYMENTS].users["dave"] = make_user("dave")
    return [*reports, *(days.play(day, config=config) for day in (6.99, 7, 8, 14, 15))]


def grace(days: Days) -> list[RunReport]:
    days.change(PAYMENTS, "alice", created_at=days_ago(2))
    return [days.play(day, config=make_config(enforcement={"grace_period": "5d"})) for day in (0, 2.99, 3, 4)]


def release(days: Days) -> list[RunReport]:
    reports = [days.play(0)]
    reports.append(days.play(1, "release", user_names=frozenset({"alice"}), release_for=timedelta(days=2)))
    return [*reports, *(days.play(day) for day in (2, 2.99, 3, 4))]


def exemptions(days: Days) -> list[RunReport]:
    def entry(user: str, **changes: Any) -> dict[str, Any]:
        return {"user": user, "accounts": ["*"], "reason": "agreed", "until": "2026-03-04"} | changes

    config = make_config(
        exemptions=[entry("al*"), entry("carol", accounts=[PAYMENTS], until=None)], protected_users=["break-glass-*"]
    )
    days.aws.accounts[SEARCH].users["break-glass-1"] = make_user("break-glass-1")
    return [days.play(day, config=config) for day in (0, 2, 3)]


def stopped_between_writes(days: Days) -> list[RunReport]:
    return [days.play(0, config=IN_ORDER, stop=lambda: bool(days.aws.writes())), days.play(1)]


def used_keys(days: Days) -> list[RunReport]:
    days.change(PAYMENTS, "alice", active_access_keys=1, keys_last_used=days_ago(3))
    days.change(SEARCH, "carol", active_access_keys=2, keys_last_used=None)
    return [days.play(day, config=DENY) for day in (0, 50, 90)]


def swapped_policy(days: Days) -> list[RunReport]:
    """Somebody swaps the policy of one account when the writing has begun elsewhere."""

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "attach":
            days.aws.accounts[SEARCH].policy = PolicyState.DRIFTED

    days.aws.before = before
    return [days.play(0, config=IN_ORDER), days.play(1)]


def enrolled_meanwhile(days: Days) -> list[RunReport]:
    """A user enrols, and another is deleted, after the plan was made."""
    days.aws.accounts[PAYMENTS].live["alice"] = LiveUser(has_mfa=True, has_console_password=True)
    days.aws.accounts[SEARCH].gone.add("carol")
    return [days.play(0)]


def not_readable(days: Days) -> list[RunReport]:
    def before(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("enter", SEARCH):
            raise fail(AssumeRoleDenied, "AccessDenied", "AssumeRole")
        if (action, subject) == ("look", "erin"):
            raise fail(Throttled, "Throttling", "ListMFADevices")
        if (action, subject) == ("simulate", "frank"):
            raise fail(NotFound, "NoSuchEntity", "SimulatePrincipalPolicy")

    days.aws.add(make_user("erin", has_mfa=None), make_user("frank"), make_user("grace"))
    days.aws.before = before
    return [days.play(0), days.play(1)]


def quotas(days: Days) -> list[RunReport]:
    days.aws.accounts[PAYMENTS].full = {"attach"}
    days.aws.accounts[SEARCH].full = {"attach", "join"}
    return [days.play(0), days.play(1)]


def made_by_the_program(days: Days) -> list[RunReport]:
    config = make_config(policy={"managed_by": "orchestrator"})
    days.aws.accounts[PAYMENTS].policy = days.aws.accounts[PAYMENTS].group = PolicyState.MISSING
    days.aws.accounts[SEARCH].policy = PolicyState.OUTDATED
    return [days.play(day, config=config) for day in (0, 1)]


def undone(days: Days) -> list[RunReport]:
    reports = [days.play(0)]
    days.change(PAYMENTS, "alice", attached_policy_arns=frozenset())
    return [*reports, days.play(1), days.play(2)]


def changing_accounts(days: Days) -> list[RunReport]:
    reports = [days.play(0)]
    days.aws.add(make_user("dora"), state=AccountState.SUSPENDED)
    days.aws.add(make_user("emil"), state=None)
    reports.append(days.play(1))
    for account_id in (LAB, "000000000004"):
        fake = days.aws.accounts[account_id]
        fake.account = replace(fake.account, state=AccountState.ACTIVE)
    return [*reports, days.play(2)]


def locked_out(days: Days) -> list[RunReport]:
    days.aws.accounts[PAYMENTS].obstacles["alice"] = "an SCP denies iam:EnableMFADevice"
    return [days.play(0)]


def guarded(days: Days) -> list[RunReport]:
    """An SCP denies users without MFA, and is gone on the second day; an account is over its limit but for them."""
    config = make_config(enforcement={"guarded": "accept"}, limits={"max_changes_per_account": 1})
    days.aws.add(make_user("erin"), make_user("frank"))
    fakes = [days.aws.accounts[account_id] for account_id in (PAYMENTS, LAB)]
    for fake in fakes:
        fake.guards = {name: Guard(("SCP",), is_scp=True) for name in ("alice", "erin")}
    reports = [days.play(0, config=config)]
    for fake in fakes:
        fake.guards.clear()
    return [*reports, days.play(1, config=config)]


SCENARIOS: dict[str, Play] = {
    "enforce": lambda days: [days.play(0), days.play(1)],
    "plan alone": lambda days: [days.play(0, "plan"), days.play(1)],
    "notice": notice,
    "grace": grace,
    "release": release,
    "exemptions": exemptions,
    "limit of an account": once(limits={"max_changes_per_account": 0}),
    "share of an account": once(limits={"max_share_per_account": 0.5}),
    "limit of the run": once(limits={"max_changes_per_run": 1}),
    "limit of the run, met": once(limits={"max_changes_per_run": 2}),
    "stopped": lambda days: [days.play(0, stop=True), days.play(1)],
    "stopped between writes": stopped_between_writes,
    "used keys": used_keys,
    "keys allowed": once(policy={"access_keys": "allow"}),
    "every user in scope": once(enforcement={"users": "all"}),
    "swapped policy": swapped_policy,
    "enrolled meanwhile": enrolled_meanwhile,
    "not readable": not_readable,
    "quotas": quotas,
    "made by the program": made_by_the_program,
    "undone": undone,
    "changing accounts": changing_accounts,
    "excluded account": once(organization={"exclude_accounts": [SEARCH]}),
    "locked out": locked_out,
    "guarded": guarded,
}


def played(name: str, engine: Engine) -> tuple[Days, list[RunReport]]:
    """Return what a scenario leaves behind on an engine, and its reports."""
    days = Days(engine=engine)
    days.aws.add(make_user("alice"), make_user("bob", has_mfa=True), make_user("robot", has_console_password=False))
    days.aws.add(make_user("carol"))
    return days, SCENARIOS[name](days)


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_engines_decide_do_and_report_the_same(name: str) -> None:
    (one, told), (steps, told_in_steps) = (played(name, engine) for engine in ENGINES)

    assert [each.model_dump(mode="json") for each in told_in_steps] == [each.model_dump(mode="json") for each in told]
    assert sorted(steps.aws.writes()) == sorted(one.aws.writes())
    assert sorted(steps.store.files) == sorted(one.store.files)
    assert steps.slack.messages == one.slack.messages
    assert {each.started_at >= NOW for each in told} == {True}


def test_scenarios_meet_every_outcome_that_a_rule_gives() -> None:
    """A table that leaves a rule out proves nothing about it."""
    met = {
        user.outcome.value
        for name in SCENARIOS
        for report in played(name, "steps")[1]
        for account in report.accounts
        for user in account.users
    }

    assert met >= {
        *("none", "planned", "enforced", "already_enforced", "exempt", "in_grace", "out_of_scope", "guarded"),
        *("held", "quota_exceeded", "released"),
    }
