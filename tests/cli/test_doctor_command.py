"""`orgmfa doctor`: each fault is one line with a remedy, everything else is still checked, and nothing is changed."""

import json
from pathlib import Path

import pytest

from orchestrator.aws.sessions import READ_ACTIONS
from orchestrator.doctor import CheckName, CheckStatus, DoctorReport
from tests.aws_server import MANAGEMENT, Answer, AwsServer
from tests.doctor.command import OK, PROBLEM, UNKNOWN, Doctor, Sample, denies, faults, line, make_sample
from tests.fake_slack import FakeSlack
from tests.interrupting import interrupt_at

pytestmark = pytest.mark.thorough


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return Doctor(tmp_path)


@pytest.fixture
def sample(aws: AwsServer) -> Sample:
    """What the StackSet puts into each account is there; in place of the sample of the other commands."""
    return aws.prepare(make_sample)


def test_all_is_well_and_nothing_was_changed(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    done = doctor()

    words = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No problem found" in words
    assert "Nothing was changed in any account" in words
    assert "orgmfa-member and orgmfa-release are as the template makes them" in words
    assert "problem " not in done.stdout.replace("No problem found", "")
    assert all(len(text) <= 80 for text in done.stdout.splitlines())
    assert aws.writes() == []
    assert [path for path in (doctor.folder / "orgmfa-runs").rglob("*") if path.is_file()] == []


def test_the_accounts_are_read_with_the_calls_of_a_plan_alone(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.report()

    inside = [call for call in aws.calls if call.service == "iam"]
    assumed = [call.parameters for call in aws.calls if call.action == "AssumeRole"]
    reading = [one for one in assumed if one["RoleArn"].endswith("/orgmfa-member")]
    assert {f"iam:{call.action}" for call in inside} <= set(READ_ACTIONS)
    assert {call.account_id for call in inside} == {MANAGEMENT, sample.payments, sample.search}
    assert len(assumed) == 6
    assert len(reading) == 3
    assert all("Policy" in one for one in reading)


def test_json_is_one_report_on_stdout_and_nothing_else(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    code, report = doctor.report("--verbose")

    assert code == 0
    assert report.ok
    assert report.schema_version == 1
    of_events = {CheckName.IAM_EVENTS, CheckName.EVENTS_ROLE}  # checked where the functions are to hear of them
    assert {check.name for check in report.checks} == set(CheckName) - of_events
    assert {check.account_id for check in report.checks} == {None, MANAGEMENT, sample.payments, sample.search}
    assert "problem" not in {check.status.value for check in report.checks}


def test_one_account_is_all_that_is_entered(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.configure("concurrency: {workers: 2}\n")
    code, report = doctor.report("--account", sample.payments, "--config", "config.yaml")
    named, by_name = doctor.report("--account", "payments", ORGMFA_CONFIG="config.yaml")

    assert (code, named) == (0, 0)
    assert line(report, CheckName.CONFIGURATION).message == line(by_name, CheckName.CONFIGURATION).message
    assert {check.account_id for check in report.checks} == {None, sample.payments}
    assert {check.account_id for check in by_name.checks} == {None, sample.payments}


def test_missing_role_is_a_problem_and_the_other_accounts_are_checked(
    aws: AwsServer, doctor: Doctor, sample: Sample
) -> None:
    aws.missing_roles.add((sample.search, "orgmfa-member"))

    code, report = doctor.report()
    told = doctor()

    assert code == told.returncode == 1
    assert faults(report) == [("member_role", sample.search)]
    assert "StackSet" in line(report, CheckName.MEMBER_ROLE, sample.search).remedy
    assert line(report, CheckName.ROLE_POLICIES, sample.payments).status is OK
    assert f"search ({sample.search})" in told.stdout
    assert "Remedy: The role orgmfa-member is missing" in " ".join(told.stdout.split())
    assert "1 problem" in told.stdout


def test_denied_read_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("ListAccountAliases", sample.payments))

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("reads", sample.payments)]
    assert "iam:ListAccountAliases" in line(report, CheckName.READS, sample.payments).remedy
    assert line(report, CheckName.POLICY, sample.payments).status is OK


def test_drifted_policy_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    iam = aws.client("iam", sample.payments)
    grants_all = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    arn = f"arn:aws:iam::{sample.payments}:policy/EnforceMFA"
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(grants_all), SetAsDefault=True)
    iam.put_group_policy(GroupName="EnforceMFA", PolicyName="more", PolicyDocument=json.dumps(grants_all))

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("policy", sample.payments), ("group", sample.payments)]
    assert line(report, CheckName.POLICY, sample.payments).remedy


