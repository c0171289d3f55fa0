"""The command line of orgmfa: commands, options and exit codes.

Data goes to standard output; logs, progress and questions to standard error. Exit code 0: success; 1: something is to
fix, or the user declined; 2: the call or the configuration cannot be used, or nothing could start.
"""

import errno
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from orchestrator import __version__
from orchestrator.cli.process import explain_exception, first_error, guard_streams
from orchestrator.domain.errors import AwsError, OrgmfaError
from orchestrator.domain.model import Mode
from orchestrator.domain.policy_document import PARTITIONS, render_enforcement_policy

MAX_LISTED = 30
"""How many runs `report --list` shows: each costs reading a file."""
DECLINED = 1
FAILED = 1
UNUSABLE = 2

Command = TypeVar("Command", bound=Callable[..., int])


@dataclass(eq=False)
class ParsedType(click.ParamType[Any]):
    """An option value that a function parses; its ValueError becomes the error message. The help shows the name."""

    name: str
    parse: Callable[[str], object]

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the parsed value."""
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _parse_max_changes(text: str) -> int | str:
    """Return a count, or the word `none` for no limit. Raises ValueError."""
    if text == "none":
        return text
    if not text.isdecimal():
        raise ValueError(f"{text!r} is neither a whole number nor 'none'")
    return int(text)


def _parse_release_time(text: str) -> timedelta:
    from orchestrator.domain.config import parse_duration  # noqa: PLC0415 - for this command alone
    from orchestrator.reports.archive import MAX_RELEASE  # noqa: PLC0415 - for this command alone

    if (duration := parse_duration(text)) > MAX_RELEASE:
        raise ValueError(
            f"{text!r} is longer than {MAX_RELEASE.days}d: whoever is never to be enforced is an exemption"
        )
    return duration


def _encode_data(_: click.Context, __: click.Parameter, form: str | None) -> str | None:
    """Return the form of the output, once standard output is UTF-8 for JSON (RFC 8259), whatever a terminal takes."""
    if form in {"json", "jsonl"}:
        stdout: Any = sys.stdout
        stdout.reconfigure(encoding="utf-8")
    return form


def _output(*forms: str, text: str) -> Callable[[Command], Command]:
    form = click.Choice(forms)
    return click.option("--output", type=form, default=forms[0], show_default=True, callback=_encode_data, help=text)


def _parse_role(text: str) -> str:
    from orchestrator.domain.config import parse_role_name  # noqa: PLC0415 - for this command alone

    return parse_role_name(text)


def _log_botocore(_: click.Context, __: click.Parameter, is_wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if is_wanted:
        from orchestrator.logs import log_botocore  # noqa: PLC0415 - for --debug alone

        log_botocore()


def _run(mode: Mode, given: dict[str, Any]) -> int:
    from orchestrator.cli.run_command import RunOptions, run_command  # noqa: PLC0415 - for this command alone

    return run_command(mode, RunOptions(**given))


_COUNT = ParsedType("N|none", _parse_max_changes)
_AWS = ("profile", "region", "debug")
"""The options of each command that calls AWS."""
_FILE: dict[str, Any] = {"metavar": "FILE", "type": click.Path(path_type=Path)}
_OPTIONS = {
    "config": click.option(
        "--config",
        "config_path",
        **_FILE,
        help="The configuration; else ORGMFA_CONFIG, else ./config.yaml, else the defaults.",
    ),
    "output": _output(
        "table",
        "json",
        "jsonl",
        text="json: one report on standard output and nothing else; jsonl: its accounts, one a line.",
    ),
    "output-of-checks": _output("table", "json", text="json: what is found, on standard output, and nothing else."),
    "account": click.option(
        "--account",
        "targets",
        metavar="ID|NAME|ALIAS",
        multiple=True,
        help="Only this account, matched exactly; repeat for more.",
    ),
    "ou": click.option(
        "--ou", "ou_ids", metavar="OU_ID", multiple=True, help="Only accounts under this OU; repeat for more."
    ),
    "user": click.option(
        "--user", "user_names", metavar="NAME", multiple=True, help="Only this user; repeat for more."
    ),
    "for": click.option(
        "--for",
        "release_for",
        type=ParsedType("DURATION", _parse_release_time),
        default="7d",
        show_default=True,
        help="How long later runs leave the released users alone, at most 90d; 0d ends releases, entering no account.",
    ),
    "role": click.option(
        "--role",
        type=ParsedType("NAME", _parse_role),
        help="Before anything is deployed: read through this role that trusts the management account, such as "
        "OrganizationAccountAccessRole, by a session that cannot write.",
    ),
    "scp": click.option(
        "--scp", is_flag=True, help="Show whom the SCP that `orgmfa policy --scp` prints would block; no limit applies."
    ),
    "max-changes": click.option(
        "--max-changes",
        type=_COUNT,
        help="Replaces limits.max_changes_per_run for this run; the limit of each account stays.",
    ),
    "max-changes-per-account": click.option(
        "--max-changes-per-account", type=_COUNT, help="Replaces limits.max_changes_per_account for this run."
    ),
    "yes": click.option("--yes", is_flag=True, help="Do not ask before writing."),
    "digest": click.option("--digest", "send_digest", is_flag=True, help="Send the plan's Slack digest too."),
    "no-digest": click.option(
        "--no-digest", "send_digest", flag_value=False, default=True, help="Send no Slack digest."
    ),
    "sandbox": click.option(
        "--sandbox", is_flag=True, help="Use an embedded organization: no AWS account, no Slack, no network."
    ),
    "all": click.option("--all", "every_row", is_flag=True, help="Show every account, cause and user in the table."),
    "quiet": click.option("-q", "--quiet", is_flag=True, help="Show what is to fix and what was done, a line each."),
    "profile": click.option("--profile", metavar="NAME", help="The AWS profile; else AWS_PROFILE."),
    "region": click.option("--region", metavar="NAME", help="The AWS Region; else AWS_REGION, or the profile's."),
    "debug": click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_log_botocore,
        help="Log what botocore does, without secrets, on standard error.",
    ),
    "verbose": click.option(
        "-v", "--verbose", is_flag=True, help="Log every account and every change; show AWS's messages whole."
    ),
}
_RUN = (*_AWS, "quiet", "verbose")
_LIMITS = ("max-changes", "max-changes-per-account")


def _options(*names: str) -> Callable[[Command], Command]:
    """Return a decorator that adds the named options to a command, in this order."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = _OPTIONS[name](command)
        return command

    return decorate


