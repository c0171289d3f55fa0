"""What holds a user before a write, through the command line against a served AWS, whose books are the judge.

moto knows neither SimulatePrincipalPolicy nor ListServiceSpecificCredentials: both answers are injected there.
"""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.aws.simulator import SIGN_IN_UNKNOWN
from orchestrator.reports.report import RunReport, UserReport
from tests.aws_server import Answer, AwsServer, Call, Credential, members, simulated, simulation, xml_error
from tests.cli.calling import Cli, Sample, outcomes, written

pytestmark = pytest.mark.thorough

LIST, SIMULATE, LIST_SSH = "ListServiceSpecificCredentials", "SimulatePrincipalPolicy", "ListSSHPublicKeys"
BOTH_WRITTEN = [("AttachUserPolicy", "alice"), ("AttachUserPolicy", "carol")]


def user_of(report: RunReport, name: str = "alice") -> UserReport:
    (found,) = [user for account in report.accounts for user in account.users if user.name == name]
    return found


def code_of(report: RunReport, name: str = "alice") -> str | None:
    error = user_of(report, name).error
    return None if error is None else error.code


def refuse(aws: AwsServer, action: str, code: str = "AccessDenied", status: int = 403) -> None:
    aws.faults.append(lambda call: xml_error(code, status=status) if call.action == action else None)


# -- credentials