def test_roles_that_are_not_the_templates_are_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    iam = aws.client("iam", sample.search)
    anybody = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    iam.update_assume_role_policy(RoleName="orgmfa-release", PolicyDocument=json.dumps(anybody))
    arn = f"arn:aws:iam::{sample.search}:policy/EnforceMFA"
    iam.attach_role_policy(RoleName="orgmfa-member", PolicyArn=arn)

    code, report = doctor.report()

    told = line(report, CheckName.ROLE_POLICIES, sample.search)
    assert code == 1
    assert faults(report) == [("role_policies", sample.search)]
    assert "orgmfa-release trusts others" in told.message
    assert f"orgmfa-member has {arn} attached" in told.message
    assert "StackSet" in told.remedy


def test_wrong_organization_is_a_problem_and_no_account_is_entered(
    aws: AwsServer, doctor: Doctor, sample: Sample
) -> None:
    doctor.configure("organization: {id: o-someoneelse1}\n")

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("organization", None)]
    assert line(report, CheckName.MEMBER_ROLE).status is UNKNOWN
    assert line(report, CheckName.ARCHIVE).status is OK
    assert "AssumeRole" not in aws.actions()


def test_listing_that_is_denied_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("ListAccounts", MANAGEMENT))

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("accounts", None)]
    assert "delegated administrator" in line(report, CheckName.ACCOUNTS).remedy
    assert line(report, CheckName.ARCHIVE).status is OK


def test_archive_in_a_bucket_is_left_as_it_was(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="acme-archive")
    doctor.configure("archive: {location: 's3://acme-archive/orgmfa'}\n")
    aws.forget_calls()

    code, report = doctor.report()

    puts = [call.action for call in aws.calls if call.action.startswith("PUT")]
    assert code == 0, report
    assert len(puts) == 1
    assert puts[0].startswith("PUT /acme-archive/orgmfa/probe/")
    assert s3.list_objects_v2(Bucket="acme-archive")["KeyCount"] == 0


def test_archive_that_cannot_be_written_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.configure("archive: {location: 's3://acme-nowhere/orgmfa'}\n")

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("archive", None)]
    assert "archive.location" in line(report, CheckName.ARCHIVE).remedy
    assert line(report, CheckName.MEMBER_ROLE, sample.payments).status is OK


def test_slack_is_asked_and_nobody_sees_a_message(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    with FakeSlack() as slack:
        code, report = doctor.report(ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)

    assert code == 0
    assert "accepts the webhook" in line(report, CheckName.SLACK).message
    assert slack.messages == []
    assert slack.requests == 1


def test_dead_webhook_is_a_problem_and_is_never_told(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    with FakeSlack() as slack:
        dead = slack.webhook_url + "-mistyped"
        aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=dead)
        doctor.configure("slack: {secret: orgmfa/slack}\n")
        done = doctor("--output", "json", "--verbose")

    report = DoctorReport.model_validate_json(done.stdout)
    assert done.returncode == 1
    assert faults(report) == [("slack", None)]
    assert "no_service" in line(report, CheckName.SLACK).message
    assert "new webhook" in line(report, CheckName.SLACK).message
    assert line(report, CheckName.SLACK_SECRET).status is OK
    assert "/services/" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", [None, "neither a URL nor JSON"])
def test_secret_that_cannot_be_used_is_a_problem(
    aws: AwsServer, doctor: Doctor, sample: Sample, text: str | None
) -> None:
    if text is not None:
        aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=text)
    doctor.configure("slack: {secret: orgmfa/slack}\n")

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("slack_secret", None)]
    assert "orgmfa/slack" in line(report, CheckName.SLACK_SECRET).remedy
    assert line(report, CheckName.SLACK).status is UNKNOWN


@pytest.mark.parametrize("place", ["file", "parameter"])
def test_stop_that_is_set_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample, place: str) -> None:
    switch = "./stop" if place == "file" else "ssm:/orgmfa/stop"
    doctor.configure(f"enforcement: {{stop: '{switch}'}}\n")
    before, absent = doctor.report()
    (doctor.folder / "stop").write_text("STOP\n", encoding="utf-8")
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value="stop", Type="String")

    code, report = doctor.report()

    assert (before, code) == (0, 1)
    assert "does not exist" in line(absent, CheckName.STOP_SWITCH).message
    assert faults(report) == [("stop_switch", None)]
    assert switch in line(report, CheckName.STOP_SWITCH).remedy
    shown = str(doctor.folder / "stop") if place == "file" else switch
    word = "STOP" if place == "file" else "stop"
    assert line(report, CheckName.STOP_SWITCH).message == f'{shown} holds "{word}": nothing is written'