@click.group(
    epilog="Example: orgmfa plan --account 111122223333",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="orgmfa")
def cli() -> None:
    """Find IAM users without MFA in every account of an AWS Organization, and enforce MFA on them."""


@cli.command(epilog="Example: orgmfa plan --ou ou-abcd-11112222 --output json")
@_options("config", "output", "account", "ou", "role", "scp", *_LIMITS, "digest", "sandbox", "all", *_RUN)
def plan(**given: Any) -> int:  # noqa: ANN401 - the options above, by name
    """Show what a run would do. Writes nothing in any account."""
    if given["scp"] and given["send_digest"]:
        raise click.UsageError("--scp is no run, and has no digest")
    return _run(Mode.PLAN, given)


@cli.command(
    short_help="Show the plan, ask, and enforce MFA.",
    epilog="Example: orgmfa apply --account 111122223333 --max-changes 5",
)
@_options("config", "output", "account", "ou", *_LIMITS, "yes", "no-digest", "sandbox", "all", *_RUN)
def apply(**given: Any) -> int:  # noqa: ANN401 - the options above, by name
    """Enforce MFA on the users whom the plan names, after showing it and asking."""
    return _run(Mode.APPLY, given)


@cli.command(
    short_help="Take EnforceMFA off users again.",
    epilog="Example: orgmfa release --account 111122223333 --user alice --for 2d",
)
@_options("config", "output", "account", "ou", "user", "for", "yes", "no-digest", "sandbox", "all", *_RUN)
def release(**given: Any) -> int:  # noqa: ANN401 - the options above, by name
    """Take EnforceMFA off users again: detach the policy, remove from the group; nothing else."""
    if not given["release_for"] and not (given["targets"] or given["ou_ids"] or given["user_names"]):
        raise click.UsageError("--for 0d ends releases: say whose, by --user, --account or --ou")
    return _run(Mode.RELEASE, given)


