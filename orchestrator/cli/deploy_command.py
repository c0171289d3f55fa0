"""The `orgmfa deploy` command: deploys the stacks or takes them down, and returns the exit code."""

import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from orchestrator.aws.deployment import Stacks, StackSets
from orchestrator.aws.retries import Retrier
from orchestrator.cli.config_command import CONFIG_FILE, read_config
from orchestrator.cli.confirmation import Interrupts
from orchestrator.cli.mfa_prompt import MfaPrompt
from orchestrator.cli.process import note_writing
from orchestrator.cli.run_command import configure_command_logs
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.context import DeployContext, Place
from orchestrator.deploy.function_code import build_code, read_code, read_packed_config
from orchestrator.deploy.messages import DeploymentFailed, Interrupted, explain_refusal
from orchestrator.deploy.next_steps import format_leftovers, format_next_steps
from orchestrator.deploy.parameters import parse_given
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.teardown import take_down
from orchestrator.deploy.templates import STACKS, read_template
from orchestrator.deploy.view import DeploymentView
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import find_config, load_file
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.wiring import describe_organization, load_credentials, make_hub, make_run_id, read_caller

FAILED = 1


@dataclass(slots=True, kw_only=True)
class DeployCommand:
    """`orgmfa deploy`, with its options as given on the command line."""

    config_path: Path | None
    parameters: tuple[str, ...]
    package_path: Path | None
    delete: bool
    yes: bool
    verbose: bool
    profile: str | None = None
    region: str | None = None
    _cancellation: Cancellation = field(default_factory=Cancellation, init=False)
    _interrupts: Interrupts = field(init=False)

    def run(self) -> int:
        """Deploy, or take down; return the exit code. Raises ConfigError or StartError where nothing could start."""
        if not self.yes and not sys.stdin.isatty():
            raise click.UsageError(
                "deploy asks before it changes anything, and there is no terminal to ask on: add --yes"
            )
        if self.delete and (self.parameters or self.package_path):
            raise click.UsageError("--delete takes neither --parameter nor --package")
        configure_command_logs(verbose=self.verbose)
        with Interrupts(self._cancellation) as self._interrupts:
            config = read_config(self.config_path)
            try:
                if self._take_down(config) if self.delete else self._deploy(config):
                    return 0
                click.echo("Nothing more was changed.", err=True)
            except (DeploymentFailed, Interrupted) as error:
                click.echo(str(error), err=True)
            except AwsError as error:
                click.echo(explain_refusal(error), err=True)
            return FAILED

    def _deploy(self, config: Config) -> bool:
        """Deploy the stacks, and return whether the user agreed."""
        source, package = find_config(self.config_path, os.environ, fallback=CONFIG_FILE), self.package_path
        # What the functions will have: without the environment variables of this machine.
        packed = read_packed_config(package) if package else load_file(source) if source else Config()
        packed.require_own_roles()
        given = parse_given(self.parameters, [read_template(name) for name in STACKS], packed)
        context = self._open(config, "Deploying")
        building = partial(build_code, config=source, progress=context.view.begin)
        make_code = partial(read_code, package) if package else building
        rollout = Rollout(context=context, given=given, known=context.place.known(packed), make_code=make_code)
        if not rollout.run():
            return False
        context.view.say("\nDeployed." if rollout.has_changed else "\nNothing to change.")
        context.view.say(f"\n{format_next_steps(rollout.deployed, context.place, config)}")
        return True

    def _take_down(self, config: Config) -> bool:
        """Take the stacks down, and return whether the user agreed."""
        context = self._open(config, "Taking down")
        found = take_down(context)
        if found is None:
            return False
        context.view.say("\nTaken down." if found.doomed else "\nNothing to take down.")
        context.view.say(f"\n{format_leftovers(found, context.place)}")
        return True

    def _open(self, config: Config, verb: str) -> DeployContext:
        """Connect to AWS, and print in which account, Region and organization. Raises StartError where that fails."""
        view = DeploymentView()
        asking = MfaPrompt(view.paused, self._cancellation)
        hub = make_hub(config, os.environ, profile=self.profile, region=self.region, asking=asking)
        load_credentials(hub)
        region = hub.clients.hub.region_name
        if not region:
            raise StartError("in which Region? Set --region, AWS_REGION, or the region of the profile (AWS_PROFILE)")
        retrier = Retrier(self._cancellation)
        organization, caller = describe_organization(hub), read_caller(hub, retrier)
        place, client = Place(caller, organization, region), hub.clients.connect("cloudformation")
        click.echo(f"{verb}: account {caller.account_id}, Region {region}, organization {organization.id}", err=True)
        return DeployContext(
            hub=hub,
            stacks=Stacks(client, retrier),
            stack_sets=StackSets(client, retrier, call_as=place.call_as),
            view=view,
            ask=self._is_agreed,
            cancellation=self._cancellation,
            place=place,
            token=f"orgmfa-{make_run_id(hub.now())}",
        )

    def _is_agreed(self, question: str) -> bool:
        agreed = self._cancellation.reason is None and (self.yes or self._interrupts.ask(question))
        if agreed:
            note_writing()
        return agreed