def test_paths_are_shown_as_they_are_used(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.configure("{enforcement: {stop: ~/stop}, archive: {location: ./runs}}")
    (doctor.folder / "stop").write_text("stop # incident 12", encoding="utf-8")

    code, report = doctor.report(HOME=str(doctor.folder), ORGMFA_CONFIG="$HOME/config.yaml")

    assert code == 1
    assert f"read from {doctor.folder}/config.yaml;" in line(report, CheckName.CONFIGURATION).message
    assert line(report, CheckName.ARCHIVE).message.startswith(f"{doctor.folder}/runs can be written")
    assert line(report, CheckName.STOP_SWITCH).message == (
        f'{doctor.folder}/stop holds "stop # incident 12", which is not one of go, run, off, false, no: '
        "nothing is written"
    )


def test_stop_that_cannot_be_read_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("GetParameter", MANAGEMENT))
    doctor.configure("enforcement: {stop: 'ssm:/orgmfa/stop'}\n")

    code, report = doctor.report()

    assert code == 1
    assert "counts as stop" in line(report, CheckName.STOP_SWITCH).message


@pytest.mark.parametrize(("state", "status"), [("ENABLED", OK), ("DISABLED", PROBLEM)])
def test_schedule_is_looked_at(aws: AwsServer, doctor: Doctor, sample: Sample, state: str, status: CheckStatus) -> None:
    scheduler = aws.client("scheduler")
    scheduler.create_schedule_group(Name="orgmfa")
    scheduler.create_schedule(
        Name="orgmfa-daily",
        GroupName="orgmfa",
        ScheduleExpression="cron(0 12 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        State=state,
        Target={
            "Arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
        },
    )

    _, report = doctor.report()

    told = line(report, CheckName.SCHEDULE)
    assert told.status is status
    assert "cron(0 12 * * ? *) UTC" in told.message
    assert bool(told.remedy) is (status is PROBLEM)


def test_function_of_another_archive_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    variables = {"ORGMFA_ENFORCEMENT_MODE": "apply", "ORGMFA_ARCHIVE_LOCATION": "s3://acme-archive/archive"}
    body = json.dumps({"FunctionName": "orgmfa-schedule", "State": "Active", "Environment": {"Variables": variables}})
    aws.faults.append(lambda call: Answer(200, body, "application/json") if call.service == "lambda" else None)

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("function", None)]
    assert "s3://acme-archive/archive" in line(report, CheckName.FUNCTION).remedy


def test_control_policy_that_may_stop_a_run_is_told_as_a_maybe(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    organizations = sample.organization.organizations
    for name, condition in (("NoMoreIam", {}), ("OnlyOurRegion", {"Condition": {"StringEquals": {"aws:x": "y"}}})):
        statement = {"Effect": "Deny", "Action": "iam:Attach*", "Resource": "*"} | condition
        made = organizations.create_policy(
            Name=name,
            Description="",
            Type="SERVICE_CONTROL_POLICY",
            Content=json.dumps({"Version": "2012-10-17", "Statement": statement}),
        )
        organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=sample.search)

    code, report = doctor.report()

    told = line(report, CheckName.SCP)
    assert code == 0
    assert told.status is UNKNOWN
    assert told.message == "the SCP NoMoreIam may deny iam:AttachUserPolicy in search"
    assert "orgmfa-member" in told.remedy


def test_security_hub_that_is_off_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    on = {"ORGMFA_SECURITYHUB_ENABLED": "true"}
    code, report = doctor.report(**on)

    assert (code, faults(report)) == (1, [("security_hub", None)])
    assert (
        f"Switch Security Hub CSPM on in account {MANAGEMENT}, Region us-east-1"
        in line(report, CheckName.SECURITY_HUB).remedy
    )
    aws.client("securityhub").enable_security_hub()
    assert doctor.report(**on)[0] == 0


def test_what_may_not_be_read_is_unknown(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("ListPolicies", MANAGEMENT))

    code, report = doctor.report()

    assert code == 0
    assert line(report, CheckName.SCP).status is UNKNOWN
    assert "organizations:ListPolicies" in line(report, CheckName.SCP).remedy
    assert line(report, CheckName.SCHEDULE).status is UNKNOWN
    assert "central.yaml" in line(report, CheckName.SCHEDULE).remedy


