"""The `orgmfa deploy` command: deploys the stacks or takes them down, and returns the exit code."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from orchestrator.aws.deployment import ArtifactBucket, Stacks, StackSets
from orchestrator.aws.retries import Retrier
from orchestrator.cli.config_command import CONFIG_FILE, read_config
from orchestrator.cli.confirmation import Interrupts
from orchestrator.cli.deploy_view import DeploymentView
from orchestrator.cli.enforced_users import as_operator, explain_enforced_users
from orchestrator.cli.mfa_prompt import MfaPrompt
from orchestrator.cli.process import note_writing
from orchestrator.cli.run_command import configure_command_logs
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.changes import PreparedChange
from orchestrator.deploy.context import DeployContext, Place
from orchestrator.deploy.function_code import Artifact, build_code, read_code, read_packed_config
from orchestrator.deploy.messages import DeploymentFailed, Interrupted, explain_refusal
from orchestrator.deploy.next_steps import format_leftovers, format_next_steps
from orchestrator.deploy.parameters import parse_given
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.teardown import Inventory, list_reached, take_down
from orchestrator.deploy.templates import CENTRAL, STACKS, read_template
from orchestrator.domain.cloudformation import Stack
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import find_config, load_file
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.domain.model import Mode
from orchestrator.output.terminal import ProgressView
from orchestrator.output.words import count
from orchestrator.wiring import Hub, describe_organization, load_credentials, make_hub, make_run_id, read_caller

FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployOptions:
    """The options of `orgmfa deploy` as given on the command line."""

    config_path: Path | None
    parameters: tuple[str, ...]
    package_path: Path | None
    delete: bool
    yes: bool
    verbose: bool
    profile: str | None = None
    region: str | None = None


def deploy_command(options: DeployOptions) -> int:
    """Deploy, or take down, and return the exit code. Raises ConfigError or StartError where nothing could start."""
    if not options.yes and not sys.stdin.isatty():
        raise click.UsageError("deploy asks before it changes anything, and there is no terminal to ask on: add --yes")
    if options.delete and (options.parameters or options.package_path):
        raise click.UsageError("--delete takes neither --parameter nor --package")
    configure_command_logs(verbose=options.verbose)
    cancellation = Cancellation()
    with Interrupts(cancellation) as interrupts:
        command = DeployCommand(options, cancellation, interrupts)
        try:
            return command.delete() if options.delete else command.deploy()
        except (DeploymentFailed, Interrupted) as error:
            click.echo(str(error), err=True)
        except AwsError as error:
            click.echo(explain_refusal(error), err=True)
        return FAILED


class DeployCommand:
    """One call of `orgmfa deploy`."""

    def __init__(self, options: DeployOptions, cancellation: Cancellation, interrupts: Interrupts) -> None:
        """Read the configuration. Raises ConfigError."""
        self._options = options
        self._cancellation = cancellation
        self._interrupts = interrupts
        self._errors = Console(stderr=True)
        self._view = DeploymentView(Console(), self._errors)
        self._config = read_config(options.config_path)
        self._asking = MfaPrompt(self._view.paused, cancellation)

    def deploy(self) -> int:
        """Deploy the stacks, and return the exit code."""
        source = find_config(self._options.config_path, os.environ, fallback=CONFIG_FILE)
        package = self._options.package_path
        # What the functions will have: without the environment variables of this machine.
        packed = read_packed_config(package) if package else load_file(source) if source else Config()
        packed.require_own_roles()
        given = parse_given(self._options.parameters, [read_template(name) for name in STACKS], packed)
        hub, context = self._open("Deploying")
        rollout = Rollout(
            context=context,
            given=given,
            known=context.place.known(packed),
            make_code=partial(self._make_code, source),
            confirm=self._confirm_changes,
            check=lambda stacks: self._refuse_enforced(hub, stacks, list_reached(stacks, context)),
        )
        if not rollout.run():
            return self._declined()
        self._view.say("\nDeployed." if rollout.has_changed else "\nNothing to change.")
        self._view.say(f"\n{format_next_steps(rollout.deployed, context.place, self._config)}")
        return 0

    def delete(self) -> int:
        """Take the stacks down, and return the exit code."""
        hub, context = self._open("Taking down")
        found = take_down(context, check=partial(self._refuse_enforced, hub), confirm=self._confirm_removal)
        if found is None:
            return self._declined()
        self._view.say("\nTaken down." if found.doomed else "\nNothing to take down.")
        self._view.say(f"\n{format_leftovers(found, context.place)}")
        return 0

    def _open(self, verb: str) -> tuple[Hub, DeployContext]:
        """Connect to AWS, and print in which account, Region and organization. Raises StartError where that fails."""
        options = self._options
        hub = make_hub(self._config, os.environ, profile=options.profile, region=options.region, asking=self._asking)
        load_credentials(hub)
        region = hub.clients.hub.region_name
        if not region:
            raise StartError("in which Region? Set --region, AWS_REGION, or the region of the profile (AWS_PROFILE)")
        retrier = Retrier(self._cancellation)
        organization, caller = describe_organization(hub), read_caller(hub, retrier)
        place, client = Place(caller, organization, region), hub.clients.cloudformation()
        click.echo(f"{verb}: account {caller.account_id}, Region {region}, organization {organization.id}", err=True)
        return hub, DeployContext(
            stacks=Stacks(client, retrier),
            stack_sets=StackSets(client, retrier, call_as=place.call_as),
            open_bucket=lambda name: ArtifactBucket(hub.clients.s3, name),
            view=self._view,
            cancellation=self._cancellation,
            place=place,
            token=f"orgmfa-{make_run_id(hub.now())}",
        )

    def _make_code(self, source: Path | None, architecture: str, python: str) -> Artifact:
        if self._options.package_path is not None:
            return read_code(self._options.package_path, architecture=architecture, python=python)
        return build_code(architecture=architecture, python=python, config=source, progress=self._view.begin)

    def _confirm_changes(self, prepared: Sequence[PreparedChange]) -> bool:
        self._view.show_changes(prepared)
        return self._is_agreed(f"Change {count(sum(bool(change.change_set) for change in prepared), 'stack')}?")

    def _confirm_removal(self, found: Inventory) -> bool:
        self._view.show_inventory(found)
        return self._is_agreed("\nDelete all this?")

    def _is_agreed(self, question: str) -> bool:
        agreed = self._options.yes or self._interrupts.ask(question)
        if agreed:
            note_writing()
        return agreed

    def _refuse_enforced(self, hub: Hub, stacks: Mapping[str, Stack], reached: Collection[str]) -> None:
        """Raise DeploymentFailed while somebody is under EnforceMFA: IAM deletes no policy that is attached."""
        role = stacks[CENTRAL].outputs.get("OperatorRoleArn") if CENTRAL in stacks else None
        operator = hub if role is None else as_operator(hub, role, self._cancellation)
        with ProgressView(self._errors, Mode.RELEASE) as progress:
            told = explain_enforced_users(operator, reached, cancellation=self._cancellation, observer=progress)
        if told:
            raise DeploymentFailed(told)

    def _declined(self) -> int:
        click.echo("Nothing more was changed.", err=True)
        return FAILED