def test_user_with_an_active_credential_is_held_and_told_everywhere(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.credentials += [
        Credential(sample.payments, "alice", "bedrock.amazonaws.com"),
        Credential(sample.payments, "alice", expires="2026-01-01T00:00:00Z"),
        Credential(sample.search, "carol", status="Inactive"),
    ]

    code, report = cli.report("apply", "--yes")

    assert (code, code_of(report)) == (1, "active_credential")
    assert written(aws) == [("AttachUserPolicy", "carol")]
    assert user_of(report).service_credentials == ("bedrock.amazonaws.com",)
    assert "bedrock.amazonaws.com" in user_of(report).error.message  # type: ignore[union-attr]
    said = "Service credentials and SSH keys that would stop, of users held for it: 1."
    plan = " ".join(cli("plan", COLUMNS="200").stdout.split())
    assert said in plan
    assert "alice (1 service credential)" in plan
    page, rows = cli.exported()
    assert said in page
    assert '"bedrock.amazonaws.com"' in page
    assert (rows["alice"]["service_credentials"], rows["carol"]["service_credentials"]) == ("bedrock.amazonaws.com", "")


def test_user_with_an_ssh_key_is_held(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    iam = aws.client("iam", sample.payments)
    iam.upload_ssh_public_key(UserName="alice", SSHPublicKeyBody="ssh-rsa AAAA")
    aws.forget_calls()

    _, report = cli.report("apply", "--yes")

    assert code_of(report) == "active_credential"
    assert user_of(report).service_credentials == ("codecommit.amazonaws.com (SSH key)",)
    assert written(aws) == [("AttachUserPolicy", "carol")]
    assert not [call for call in aws.calls if call.action == SIMULATE and call.account_id == sample.payments]


def test_credentials_are_asked_for_where_a_change_is_planned_and_nowhere_else(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    aws.forget_calls()
    cli.report("plan")

    asked = sorted(call.account_id for call in aws.calls if call.action == LIST)
    assert asked == sorted([sample.payments, sample.search])
    assert sorted(call.parameters["UserName"] for call in aws.calls if call.action == LIST_SSH) == ["alice", "carol"]


def test_credentials_are_not_asked_for_where_access_keys_go_on_working(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    aws.credentials.append(Credential(sample.payments, "alice"))
    cli.report("plan", ORGMFA_POLICY_ACCESS_KEYS="allow")

    assert not {LIST, LIST_SSH} & set(aws.actions())


@pytest.mark.parametrize("action", [LIST, LIST_SSH])
@pytest.mark.parametrize("code", ["AccessDenied", "InternalFailure"])
def test_role_that_may_not_ask_inspects_and_holds_whoever_has_a_planned_change(
    aws: AwsServer, cli: Cli, sample: Sample, monkeypatch: pytest.MonkeyPatch, action: str, code: str
) -> None:
    monkeypatch.setattr("orchestrator.aws.retries.FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr("orchestrator.aws.retries.MAX_WAIT_SECONDS", 0.001)
    refuse(aws, action, code)

    exit_code, report = cli.report("apply", "--yes")

    assert exit_code == 1
    assert {account.status for account in report.accounts} == {"inspected"}
    assert outcomes(report) == {"alice": "held", "bob": "none", "carol": "held"}
    assert code_of(report) == "active_credential"
    assert code in user_of(report).error.message  # type: ignore[union-attr]
    assert written(aws) == []


# -- the simulator


def test_planned_user_costs_three_questions_about_enrolling_and_one_about_guards(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    aws.forget_calls()
    cli.report("plan", "--account", sample.payments)

    asked = [members(call, "ResourceArns") for call in aws.calls if call.action == SIMULATE]
    arn = f"arn:aws:iam::{sample.payments}"
    assert sorted(asked) == [["*"], [f"{arn}:mfa/*"], [f"{arn}:user/alice"], ["arn:aws:signin:::console/*"]]


def test_tags_of_the_user_and_the_organization_are_told(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.client("iam", sample.payments).tag_user(UserName="alice", Tags=[{"Key": "team", "Value": "payments"}])
    aws.forget_calls()
    cli.report("plan", "--account", sample.payments)

    for call in (call for call in aws.calls if call.action == SIMULATE):
        given = context_of(call)
        assert given["aws:PrincipalTag/team"] == "payments"
        assert given["aws:PrincipalOrgID"] == sample.organization.id
        assert given["aws:MultiFactorAuthPresent"] == "false"


def context_of(call: Call) -> dict[str, str]:
    entries = [name.removesuffix(".ContextKeyName") for name in call.parameters if name.endswith(".ContextKeyName")]
    said = call.parameters
    return {said[f"{entry}.ContextKeyName"]: said[f"{entry}.ContextKeyValues.member.1"] for entry in entries}


def deny_outside_the_office(aws: AwsServer) -> None:
    """Have a policy deny all unless aws:SourceIp is the office's; a key that is missing is none of it."""

    def answer(call: Call) -> Answer | None:
        if call.action != SIMULATE:
            return None
        address = context_of(call).get("aws:SourceIp")
        decided: dict[str, Any] = {"decision": "allowed" if address == "198.51.100.7" else "explicitDeny"}
        decided |= {} if address else {"missing": ["aws:SourceIp"]}
        (resource,) = members(call, "ResourceArns")
        return simulation(*(simulated(action, resource, **decided) for action in members(call, "ActionNames")))

    aws.faults.append(answer)


def test_key_that_is_missing_holds_until_the_operator_gives_it(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    deny_outside_the_office(aws)

    _, unknown = cli.report("apply", "--yes")
    assert (code_of(unknown), code_of(unknown, "carol")) == ("cannot_tell", "cannot_tell")
    assert "aws:SourceIp: put the value into enforcement.context" in user_of(unknown).error.message  # type: ignore[union-attr]
    assert "no way back" not in user_of(unknown).error.message  # type: ignore[union-attr]
    assert "enforcement.context" in cli("plan").stdout
    assert written(aws) == []

    cli.configure("enforcement:\n  context: {aws:SourceIp: 203.0.113.9}\n")
    _, elsewhere = cli.report("apply", "--yes")
    assert code_of(elsewhere) == "cannot_enrol"
    assert written(aws) == []

    cli.configure("enforcement:\n  context: {aws:SourceIp: 198.51.100.7}\n")
    code, known = cli.report("apply", "--yes")
    assert (code, outcomes(known)["alice"]) == (0, "enforced")
    assert written(aws) == BOTH_WRITTEN


def test_simulator_that_cannot_be_asked_holds_as_not_known(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    refuse(aws, SIMULATE)

    _, report = cli.report("apply", "--yes")

    assert code_of(report) == "cannot_tell"
    assert "AccessDenied" in user_of(report).error.message  # type: ignore[union-attr]
    assert written(aws) == []


def test_scp_that_denies_is_told_as_such(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.cannot_enrol.add("alice")

    _, report = cli.report("apply", "--yes")

    assert code_of(report) == "cannot_enrol"
    assert "SCP" in user_of(report).error.message  # type: ignore[union-attr]
    assert written(aws) == [("AttachUserPolicy", "carol")]


def test_sign_in_that_cannot_be_simulated_holds_nobody_and_is_said_once(
    aws: AwsServer, cli: Cli, sample: Sample, tmp_path: Path
) -> None:
    def answer(call: Call) -> Answer | None:
        is_console = call.action == SIMULATE and "signin" in members(call, "ResourceArns")[0]
        return xml_error("InvalidInput", "signin:Authenticate is unknown") if is_console else None

    aws.faults.append(answer)

    shown = " ".join(cli("plan").stdout.split())
    code, report = cli.report("apply", "--yes")

    assert (code, report.errors) == (0, ())
    assert written(aws) == BOTH_WRITTEN
    assert shown.count(SIGN_IN_UNKNOWN.message) == 1
    assert [account.notes for account in report.accounts if account.notes] == [(SIGN_IN_UNKNOWN.message,)] * 2