@cli.command(epilog="Example: orgmfa report latest --output json")
@click.argument("run_id", default="latest", metavar="[RUN_ID|latest|FILE]")
@click.option("--list", "list_runs", is_flag=True, help="List the runs in the archive instead.")
@click.option("--html", "html_path", **_FILE, help="Write its page instead.")
@click.option("--csv", "csv_path", **_FILE, help="Write a row a user instead.")
@click.option("--json", "output", flag_value="json", callback=_encode_data, help="The same as --output json.")
@_options("config", "output", "sandbox", "all", *_RUN)
def report(*, run_id: str, list_runs: bool, output: str, **given: Any) -> int:  # noqa: ANN401 - the options above, by name
    """Show an archived run, the newest finished one by default; or the report in a file."""
    from rich.console import Console  # noqa: PLC0415 - for this command alone

    from orchestrator.cli.run_command import export_report, load_report, open_archive, show_report  # noqa: PLC0415 - for this command alone
    from orchestrator.logs import configure_logs  # noqa: PLC0415 - for this command alone
    from orchestrator.output.terminal import Shown, print_runs  # noqa: PLC0415 - for this command alone

    configure_logs(as_json=False, level=logging.WARNING)
    config, archive = open_archive(
        given["config_path"], sandbox=given["sandbox"], profile=given["profile"], region=given["region"]
    )
    shown = Shown(every_row=given["every_row"], whole_texts=given["verbose"], brief=given["quiet"])
    if given["html_path"] or given["csv_path"]:
        export_report(archive, run_id, config, html_path=given["html_path"], csv_path=given["csv_path"])
    elif not list_runs:
        show_report(load_report(archive, run_id), config, shown, output=output)
    elif output != "table":
        runs = [
            {"run_id": run.run_id, "finished_at": f"{run.finished_at:%Y-%m-%dT%H:%M:%SZ}"}
            for run in archive.list_runs()
        ]
        click.echo(json.dumps(runs, indent=2) if output == "json" else "\n".join(map(json.dumps, runs)))
    else:
        print_runs(list(archive.heads(MAX_LISTED)), Console(), more=max(0, len(archive.list_runs()) - MAX_LISTED))
    return 0


@cli.command(epilog="Example: orgmfa doctor --account 111122223333")
@_options("config", "output-of-checks", "account", "ou", "role", "sandbox", *_AWS, "verbose")
def doctor(**given: Any) -> int:  # noqa: ANN401 - the options above, by name
    """Check what a run needs, and say what to do about it. Changes nothing in any account."""
    from orchestrator.cli.doctor_command import doctor_command  # noqa: PLC0415 - for this command alone
    from orchestrator.cli.run_command import RunOptions  # noqa: PLC0415 - for this command alone

    return doctor_command(RunOptions(**given))


@cli.command(epilog="Example: orgmfa policy --partition aws-us-gov")
@click.option("--partition", type=click.Choice(PARTITIONS), default="aws", show_default=True)
@click.option("--scp", is_flag=True, help="The service control policy that says the same, with the exemptions.")
@_options("config")
def policy(*, partition: str, scp: bool, config_path: Path | None) -> int:
    """Print the EnforceMFA policy document, or the SCP that says the same (JSON). Needs no credentials."""
    from orchestrator.cli.config_command import read_config  # noqa: PLC0415 - for this command alone

    config = read_config(config_path, needs_switch=False)
    if scp:
        from orchestrator.domain.scp import render_scp  # noqa: PLC0415 - for this option alone
        from orchestrator.wiring import utc_now  # noqa: PLC0415 - the same

        rendered = render_scp(config, partition, utc_now())
        click.echo("\n".join(rendered.remarks), err=True)
        click.echo(rendered.text)
        return 0
    document = render_enforcement_policy(partition=partition, access_keys=config.policy.access_keys)
    click.echo(json.dumps(document, indent=2))
    return 0


@cli.command(epilog="Example: orgmfa config --check")
@click.option("--check", "checks", is_flag=True, help="Only check that it can be used.")
@_options("config", "output-of-checks")
def config(*, config_path: Path | None, checks: bool, output: str) -> int:
    """Print the configuration in force, and where each value comes from. Needs no credentials."""
    from orchestrator.cli.config_command import config_command  # noqa: PLC0415 - for this command alone

    return config_command(config_path, checks=checks, output=output)


