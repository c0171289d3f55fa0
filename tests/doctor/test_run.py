"""The checks of `orgmfa doctor` in memory: what is said of what is found."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.doctor import CheckName, CheckStatus
from orchestrator.domain.deployed import Function
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import (
    AccessDenied,
    ArchiveError,
    AssumeRoleDenied,
    ConfigError,
    DeniedByScp,
    DigestError,
    NotFound,
    NotSubscribed,
    Throttled,
)
from orchestrator.domain.member_roles import Trusted, render_role
from orchestrator.domain.model import AccountState, PolicyState
from orchestrator.domain.stop_switch import Reading, absent, read_content, unreadable
from orchestrator.reports.report import ChangedAccount
from tests.builders import make_config, make_user
from tests.doctor.command import OK, PROBLEM, UNKNOWN, faults, line
from tests.doctor.ward import ACCOUNT, PROTECT, ROLES, SETTINGS, Ward, breaks, make_function, make_policy, states
from tests.fakes import fail


def test_what_is_as_it_should_be_is_ok(ward: Ward) -> None:
    examination = ward.examination()

    assert states(examination.report) == {}
    assert examination.report.ok
    assert examination.title_by_account_id == {ACCOUNT: "acme-payments"}
    assert ward.aws.writes() == []
    assert ward.store.files == {}
    assert (ward.observer.accounts_done, ward.observer.failures) == (1, 0)


BOT, DIRECT = SlackCredentials(bot_token="bot-token-of-a-test"), {"via": "slack", "domains": ["acme.com"]}
MAIL = {"via": "email", "domains": ["acme.com"], "sender": "security@acme.com", "region": "eu-west-1"}


@pytest.mark.parametrize(
    ("nudge", "slack", "status", "words"),
    [
        ({}, None, "ok", "nobody is told in person"),
        ({"via": "slack"}, BOT, "problem", "nudge.domains is empty"),
        (DIRECT, BOT, "ok", "the scopes users:read, users:read.email and chat:write"),
        (DIRECT, None, "problem", "no bot token is known"),
        (DIRECT, SlackCredentials(webhook_url="https://hooks.example.com"), "problem", "no bot token is known"),
        (DIRECT | {"text": "/missing"}, BOT, "problem", "cannot read /missing"),
        (MAIL, None, "ok", "from security@acme.com in eu-west-1"),
    ],
)
def test_messages_to_users_are_checked(
    ward: Ward, nudge: dict[str, Any], slack: SlackCredentials | None, status: str, words: str
) -> None:
    ward.config, ward.environment_slack = make_config(nudge=nudge), slack

    (check,) = [one for one in ward.examination().report.checks if one.name == CheckName.NUDGE]

    assert check.status.value == status
    assert words in check.message


def test_sandbox_of_amazon_ses_is_told(ward: Ward) -> None:
    ward.config, ward.ses_is_in_sandbox = make_config(nudge=MAIL), True

    (check,) = [one for one in ward.examination().report.checks if one.name == CheckName.NUDGE]

    assert check.status.value == "problem"
    assert "Amazon SES in eu-west-1 is in the sandbox" in check.message


@pytest.mark.parametrize(
    ("step", "error", "expected"),
    [
        ("security_hub", fail(NotSubscribed), {"security_hub": "problem"}),
        ("security_hub", fail(Throttled), {"security_hub": "problem"}),
        ("security_hub", fail(AccessDenied), {"security_hub": "unknown"}),
        ("organization", fail(AccessDenied), {"organization": "problem", "member_role": "unknown"}),
        ("list", fail(AccessDenied), {"accounts": "problem"}),
        ("enter", fail(AssumeRoleDenied, operation="AssumeRole"), {"member_role": "problem"}),
        ("alias", fail(AccessDenied), {"reads": "problem"}),
        ("alias", fail(DeniedByScp), {"reads": "problem"}),
        ("look_at_policy", fail(AccessDenied), {"policy": "problem"}),
        ("roles", fail(AccessDenied), {"role_policies": "problem"}),
        ("policies", fail(AccessDenied), {"scp": "unknown"}),
        ("policies", fail(Throttled), {"scp": "unknown"}),
        ("schedule", fail(NotFound), {"schedule": "unknown"}),
        ("schedule", fail(AccessDenied), {"schedule": "unknown"}),
        ("function", fail(NotFound), {"function": "unknown"}),
        ("function", fail(AccessDenied), {"function": "unknown"}),
    ],
)
def test_each_failure_is_one_line_with_a_remedy(
    ward: Ward, step: str, error: Exception, expected: dict[str, str]
) -> None:
    ward.config = make_config(securityhub={"enabled": True})
    ward.aws.before = breaks(step, error)

    report = ward.run_checks()

    assert states(report) == expected
    assert all(check.remedy for check in report.checks if check.status is not OK)


def test_a_call_that_a_control_policy_denies_is_told_once(ward: Ward) -> None:
    ward.aws.before = breaks("alias", fail(DeniedByScp))

    names = {check.name for check in ward.run_checks().checks}

    assert CheckName.READS in names
    assert names.isdisjoint({CheckName.POLICY, CheckName.GROUP, CheckName.ROLE_POLICIES})


@pytest.mark.parametrize("operation", ["write", "read", "list", "delete"])
def test_archive_that_fails_in_any_way_is_a_problem(ward: Ward, operation: str) -> None:
    ward.store.broken[operation] = ArchiveError(f"the archive: cannot {operation} memory:probe/run-1")

    report = ward.run_checks()

    assert states(report) == {"archive": "problem"}
    assert operation in line(report, CheckName.ARCHIVE).message
    assert operation == "delete" or ward.store.files == {}


def test_archive_that_gives_back_something_else_is_a_problem(ward: Ward) -> None:
    ward.store.read = lambda name: b"something else"  # type: ignore[method-assign]  # a store that garbles

    assert states(ward.run_checks()) == {"archive": "problem"}


@pytest.mark.parametrize(
    ("managed_by", "policy", "group", "expected"),
    [
        ("stackset", PolicyState.MISSING, PolicyState.MISSING, {"policy": "problem", "group": "problem"}),
        ("stackset", PolicyState.DRIFTED, PolicyState.OURS, {"policy": "problem"}),
        ("orchestrator", PolicyState.MISSING, PolicyState.OUTDATED, {"role_policies": "problem"}),
        ("orchestrator", PolicyState.OUTDATED, PolicyState.DRIFTED, {"role_policies": "problem", "group": "problem"}),
    ],
)
def test_policy_and_group_are_judged_by_who_owns_them(
    ward: Ward, managed_by: str, policy: PolicyState, group: PolicyState, expected: dict[str, str]
) -> None:
    ward.config = make_config(policy={"managed_by": managed_by})
    ward.aws.accounts[ACCOUNT].policy = policy
    ward.aws.accounts[ACCOUNT].group = group

    report = ward.run_checks()

    # The roles here are those of a stack without AllowPolicyManagement, which the orchestrator's ownership needs.
    assert states(report) == expected


@pytest.mark.parametrize(
    ("role", "is_denied", "expected"),
    [
        ("orgmfa-operator", False, OK),
        ("orgmfa-operator", True, PROBLEM),
        ("orgmfa-orchestrator", False, PROBLEM),
        ("orgmfa-orchestrator", True, UNKNOWN),
        ("auditor", True, UNKNOWN),
    ],
)
def test_release_role_is_for_the_operator_alone(ward: Ward, role: str, is_denied: bool, expected: CheckStatus) -> None:
    ward.role = role
    if is_denied:
        ward.aws.before = breaks("enter", fail(AssumeRoleDenied, operation="AssumeRole"), "release")

    told = line(ward.run_checks(), CheckName.RELEASE_ROLE, ACCOUNT)

    assert told.status is expected
    assert bool(told.remedy) is (expected is not OK)


@pytest.mark.parametrize(("mode", "expected"), [("plan", OK), ("apply", PROBLEM)])
def test_member_role_that_can_only_read_is_a_problem_where_it_is_to_enforce(
    ward: Ward, mode: str, expected: CheckStatus
) -> None:
    ward.config = make_config(enforcement={"mode": mode})
    reading = [render_role(one, SETTINGS, ward.trusted, enforcement="off") for one in ROLES]
    ward.roles = {role.name: role for role in reading}

    told = line(ward.run_checks(), CheckName.ROLE_POLICIES, ACCOUNT)

    assert told.status is expected
    assert "Enforcement=off" in told.message
    assert ("Enforcement=on" in told.remedy) is (expected is PROBLEM)


def test_release_role_that_was_changed_is_a_problem_beside_a_member_role_that_reads(ward: Ward) -> None:
    reading = [render_role(one, SETTINGS, ward.trusted, enforcement="off") for one in ROLES]
    ward.roles = {role.name: role for role in reading}
    ward.roles["orgmfa-release"] = replace(
        reading[1], attached_policy_arns=("arn:aws:iam::aws:policy/AdministratorAccess",)
    )

    assert states(ward.run_checks()) == {"role_policies": "problem"}


def test_release_role_that_fails_otherwise_is_a_problem(ward: Ward) -> None:
    ward.aws.before = breaks("enter", fail(DeniedByScp, operation="AssumeRole"), "release")

    assert states(ward.run_checks()) == {"release_role": "problem"}


def test_a_role_that_is_missing_is_a_problem(ward: Ward) -> None:
    ward.roles = {}

    told = line(ward.run_checks(), CheckName.ROLE_POLICIES, ACCOUNT)

    assert told.status is PROBLEM
    assert told.message == "the account has no role orgmfa-member and no role orgmfa-release"


@pytest.mark.parametrize(("role", "expected"), [("mfa-people", "mfa-lambda"), ("auditor", "mfa-lambda and mfa-people")])
def test_roles_that_trust_other_names_are_to_be_looked_at(ward: Ward, role: str, expected: str) -> None:
    ward.role, ward.trusted = role, Trusted("mfa-lambda", "mfa-people")

    told = line(ward.run_checks(), CheckName.ROLE_POLICIES, ACCOUNT)

    assert told.status is UNKNOWN
    assert f"trusting {expected} of" in told.message


def test_suspended_account_is_not_entered(ward: Ward) -> None:
    ward.aws.add(name="closed", state=AccountState.SUSPENDED)

    report = ward.run_checks()

    told = line(report, CheckName.MEMBER_ROLE, "000000000002")
    assert (told.status, told.message) == (OK, "not to be entered: the account is suspended")
    assert report.ok


def test_organization_without_accounts_is_a_problem(ward: Ward) -> None:
    ward.aws.accounts.clear()

    assert states(ward.run_checks()) == {"accounts": "problem"}


def test_account_that_was_named_and_does_not_exist_ends_the_examination(ward: Ward) -> None:
    ward.aliases_fail = True  # the check of the archive tells that

    with pytest.raises(ConfigError, match="nobody"):
        ward.run_checks("nobody")
    with pytest.raises(ConfigError, match="000000000099"):
        ward.run_checks("000000000099")


def test_what_an_interruption_left_out_is_unknown(ward: Ward) -> None:
    ward.cancellation.event.set()

    told = line(ward.run_checks(), CheckName.MEMBER_ROLE, ACCOUNT)

    assert (told.status, told.message) == (UNKNOWN, "not looked at: interrupted")


def test_defect_is_told_and_hides_nothing(ward: Ward) -> None:
    ward.aws.add(name="search", state=AccountState.SUSPENDED)
    ward.aws.before = breaks("look_at_policy", KeyError("no such key"))

    report = ward.run_checks()

    assert faults(report) == [("member_role", ACCOUNT)]
    assert "defect" in line(report, CheckName.MEMBER_ROLE, ACCOUNT).remedy
    assert line(report, CheckName.MEMBER_ROLE, "000000000002").status is OK


@pytest.mark.parametrize(
    ("function", "status", "words"),
    [
        (make_function(environment={"ORGMFA_ENFORCEMENT_MODE": "plan"}), OK, "writes nothing"),
        (make_function(environment={"ORGMFA_ENFORCEMENT_MODE": "apply"}), OK, "it enforces"),
        (
            make_function(environment={"ORGMFA_ARCHIVE_LOCATION": "./orgmfa-runs/"}),
            OK,
            "enforcement.mode in its package",
        ),
        (make_function(environment={"ORGMFA_ARCHIVE_LOCATION": "s3://acme/archive"}), PROBLEM, "undo releases"),
        (make_function(is_usable=False), PROBLEM, "failed"),
    ],
)
def test_function_is_judged_by_its_settings(ward: Ward, function: Function, status: CheckStatus, words: str) -> None:
    ward.function = function

    told = line(ward.run_checks(), CheckName.FUNCTION)

    assert told.status is status
    assert words in told.message


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (read_content("go", "ssm:/orgmfa/stop"), 'ssm:/orgmfa/stop holds "go": lets writes through'),
        (read_content("", "ssm:/orgmfa/stop"), "ssm:/orgmfa/stop is empty: lets writes through"),
        (absent("ssm:/orgmfa/stop"), "ssm:/orgmfa/stop does not exist: lets writes through"),
    ],
)
def test_stop_switch_that_is_not_set_is_ok(ward: Ward, reading: Reading, words: str) -> None:
    ward.config = make_config(enforcement={"stop": "ssm:/orgmfa/stop"})
    ward.reading = reading

    told = line(ward.run_checks(), CheckName.STOP_SWITCH)

    assert told.status is OK
    assert told.message == words


@pytest.mark.parametrize(
    ("reading", "words", "remedy"),
    [
        (read_content("stop", "/var/orgmfa/stop"), 'holds "stop": nothing is written', "Write go into"),
        (
            read_content("stop # incident 12", "/var/orgmfa/stop"),
            'holds "stop # incident 12", which is not one of go, run, off, false, no: nothing is written',
            "Write go into",
        ),
        (unreadable("/var/orgmfa/stop", "not yours"), "counts as stop: nothing is written (not yours)", "read"),
    ],
)
def test_stop_switch_that_is_set_or_unreadable_is_a_problem(
    ward: Ward, reading: Reading, words: str, remedy: str
) -> None:
    ward.config = make_config(enforcement={"stop": "/var/orgmfa/stop"})
    ward.reading = reading

    report = ward.run_checks()

    assert states(report) == {"stop_switch": "problem"}
    told = line(report, CheckName.STOP_SWITCH)
    assert words in told.message
    assert remedy in told.remedy


def test_schedule_that_is_disabled_is_a_problem(ward: Ward) -> None:
    ward.is_enabled = False

    assert states(ward.run_checks()) == {"schedule": "problem"}


@pytest.mark.parametrize("target", ["payments", ACCOUNT])
def test_account_that_was_named_is_the_only_one_entered(ward: Ward, target: str) -> None:
    ward.aws.add(name="search")

    report = ward.run_checks(target)

    assert {check.account_id for check in report.checks} == {None, ACCOUNT}


def test_slack_is_asked_with_what_the_secret_holds(ward: Ward) -> None:
    ward.config = make_config(slack={"secret": "orgmfa/slack"})
    assert line(ward.run_checks(), CheckName.SLACK).message == "Slack accepts the webhook"

    ward.slack = DigestError("Slack refused the credentials: no_service")
    assert states(ward.run_checks()) == {"slack": "problem"}


@pytest.mark.parametrize(
    ("enabled", "words"),
    [
        (False, "securityhub.enabled is false: no findings are imported"),
        (True, "switched on in account 999999999999, Region eu-central-1"),
    ],
)
def test_security_hub_is_asked_only_where_findings_go_there(ward: Ward, words: str, *, enabled: bool) -> None:
    ward.config = make_config(securityhub={"enabled": enabled})

    report = ward.run_checks()

    assert words in line(report, CheckName.SECURITY_HUB).message
    assert (("security_hub", "", "") in ward.aws.calls) == enabled


def test_secret_that_cannot_be_used_leaves_slack_unknown(ward: Ward) -> None:
    ward.config = make_config(slack={"secret": "orgmfa/slack"})
    ward.aws.before = breaks("secret", fail(AccessDenied))
    assert states(ward.run_checks()) == {"slack_secret": "problem", "slack": "unknown"}

    ward.aws.before = lambda *_: None
    ward.secret = "neither"
    told = line(ward.run_checks(), CheckName.SLACK_SECRET)
    assert told.status is PROBLEM
    assert "bot_token" in told.remedy


def test_control_policies_that_cannot_be_read_or_hang_nowhere(ward: Ward) -> None:
    deny = '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
    ward.policies = (make_policy("torn", "{"), make_policy("list", "[]"), make_policy("quarantine", deny))

    told = line(ward.run_checks(), CheckName.SCP).message
    ward.targets = {}
    unattached = line(ward.run_checks(), CheckName.SCP).message

    assert told == (
        "the SCP torn cannot be read; the SCP list cannot be read; the SCP quarantine may deny iam:ListMFADevices, "
        "iam:AttachUserPolicy, iam:AddUserToGroup and 1 more in Root"
    )
    assert "quarantine" not in unattached


def test_new_accounts_of_which_no_event_told_are_named_with_the_remedy(ward: Ward) -> None:
    ward.unannounced = (ChangedAccount(id="777788889999", name="Sales", alias="acme-sales"),)

    told = line(ward.run_checks(), CheckName.ONBOARDING)

    assert (told.status, "acme-sales (777788889999)" in told.message) == (UNKNOWN, True)
    assert "forwarder in the management account" in told.remedy
    ward.unannounced = ()
    assert line(ward.run_checks(), CheckName.ONBOARDING).status is OK


# -- protections without effect


def test_protection_without_effect_is_named_and_one_for_everybody_is_a_problem(ward: Ward) -> None:
    ward.aws.accounts[ACCOUNT].users = {name: make_user(name) for name in ("alice", "bob")}
    ward.config = make_config(
        protected_users=["alice", "zoe", "*"], organization={"exclude_accounts": ["777788889999"]}
    )

    report = ward.run_checks()

    told = {check.message: check.status for check in report.checks if check.name is CheckName.PROTECTIONS}
    assert told == {
        "entry 3 of protected_users (*) matches all 2 users: nobody is enforced": PROBLEM,
        "entry 2 of protected_users (zoe) matches no user": OK,
        "organization.exclude_accounts names 777788889999, which is no account of the organization": OK,
    }


def test_protections_are_not_judged_by_some_of_the_accounts(ward: Ward) -> None:
    ward.config = make_config(protected_users=["zoe"])

    assert all(check.name is not CheckName.PROTECTIONS for check in ward.run_checks(ACCOUNT).checks)


def test_account_whose_users_cannot_be_listed_leaves_a_doubt(ward: Ward) -> None:
    ward.config = make_config(protected_users=["zoe"])
    ward.aws.before = breaks("users", fail(AccessDenied))

    report = ward.run_checks()

    assert line(report, CheckName.READS, ACCOUNT).status is PROBLEM
    assert "(accounts not read: 1)" in line(report, CheckName.PROTECTIONS).message


def test_accounts_that_cannot_be_listed_are_not_called_unknown(ward: Ward) -> None:
    ward.config = make_config(organization={"exclude_accounts": [ACCOUNT]})
    ward.aws.before = breaks("list", fail(AccessDenied))

    assert all(check.name is not CheckName.PROTECTIONS for check in ward.run_checks().checks)


@pytest.mark.parametrize(
    ("policies", "targets", "status", "words"),
    [
        ((), {}, UNKNOWN, "no SCP keeps EnforceMFA from being rewritten"),
        ((make_policy("orgmfa", PROTECT),), {}, UNKNOWN, "no SCP keeps EnforceMFA from being rewritten"),
        ((make_policy("orgmfa", PROTECT),), {"ou-ab12-1": "Root", "1": "lab"}, UNKNOWN, "outside of Root, lab"),
        ((make_policy("orgmfa", PROTECT),), {"ou-ab12-1": "Lab", "r-ab12": "Root"}, OK, "an SCP on the root"),
        ((make_policy("torn", "{"), make_policy("orgmfa", PROTECT)), {"r-ab12": "Root"}, OK, "an SCP on the root"),
        ((make_policy("other", "{}"),), {"r-ab12": "Root"}, UNKNOWN, "no SCP keeps"),
    ],
)
def test_where_no_control_policy_guards_the_policy_doctor_says_so(
    ward: Ward, policies: Any, targets: dict[str, str], status: CheckStatus, words: str
) -> None:
    ward.policies, ward.targets = policies, targets

    told = line(ward.run_checks(), CheckName.GUARD)

    assert told.status is status
    assert words in told.message
    assert status is OK or "protect.scp.json" in told.remedy