def test_several_faults_are_all_told(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.missing_roles |= {(sample.search, "orgmfa-member"), (sample.payments, "orgmfa-member")}
    doctor.configure("archive: {location: 's3://acme-nowhere/x'}\nslack: {secret: missing}\n")

    done = doctor()

    words = " ".join(done.stdout.split())
    assert done.returncode == 1
    assert f"2 accounts: payments ({sample.payments}), search ({sample.search})" in words
    assert "arn:aws:iam::ACCOUNT:role/orgmfa-member" in words.replace(" ", "") or "ACCOUNT" in words
    assert "3 problems" in words


@pytest.mark.parametrize(
    ("arguments", "config", "words"),
    [
        (["--account", "nobody"], "", ("--account", "nobody", "matches no account")),
        (["--account", "000000000000"], "", ("--account", "000000000000")),
        (["--ou", "ou-none-00000000"], "", ("--ou", "ou-none-00000000")),
        (["--config", "missing.yaml"], "", ("missing.yaml",)),
        ([], "enforcement: {user: all}\n", ("config.yaml", "enforcement.user")),
        (["--output", "xml"], "", ("--output",)),
    ],
)
def test_call_that_cannot_be_used_is_refused(
    doctor: Doctor, sample: Sample, arguments: list[str], config: str, words: tuple[str, ...]
) -> None:
    doctor.configure(config)

    done = doctor(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words)


def test_without_credentials_nothing_can_be_checked(doctor: Doctor, sample: Sample) -> None:
    done = doctor(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert (done.returncode, done.stdout) == (2, "")
    assert "credentials" in done.stderr


def test_sandbox_needs_nothing_and_shows_its_faults(doctor: Doctor) -> None:
    with FakeSlack() as slack:
        code, report = doctor.report(
            "--sandbox",
            ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url,
            AWS_ACCESS_KEY_ID="",
            AWS_SECRET_ACCESS_KEY="",
        )

    assert code == 1
    assert slack.requests == 0
    assert line(report, CheckName.CONFIGURATION).message.startswith("read from the sandbox")
    assert {"member_role", "reads", "policy"} <= {name for name, _ in faults(report)}
    assert len({check.account_id for check in report.checks} - {None}) == 14


def test_protections_without_effect_are_named(doctor: Doctor, sample: Sample) -> None:
    sample.organization.add_user(sample.search, "alice")
    doctor.configure("protected_users: [alice, zoe]\norganization: {exclude_accounts: ['777788889999']}\n")

    code, report = doctor.report()

    told = [check.message for check in report.checks if check.name is CheckName.PROTECTIONS]
    assert code == 0
    assert told == [
        "entry 2 of protected_users (zoe) matches no user",
        "organization.exclude_accounts names 777788889999, which is no account of the organization",
    ]


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (None, OK, "is off"),
        (Answer(200, '{"consoleAuthorizationEnabled": true}', "application/json"), OK, "is on: an earlier text"),
        (Answer(200, "{}", "application/json"), UNKNOWN, "not known"),
        (Answer(403, '{"__type": "AccessDeniedException", "message": "no"}', "application/json"), UNKNOWN, "not known"),
        (Answer(404, '{"__type": "ResourceNotFoundException"}', "application/json"), UNKNOWN, "not known"),
    ],
)
def test_console_authorization_is_told_where_the_api_tells(
    aws: AwsServer, doctor: Doctor, sample: Sample, answer: Answer | None, status: CheckStatus, words: str
) -> None:
    aws.faults.append(lambda call: answer if call.action == "GetConsoleAuthorizationConfiguration" else None)

    code, report = doctor.report()

    assert code == 0
    assert line(report, CheckName.CONSOLE_SIGN_IN).status is status
    assert words in line(report, CheckName.CONSOLE_SIGN_IN).message
    asked = [call.parameters for call in aws.calls if call.service == "signin"]
    assert asked == [{"targetId": sample.organization.id}]


@pytest.mark.parametrize("action", ["DescribeOrganization", "ListAccounts"])
def test_doctor_that_was_interrupted_does_not_end_as_one_that_found_nothing(
    aws: AwsServer, doctor: Doctor, sample: Sample, action: str
) -> None:
    assert doctor("--account", sample.payments).returncode == 0
    interrupt_at(aws, action)

    code, report = doctor.report("--account", sample.payments)

    assert line(report, CheckName.MEMBER_ROLE, sample.payments).status is UNKNOWN
    assert report.ok
    assert code == 1
