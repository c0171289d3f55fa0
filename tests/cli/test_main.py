"""The command line itself: what it completes, imports and helps with, and the policy that it prints."""

import json
import sys
from pathlib import Path

import pytest

from tests.aws_server import Answer, AwsServer
from tests.cli.calling import Cli, Sample, assert_refused
from tests.command_line import run_here

# -- the policy


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn", "aws-eusc"])
def test_policy_is_printed_without_credentials(cli: Cli, partition: str) -> None:
    done = cli("policy", "--partition", partition, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert done.returncode == 0
    assert f"arn:{partition}:iam::*:user/${{aws:username}}" in done.stdout
    assert json.loads(done.stdout)["Version"] == "2012-10-17"


def test_scp_is_printed_without_credentials_in_one_line_with_what_it_cannot_say_beside_it(cli: Cli) -> None:
    cli.configure("protected_users: [break-glass-1]\nenforcement: {notice: 14d}\n")

    done = cli("policy", "--scp", "--partition", "aws-us-gov", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "arn:aws-us-gov:iam::*:user/*" in str(json.loads(done.stdout))
    assert '"StringNotLike":{"aws:username":"break-glass-1"}' in done.stdout
    assert done.stderr.splitlines()[-1] == f"{len(done.stdout) - 1:,} of 10,240 characters."
    assert "enforcement.notice cannot be said" in done.stderr


def test_scp_that_does_not_fit_is_refused_and_nothing_is_printed(cli: Cli) -> None:
    names = ", ".join(f"a-rather-long-name-of-a-user-{number}" for number in range(400))
    cli.configure(f"protected_users: [{names}]\n")

    assert_refused(cli("policy", "--scp"), "may have 10,240", "400 exemptions and protected users")


@pytest.mark.parametrize("partition", ["aws-iso", "aws-iso-b", "AWS", ""])
def test_policy_of_another_partition_is_refused_with_a_list_of_ours(cli: Cli, partition: str) -> None:
    done = cli("policy", "--partition", partition)

    assert_refused(done, "--partition", "'aws', 'aws-us-gov', 'aws-cn', 'aws-eusc'")


@pytest.mark.parametrize("command", ["plan", "doctor"])
def test_caller_of_another_partition_is_refused_with_a_list_of_ours(
    aws: AwsServer, cli: Cli, sample: Sample, command: str
) -> None:
    arn = "arn:aws-iso:iam::123456789012:user/ana"
    result = f"<GetCallerIdentityResult><Account>123456789012</Account><Arn>{arn}</Arn></GetCallerIdentityResult>"
    identity = Answer(200, f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>")
    aws.faults.append(lambda call: identity if call.action == "GetCallerIdentity" else None)

    done = cli(command)

    assert_refused(done, "partition must be one of aws, aws-us-gov, aws-cn, aws-eusc, not 'aws-iso'")
    assert "AssumeRole" not in aws.actions()


# -- shell completion


AS_INSTALLED = "import sys; sys.argv = ['orgmfa']; from orchestrator.cli.main import main; main()"


def complete(folder: Path, instruction: str, **words: str) -> str:
    return run_here(folder=folder, environment={"_ORGMFA_COMPLETE": instruction, **words}).stdout


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "-F _orgmfa_completion orgmfa"), ("zsh", "#compdef orgmfa"), ("fish", "--command orgmfa")],
)
def test_completion_script_of_each_shell_is_printed(tmp_path: Path, shell: str, words: str) -> None:
    assert words in complete(tmp_path, f"{shell}_source")


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert complete(tmp_path, "bash_complete", COMP_WORDS="orgmfa pl", COMP_CWORD="1") == "plain,plan\n"
    assert "plain,--account\n" in complete(tmp_path, "bash_complete", COMP_WORDS="orgmfa plan --ac", COMP_CWORD="2")


def test_installed_command_completes_by_its_name(cli: Cli) -> None:
    done = cli.run(
        sys.executable, "-c", AS_INSTALLED, _ORGMFA_COMPLETE="bash_complete", COMP_WORDS="orgmfa pl", COMP_CWORD="1"
    )

    assert done.stdout == "plain,plan\n"


# -- what a command imports, and help


HEAVY = ("boto3", "botocore", "jinja2", "moto", "rich", "structlog", "orchestrator.wiring", "orchestrator.output")


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("--version", (*HEAVY, "pydantic")),
        ("version", (*HEAVY, "pydantic")),
        ("help", (*HEAVY, "pydantic")),
        ("help plan", (*HEAVY, "pydantic")),
        ("policy", HEAVY),
        ("config", HEAVY),
    ],
)
def test_command_imports_no_more_than_it_needs(tmp_path: Path, command: str, spared: tuple[str, ...]) -> None:
    program = (
        "import json, sys; sys.argv = ['orgmfa', *sys.argv[1:]]; from orchestrator.cli.main import run; code = run();"
        "print(json.dumps([code, *sys.modules]), file=sys.stderr)"
    )

    done = Cli(tmp_path).run(sys.executable, "-c", program, *command.split())

    code, *modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    assert [name for name in modules if name.split(".")[0] in spared or name in spared] == []


@pytest.mark.parametrize(
    ("words", "said"), [("help", "--help"), ("help plan", "plan --help"), ("version", "--version")]
)
def test_help_and_version_are_commands_too(cli: Cli, words: str, said: str) -> None:
    assert cli(*words.split()).stdout == cli(*said.split()).stdout != ""


def test_help_of_what_is_no_command_is_refused(cli: Cli) -> None:
    assert_refused(cli("help", "nope"), "no such command", "nope")
