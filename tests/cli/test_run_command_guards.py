"""Guards of others and unused users, through the command line against a served AWS, whose books are the judge.

moto has no policy simulator: `tests.guarding` takes its place, evaluating the policies of a scenario.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.reports.report import GuardReport, RunReport, UserReport
from tests.aws_server import Answer, AwsServer, Call
from tests.cli.calling import Cli, Sample, outcomes, written
from tests.guarding import DENY_KEYS_TO_ENROL, GUARD, SIMULATE, SPARES_KEYS, Simulation, deny, document, questions

pytestmark = pytest.mark.thorough

ACCEPT = "enforcement: {guarded: accept}\n"
BOTH = [("AttachUserPolicy", "alice"), ("AttachUserPolicy", "carol")]
BY_SCP = GuardReport(by=("SCP",), partial=False)


def user_of(report: RunReport, name: str = "alice") -> UserReport:
    (found,) = [user for account in report.accounts for user in account.users if user.name == name]
    return found


def test_guarded_users_are_shown_everywhere_and_enforced(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.faults.append(Simulation(scps=[document(deny(Action="s3:*"))], policies={"Force_MFA": GUARD}))

    plan = " ".join(cli("plan", COLUMNS="200").stdout.split())
    code, report = cli.report("apply", "--yes")

    assert (code, outcomes(report)["alice"]) == (0, "enforced")
    assert written(aws) == BOTH
    assert user_of(report).guarded == GuardReport(by=("SCP", "policy Force_MFA"), partial=False)
    assert user_of(report, "bob").guarded is None
    said = "Denied without MFA by others already: 2 of 2 planned users."
    assert said in plan
    assert "alice (denied without MFA by SCP, policy Force_MFA" in plan
    page, rows = cli.exported()
    assert said in page
    assert '"denied without MFA by SCP, policy Force_MFA"' in page
    assert (rows["alice"]["guarded"], rows["bob"]["guarded"]) == ("denied without MFA by SCP, policy Force_MFA", "")


def test_guard_by_scp_that_is_accepted_is_left_alone_until_the_run_that_finds_it_gone(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    cli.configure(ACCEPT)
    aws.faults.append(guard := Simulation(scps=[GUARD]))

    code, report = cli.report("apply", "--yes")
    assert (code, outcomes(report)) == (0, {"alice": "guarded", "bob": "none", "carol": "guarded"})
    assert (report.totals.guarded, user_of(report).guarded) == (2, BY_SCP)
    assert user_of(report).reason == "SCPs deny the user without MFA already (enforcement.guarded: accept)"
    assert "2 guarded by others" in " ".join(cli("plan").stdout.split())
    assert written(aws) == []

    guard.scps = []
    code, report = cli.report("apply", "--yes")
    assert (code, outcomes(report)) == (0, {"alice": "enforced", "bob": "none", "carol": "enforced"})
    assert written(aws) == BOTH


@pytest.mark.parametrize(
    "guard",
    [
        # Who administers an account could have written it.
        Simulation(policies={"Force_MFA": GUARD}),
        Simulation(policies={"SCP": GUARD}),
        # A part of it is of a policy, or missing.
        Simulation(scps=[document(deny(Action="s3:*"), DENY_KEYS_TO_ENROL)], policies={"Force_MFA": GUARD}),
        Simulation(scps=[document(deny(Action="s3:*"), DENY_KEYS_TO_ENROL)]),
        # Long-term keys are let through, or may enrol a device.
        Simulation(scps=[document(deny(SPARES_KEYS), DENY_KEYS_TO_ENROL)]),
        Simulation(scps=[document(deny())]),
    ],
)
def test_guard_that_is_not_proven_is_enforced_all_the_same(
    aws: AwsServer, cli: Cli, sample: Sample, guard: Simulation
) -> None:
    cli.configure(ACCEPT)
    aws.faults.append(guard)

    code, report = cli.report("apply", "--yes")

    assert (code, outcomes(report)["alice"]) == (0, "enforced")
    assert user_of(report).guarded is not None
    assert written(aws) == BOTH


@pytest.mark.parametrize(("keys", "outcome"), [("allow", "guarded"), ("deny", "enforced")])
def test_guard_that_lets_keys_through_is_accepted_where_ours_does_so_too(
    aws: AwsServer, cli: Cli, sample: Sample, keys: str, outcome: str
) -> None:
    cli.configure(f"{ACCEPT}policy: {{access_keys: {keys}, managed_by: orchestrator}}\n")
    aws.faults.append(Simulation(scps=[document(deny(SPARES_KEYS), DENY_KEYS_TO_ENROL)]))

    _, report = cli.report("plan")

    assert outcomes(report)["alice"] == ("planned" if outcome == "enforced" else outcome)


@pytest.mark.parametrize(
    ("config", "asked"),
    [("", [("*", "false"), ("*", "true")]), (ACCEPT, [("*", "false"), ("*", "true"), ("own", None), ("*", None)])],
)
def test_guarded_user_costs_two_questions_and_where_it_can_be_accepted_two_about_keys(
    aws: AwsServer, cli: Cli, sample: Sample, config: str, asked: list[Any]
) -> None:
    cli.configure(config)
    aws.faults.append(Simulation(scps=[GUARD]))
    cli.report("plan")

    own = f"arn:aws:iam::{sample.payments}:user/alice"
    found = [("own" if resource == own else resource, mfa) for resource, mfa in questions(aws.calls, sample.payments)]
    assert found == asked


@pytest.mark.parametrize("failing", range(4))
def test_question_about_a_guard_that_fails_is_no_guard(
    aws: AwsServer, cli: Cli, sample: Sample, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.aws.retries.FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr("orchestrator.aws.retries.MAX_WAIT_SECONDS", 0.001)
    cli.configure(ACCEPT)
    guard, asked = Simulation(scps=[GUARD]), 0

    def answer(call: Call) -> Answer | None:
        nonlocal asked
        if call.action == SIMULATE and "PolicyInputList.member.1" not in call.parameters:
            asked += 1
            if asked == failing + 1:
                return Answer(400, "<ErrorResponse><Error><Code>InvalidInput</Code></Error></ErrorResponse>")
        return guard(call)

    aws.faults.append(answer)

    code, report = cli.report("apply", "--yes", "--account", sample.payments)

    assert (code, outcomes(report)["alice"]) == (0, "enforced")
    assert written(aws) == [("AttachUserPolicy", "alice")]


def test_accepting_guards_needs_the_simulator(cli: Cli) -> None:
    cli.configure("enforcement: {guarded: accept, check_enrolment: false}\n")

    done = cli("config", "--check")

    assert done.returncode == 2
    assert "guarded: accept needs check_enrolment: true" in done.stderr


# -- unused users


def set_sign_in(account_id: str, name: str, *, created: datetime, used: datetime | None) -> None:
    """Give a user a time of creation, and its password one of the last use, as the credential report tells them."""
    user: Any = get_backend("iam")[account_id]["aws"].users[name]
    user.create_date, user.password_last_used = created.replace(tzinfo=None), used


def test_users_who_have_not_signed_in_are_shown_beside_what_is_done_and_nothing_of_them_is_deleted(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    set_sign_in(sample.payments, "alice", created=now - timedelta(days=400), used=None)
    set_sign_in(sample.payments, "bob", created=now - timedelta(days=400), used=None)
    set_sign_in(sample.search, "carol", created=now - timedelta(days=400), used=now - timedelta(days=91))

    plan = " ".join(cli("plan", COLUMNS="200").stdout.split())
    code, report = cli.report("apply", "--yes")

    assert (code, outcomes(report)) == (0, {"alice": "enforced", "bob": "none", "carol": "enforced"})
    assert written(aws) == BOTH
    found = {name: user_of(report, name) for name in ("alice", "bob", "carol")}
    assert {name: user.unused for name, user in found.items()} == {"alice": True, "bob": False, "carol": True}
    assert (found["alice"].password_last_used, found["bob"].password_last_used) == ("never", "never")
    assert found["carol"].password_last_used == now - timedelta(days=91)
    said = (
        "2 users without MFA have not signed in for enforcement.unused_after, or never: remove the password first "
        "(aws iam delete-login-profile --user-name NAME), or the user."
    )
    assert said in plan
    assert "alice (never signed in)" in plan
    assert f"carol (not signed in since {now - timedelta(days=91):%Y-%m-%d})" in plan
    page, rows = cli.exported()
    assert said in page
    assert '"never signed in"' in page
    by_name = {name: (row["unused"], row["password_last_used"]) for name, row in rows.items()}
    assert by_name["alice"] == ("yes", "never")
    assert by_name["carol"] == ("yes", f"{now - timedelta(days=91):%Y-%m-%dT%H:%M:%SZ}")
    assert by_name["bob"] == ("no", "never")


@pytest.mark.parametrize(("after", "unused"), [("92d", False), ("0d", False), ("90d", True)])
def test_nobody_is_unused_within_the_time_that_is_configured(
    aws: AwsServer, cli: Cli, sample: Sample, after: str, unused: bool
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=91)
    set_sign_in(sample.payments, "alice", created=long_ago - timedelta(days=1), used=long_ago)

    _, report = cli.report("plan", ORGMFA_ENFORCEMENT_UNUSED_AFTER=after)

    assert user_of(report).unused is unused


def test_report_and_page_count_users_by_the_kind_of_their_device(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    sample.organization.add_user(sample.search, "dave", mfa="fido")

    _, report = cli.report("plan")
    cli("report", "--html", "page.html")

    assert (report.totals.compliant, report.totals.mfa_virtual, report.totals.mfa_other) == (2, 1, 1)
    page = (cli.folder / "page.html").read_text(encoding="utf-8")
    assert "1 by an app (not phishing-resistant)" in page
    assert "1 by a passkey or security key (phishing-resistant) or a hardware token" in page
