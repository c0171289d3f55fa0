"""The SCP of orgmfa through the command line: what a release says of it, and the preflight."""

from pathlib import Path

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.scp import render_scp
from orchestrator.wiring import utc_now
from tests.aws_server import (
    MANAGEMENT,
    Answer,
    AwsServer,
    Call,
    Credential,
    json_error,
    members,
    simulated,
    simulation,
)
from tests.builders import make_config
from tests.cli.calling import Cli, Sample, assert_refused, outcomes, written

pytestmark = pytest.mark.thorough


def attach(aws: AwsServer, *targets: str, config: Config | None = None) -> None:
    """Attach the SCP of a configuration, as the people of the management account do."""
    client = aws.client("organizations")
    text = render_scp(config or Config(), "aws", utc_now()).text
    made = client.create_policy(Name="mfa", Description="x", Type="SERVICE_CONTROL_POLICY", Content=text)
    for target in targets:
        client.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=target)


# -- release


def test_release_names_whom_an_attached_scp_blocks_all_the_same(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    sample.organization.add_user(MANAGEMENT, "dave")
    cli("apply", "--yes")
    attach(aws, sample.organization.root_id, config=make_config(protected_users=["carol"]))

    done = cli("release", "--yes", "--output", "json")

    assert "The SCP mfa (Root) still blocks without MFA: alice (acme-payments). " in done.stderr
    assert "orgmfa release frees nobody from an SCP" in done.stderr


def test_release_knows_which_accounts_an_scp_reaches(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    organization = sample.organization
    lab = organization.add_ou("Lab")
    organization.organizations.move_account(
        AccountId=sample.search, SourceParentId=organization.root_id, DestinationParentId=lab
    )
    cli("apply", "--yes")
    attach(aws, lab)

    assert "mfa (Lab) still blocks without MFA: carol (search)." in cli("release", "--yes").stderr


def test_release_says_nothing_of_scps_that_it_may_not_read_or_that_block_nobody(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    cli("apply", "--yes")
    attach(aws, sample.empty)
    assert "SCP" not in cli("release", "--yes", "--user", "alice").stderr

    aws.faults.append(lambda call: json_error("AccessDeniedException") if call.action == "ListPolicies" else None)
    done = cli("release", "--yes", "--user", "carol")
    assert (done.returncode, "SCP" in done.stderr) == (0, False)


# -- the preflight


SIMULATE = "SimulatePrincipalPolicy"


def test_preflight_reads_all_and_writes_nothing_not_even_the_archive(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    sample.organization.add_user(MANAGEMENT, "dave")
    sample.organization.add_user(sample.search, "robot", password=False)
    sample.organization.add_user(sample.search, "svc-a")
    cli.configure("protected_users: [svc-*]\nlimits: {max_changes_per_run: 0, max_changes_per_account: 0}\n")
    aws.forget_calls()

    code, report = cli.report("plan", "--scp")

    assert (code, report.mode, report.preflight, report.gate) == (0, "plan", "scp", None)
    assert outcomes(report) == {
        "alice": "planned", "bob": "none", "carol": "planned", "robot": "planned", "svc-a": "exempt",
        "dave": "out_of_scope",
    }  # fmt: skip
    assert written(aws) == []
    assert [path.name for path in cli.folder.iterdir()] == ["config.yaml"]
    asked = [call for call in aws.calls if call.action == SIMULATE]
    assert {call.parameters["PolicySourceArn"].rpartition("/")[2] for call in asked} == {"alice", "carol", "robot"}
    assert not any(members(call, "PolicyInputList") for call in asked)


def test_preflight_names_who_could_not_enrol_by_their_own_policies(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    def decide(call: Call) -> Answer | None:
        if call.action != SIMULATE or not call.parameters["PolicySourceArn"].endswith("user/alice"):
            return None
        (resource,) = members(call, "ResourceArns")
        return simulation(*(simulated(one, resource, "implicitDeny") for one in members(call, "ActionNames")))

    aws.faults.append(decide)

    done = cli("plan", "--scp")

    assert done.returncode == 1
    told = " ".join(done.stdout.split())
    assert "1 could not enrol, and would be locked out for good: alice (acme-payments)" in told
    code, plan = cli.report("plan", ORGMFA_ENFORCEMENT_USERS="all")
    assert (code, outcomes(plan)["alice"]) == (1, "held")


def test_preflight_says_for_how_many_the_scp_would_change_anything(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli("apply", "--yes", "--account", "payments")

    text = " ".join(cli("plan", "--scp").stdout.split())

    assert "would block 1 more user at once" in text
    assert "1 blocked at once, who are not blocked now: carol (search)" in text
    assert "1 under EnforceMFA: the SCP changes nothing for them: alice (acme-payments)" in text


def test_preflight_is_one_screen_at_80_columns(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    for number in range(8):
        sample.organization.add_user(sample.empty, f"a-user-with-a-rather-long-name-{number}")
    aws.cannot_enrol |= {"alice", "carol"}
    aws.credentials.append(Credential(sample.payments, "alice"))
    aws.missing_roles.add((sample.search, "orgmfa-member"))
    sample.organization.add_user(MANAGEMENT, "dave")

    text = cli("plan", "--scp").stdout

    assert len(text.splitlines()) <= 24
    assert all(len(line) <= 80 for line in text.splitlines())
    for words in ("service credentials or SSH keys", "no SCP reaches", "accounts not read", "and 6 more"):
        assert words in " ".join(text.split())


def test_preflight_makes_page_and_csv_by_its_json(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    (cli.folder / "scp.json").write_text(cli("plan", "--scp", "--output", "json").stdout, encoding="utf-8")

    screen = cli("report", "scp.json").stdout
    table = " ".join(cli("report", "scp.json", "--all").stdout.split())
    cli("report", "scp.json", "--html", "scp.html", "--csv", "scp.csv")

    assert "would block 2 more users" in screen
    assert "read 'would be enforced' as 'would be blocked by it'" in table
    assert "not a plan of orgmfa" in (cli.folder / "scp.html").read_text(encoding="utf-8")
    assert "alice" in (cli.folder / "scp.csv").read_text(encoding="utf-8-sig")


def test_preflight_is_never_the_latest_run_nor_the_base_of_another(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    _, plan = cli.report("plan")
    cli("plan", "--scp")

    _, shown = cli.report("report")
    _, after = cli.report("plan")

    assert shown.run_id == plan.run_id
    assert after.changes is not None
    assert after.changes.since_run_id == plan.run_id


def test_apply_takes_no_preflight_and_a_preflight_no_digest(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    assert_refused(cli("apply", "--scp", "--yes"), "--scp")
    assert_refused(cli("plan", "--scp", "--digest"), "--scp is no run, and has no digest")
    assert written(aws) == []


def test_preflight_reads_through_a_role_before_anything_is_deployed(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.missing_roles |= {(one, "orgmfa-member") for one in (sample.payments, sample.search, sample.empty)}

    code, report = cli.report("plan", "--scp", "--role", "OrganizationAccountAccessRole")

    assert (code, outcomes(report)) == (0, {"alice": "planned", "bob": "none", "carol": "planned"})


@pytest.mark.thorough
def test_the_sample_in_the_guide_is_what_the_embedded_organization_prints(cli: Cli) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "scp.md").read_text("utf-8")
    sample = guide.partition("(`--sandbox`):\n\n```\n")[2].partition("```")[0].splitlines()

    printed = cli("plan", "--scp", "--sandbox").stdout.splitlines()

    assert [line for line in sample if line not in printed and "UTC" not in line] == []