@cli.command(
    short_help="Deploy roles, functions and StackSet.",
    epilog="Example: orgmfa deploy --parameter TargetIds=r-ab12 --parameter AlarmEmail=security@example.com",
)
@click.option("--delete", is_flag=True, help="Take down what was deployed; refused while anybody is enforced.")
@click.option(
    "--parameter",
    "parameters",
    metavar="[STACK.]NAME=VALUE",
    multiple=True,
    help="A parameter of the stacks (bootstrap, central, stackset); what is not named stays as it is. Repeat for more.",
)
@click.option("--package", "package_path", **_FILE, help="The zip that orgmfa package made; else it is built now.")
@_options("config", "yes", *_AWS, "verbose")
def deploy(**given: Any) -> int:  # noqa: ANN401 - the options above, by name
    """Deploy roles, functions and StackSet, after showing what will change and asking. Safe to run again."""
    from orchestrator.cli.deploy_command import DeployCommand  # noqa: PLC0415 - for this command alone

    return DeployCommand(**given).run()


@cli.command(
    short_help="Build the zip of the Lambda functions.", epilog="Example: orgmfa package --output dist/orgmfa.zip"
)
@click.option(
    "--output",
    "output_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("dist/orgmfa.zip"),
    show_default=True,
    help="The zip; its bill of materials (.cdx.json) goes beside it.",
)
@click.option("--architecture", type=click.Choice(["arm64", "x86_64"]), default="arm64", show_default=True)
@click.option("--python", metavar="VERSION", default="3.13", show_default=True, help="The Python of the functions.")
@_options("config")
def package(*, output_path: Path, architecture: str, python: str, config_path: Path | None) -> int:
    """Build the zip that the Lambda functions run, with the configuration in it. Needs no credentials."""
    from orchestrator.cli.config_command import CONFIG_FILE  # noqa: PLC0415 - for this command alone
    from orchestrator.deploy.lambda_zip import build_package  # noqa: PLC0415 - for this command alone
    from orchestrator.domain.config_file import find_config  # noqa: PLC0415 - for this command alone

    made = build_package(
        output_path,
        architecture=architecture,
        python=python,
        config=find_config(config_path, os.environ, fallback=CONFIG_FILE),
        progress=lambda text: click.echo(text, err=True),
    )
    click.echo(f"{made.path}  {made.size} bytes  sha256:{made.sha256}\n{made.bill}")
    return 0


@cli.command("help", hidden=True)
@click.argument("command", default="")
@click.pass_context
def help_(context: click.Context, command: str) -> int:
    """Show what a command takes, or all commands."""
    parent = context.find_root()
    if not command:
        click.echo(parent.get_help())
        return 0
    named = cli.get_command(parent, command)
    if named is None:
        raise click.UsageError(f"no such command: {command!r}", parent)
    click.echo(named.get_help(click.Context(named, info_name=command, parent=parent)))
    return 0


@cli.command(hidden=True)
def version() -> int:
    """Print the version."""
    click.echo(f"orgmfa, version {__version__}")
    return 0


def main() -> NoReturn:
    """Run the command line and end the process with its exit code.

    A thread of an interrupted run that is still blocked in a call is not waited for. Output that could not be written
    is told, unless its reader has gone: then the code is that of the command.
    """
    guard_streams()
    code = run()
    sys.stdout.flush()
    error = first_error(sys.stdout)
    if error is not None and error.errno != errno.EPIPE:
        click.echo(f"orgmfa: cannot write to standard output: {error.strerror}", err=True)
        code = code or FAILED
    sys.stderr.flush()
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


def run() -> int:
    """Run the command that `sys.argv` names, and return the exit code."""
    try:
        code: int = cli.main(standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        code = DECLINED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OrgmfaError as error:
        from orchestrator.domain.remedies import select_remedy  # noqa: PLC0415 - for errors alone

        remedy = f" ({error.code}). {select_remedy(error)}" if isinstance(error, AwsError) else ""
        click.echo(f"orgmfa: {error}{remedy}", err=True)
        code = UNUSABLE
    except Exception as error:  # noqa: BLE001 - a defect: nobody above can do more than tell of it
        line, code = explain_exception(error)
        click.echo(f"orgmfa: {line}", err=True)
    return code
