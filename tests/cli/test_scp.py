"""The SCP of orgmfa through the command line: what a release says of it, and the preflight."""

from orchestrator.domain.config import Config
from orchestrator.domain.scp import render_scp
from orchestrator.wiring import utc_now
from tests.aws_server import MANAGEMENT, AwsServer, json_error
from tests.builders import make_config
from tests.cli.calling import Cli, Sample


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
