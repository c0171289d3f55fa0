"""What doctor says of a deployment that is to hear of IAM events, in memory."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.doctor import Check, CheckName, CheckStatus
from orchestrator.doctor.deployment import ALARMS
from orchestrator.domain.errors import AccessDenied, NotFound, Throttled
from orchestrator.domain.member_roles import DeployedRole, render_role
from orchestrator.reports.archive import LEDGER
from orchestrator.reports.build import build_report
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.reports.report import ChangedUser, Changes, EnrolledUser, RunReport
from tests.builders import NOW, ORGANIZATION, make_request
from tests.doctor.command import OK, PROBLEM, UNKNOWN, line
from tests.doctor.ward import ACCOUNT, ROLES, SETTINGS, Ward, breaks, make_function, make_policy, states
from tests.fakes import fail

BUS_ARN = "arn:aws:events:eu-central-1:999999999999:event-bus/orgmfa-iam"


def bus_policy(organization_id: str | None = ORGANIZATION.id, **more: Any) -> str:
    condition = {"StringEquals": {"aws:PrincipalOrgID": organization_id}} if organization_id else {}
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Condition": condition, **more}]})


@pytest.fixture
def hearing(ward: Ward) -> Ward:
    """The ward with IamEvents=on, and all that belongs to it."""
    ward.function = make_function({"ORGMFA_IAM_EVENTS": "on"})
    ward.bus_policy = bus_policy()
    ward.alarms = dict.fromkeys(ALARMS, "OK")
    sender = DeployedRole("orgmfa-events", {}, {"events": {"Statement": [{"Resource": BUS_ARN}]}}, (), None)
    made = [render_role(one, SETTINGS, ward.trusted) for one in ROLES]
    ward.roles = {role.name: role for role in (*made, sender)}
    return ward


def of_events(ward: Ward) -> list[Check]:
    return [check for check in ward.run_checks().checks if check.name is CheckName.IAM_EVENTS]


def test_what_is_as_it_should_be_is_ok_and_nothing_is_said_while_events_are_off(hearing: Ward) -> None:
    on = hearing.run_checks()
    hearing.function = make_function({"ORGMFA_IAM_EVENTS": "off"})
    off = hearing.run_checks()

    assert states(on) == states(off) == {}
    assert len([check for check in on.checks if check.name is CheckName.IAM_EVENTS]) == 3
    assert line(on, CheckName.EVENTS_ROLE, ACCOUNT).status is OK
    assert not {CheckName.IAM_EVENTS, CheckName.EVENTS_ROLE} & {check.name for check in off.checks}


@pytest.mark.parametrize(
    ("step", "error", "status", "words"),
    [
        ("bus", fail(NotFound), PROBLEM, "there is no event bus orgmfa-iam"),
        ("bus", fail(AccessDenied), UNKNOWN, "events:DescribeEventBus"),
        ("alarms", fail(AccessDenied), UNKNOWN, "cloudwatch:DescribeAlarms"),
        ("alarms", fail(Throttled), UNKNOWN, ""),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_do(
    hearing: Ward, step: str, error: Exception, status: CheckStatus, words: str
) -> None:
    hearing.aws.before = breaks(step, error)

    report = hearing.run_checks()

    assert states(report) == {"iam_events": status.value}
    assert any(words in f"{check.message} {check.remedy}" for check in report.checks if check.status is status)


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "no JSON",
        bus_policy(None),
        bus_policy("o-somebodyelse"),
        json.dumps({"Statement": []}),
        json.dumps({"Statement": [*json.loads(bus_policy())["Statement"], {"Effect": "Allow", "Principal": "*"}]}),
    ],
)
def test_bus_that_lets_in_others_or_nobody_is_a_problem(hearing: Ward, policy: str) -> None:
    hearing.bus_policy = policy

    assert of_events(hearing)[0].status is PROBLEM


@pytest.mark.parametrize("name", ALARMS)
@pytest.mark.parametrize("state", ["ALARM", "MAYBE", None])
def test_alarm_that_rings_or_is_missing_or_says_what_is_not_known_is_a_problem(
    hearing: Ward, name: str, state: str | None
) -> None:
    hearing.alarms = {key: value for key, value in (hearing.alarms | {name: state}).items() if value}

    found = [check.message for check in of_events(hearing) if check.status is PROBLEM]

    assert found == [f"alarms: {name} is {state or 'missing'}"]
    assert not any("was given up" in check.message for check in of_events(hearing))


def test_alarm_without_data_is_fine(hearing: Ward) -> None:
    hearing.alarms = dict.fromkeys(ALARMS, "INSUFFICIENT_DATA")

    assert {check.status for check in of_events(hearing)} == {OK}


def run(started_at: datetime, changes: dict[str, Any], *, narrowed: bool = False) -> RunReport:
    """Return the head of a run that saw these changes."""
    request = make_request(started_at=started_at)
    report = build_report(request, ORGANIZATION.id, (), errors=(), is_complete=True, finished_at=started_at)
    told = Changes(since_run_id="1", since=started_at - timedelta(days=1), **changes)
    return report.model_copy(update={"narrowed": narrowed, "changes": told})


WHO = {"account_id": ACCOUNT, "account_alias": "acme-payments", "account_name": "payments", "name": "alice"}
ENROLLED = {"enrolled": (EnrolledUser(**WHO, device=None, enrolled_at=None),)}
UNDONE = {"enforcement_undone": (ChangedUser(**WHO),)}
NEW = {"newly_without_mfa": (ChangedUser(**WHO),)}
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("runs", "seen_at", "is_silent"),
    [
        ((run(NOW - DAY, ENROLLED),), None, True),
        ((run(NOW - DAY, UNDONE),), None, True),
        ((run(NOW - DAY, UNDONE),), NOW - 8 * DAY, True),
        ((run(NOW - DAY, UNDONE),), NOW - 6 * DAY, False),
        ((run(NOW - DAY, {}), run(NOW - 2 * DAY, ENROLLED)), None, True),
        ((run(NOW - 8 * DAY, ENROLLED),), None, False),
        ((run(NOW - DAY, ENROLLED, narrowed=True),), None, False),
        # A user without a password is no event of the scope `console`.
        ((run(NOW - DAY, NEW),), None, False),
        ((), None, False),
    ],
)
def test_account_of_which_no_event_was_seen_though_its_users_changed_is_named(
    hearing: Ward, runs: tuple[RunReport, ...], seen_at: datetime | None, *, is_silent: bool
) -> None:
    hearing.runs = runs
    if seen_at is not None:
        hearing.store.files[LEDGER] = EventLedger(seen={ACCOUNT: seen_at}).model_dump_json().encode()

    silent = [check for check in of_events(hearing) if check.status is UNKNOWN]

    assert bool(silent) is is_silent
    if silent:
        assert f"acme-payments ({ACCOUNT})" in silent[0].message
        assert "trail" in silent[0].remedy


def test_ledger_that_cannot_be_understood_is_a_problem(hearing: Ward) -> None:
    hearing.store.files[LEDGER] = b"{"

    assert [check.status for check in of_events(hearing)] == [OK, OK, PROBLEM]


@pytest.mark.parametrize("statements", [[], [{"Action": "events:PutEvents", "Resource": f"{BUS_ARN}-of-another"}]])
def test_account_that_cannot_send_is_named_and_is_no_problem_of_a_run(
    hearing: Ward, statements: list[dict[str, str]]
) -> None:
    assert hearing.roles is not None
    sender = hearing.roles["orgmfa-events"]
    hearing.roles["orgmfa-events"] = replace(sender, policies={"events": {"Statement": statements}})
    elsewhere = hearing.run_checks()
    del hearing.roles["orgmfa-events"]
    missing = hearing.run_checks()

    assert states(elsewhere) == states(missing) == {"events_role": "unknown"}
    assert "may not send" in line(elsewhere, CheckName.EVENTS_ROLE, ACCOUNT).message
    assert "member_role/events.yaml" in line(missing, CheckName.EVENTS_ROLE, ACCOUNT).remedy
    assert missing.ok


def deny(region: str, **changes: Any) -> str:
    statement = {
        "Effect": "Deny",
        "NotAction": ["iam:*", "sts:*"],
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": [region]}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": statement | changes})


@pytest.mark.parametrize(
    ("allowed", "denied"),
    [("eu-central-1", "events:PutRule in us-east-1"), ("us-east-1", "events:PutEvents in eu-central-1")],
)
def test_control_policy_that_denies_a_region_that_events_need_is_named_where_they_are_on(
    hearing: Ward, allowed: str, denied: str
) -> None:
    hearing.policies = (*hearing.policies, make_policy("OneRegion", deny(allowed)))

    told = line(hearing.run_checks(), CheckName.SCP)
    hearing.function = make_function()
    off = line(hearing.run_checks(), CheckName.SCP)

    assert told.status is UNKNOWN
    assert f"the SCP OneRegion may deny {denied} in Root" in told.message
    assert "orgmfa-events" in told.remedy
    assert off.status is OK
