"""The `orgmfa doctor` command: checks what a run needs with real clients, prints the result, returns the exit code."""

import os
from dataclasses import replace

import click
from rich.console import Console

from orchestrator.aws.doctor_reads import RUN_ACTIONS, HubChecks, MemberChecks
from orchestrator.aws.enforcement import EnforcementPolicies
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.cli.config_command import CONFIG_FILE
from orchestrator.cli.mfa_prompt import MfaPrompt
from orchestrator.cli.run_command import RunOptions, configure_command_logs, open_hub
from orchestrator.cli.signals import Interrupts
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor import DoctorContext, DoctorRun, run_checks
from orchestrator.doctor.table import print_examination
from orchestrator.domain.config_file import find_config
from orchestrator.domain.environment import slack_credentials
from orchestrator.output.terminal import ProgressView
from orchestrator.pipeline.ports import Observer
from orchestrator.wiring import Hub, make_run_id, make_sessions, make_slack_client, read_caller


def doctor_command(options: RunOptions) -> int:
    """Check what a run needs, print the result on standard output, and return the exit code.

    Raises ConfigError or StartError where nothing could be checked.
    """
    configure_command_logs(verbose=options.verbose)
    asking, source = MfaPrompt(), "the sandbox"
    if not options.sandbox or options.config_path is not None:
        found_file = find_config(options.config_path, os.environ, fallback=CONFIG_FILE)
        source = str(found_file.absolute()) if found_file else "the defaults and the environment"
    with open_hub(options, asking) as opened:
        hub = replace(opened, environment={}) if options.sandbox else opened  # the sandbox knows no Slack
        cancellation, progress = Cancellation(), ProgressView(Console(stderr=True))
        with Interrupts(cancellation), progress, asking.during(progress.paused, cancellation):
            found = run_doctor(
                hub,
                config_source=source,
                targets=options.targets,
                ou_ids=options.ou_ids,
                cancellation=cancellation,
                observer=progress,
            )
        if options.output == "json":
            click.echo(found.report.model_dump_json(indent=2))
        else:
            print_examination(found, Console())
        return int(not found.report.ok)


def run_doctor(
    hub: Hub,
    *,
    config_source: str,
    targets: tuple[str, ...] = (),
    ou_ids: tuple[str, ...] = (),
    cancellation: Cancellation,
    observer: Observer,
) -> DoctorRun:
    """Run all checks, of these accounts or of all, and return their results.

    Raises StartError where nothing could be checked, ConfigError where a named account or OU does not exist.
    """
    retrier, clients, config, run_id = Retrier(cancellation), hub.clients, hub.config, make_run_id(hub.now())
    caller = read_caller(hub, retrier)
    return run_checks(
        DoctorContext(
            run_id=run_id,
            config_source=config_source,
            targets=targets,
            ou_ids=ou_ids,
            config=config,
            caller=caller,
            region=clients.region,
            directory=Directory(clients.organizations, retrier),
            sessions=make_sessions(hub, retrier, partition=caller.partition, run_id=run_id),
            policies=EnforcementPolicies(clients.iam, retrier, config.policy, partition=caller.partition),
            member=MemberChecks(clients.iam, retrier),
            hub=HubChecks(clients, retrier),
            store=hub.store,
            archive=hub.archive,
            environment_slack=slack_credentials(hub.environment),
            probe_slack=lambda credentials: make_slack_client(credentials, hub).probe(),
            run_actions=RUN_ACTIONS,
            now=hub.now,
            cancellation=cancellation,
            observer=observer,
        )
    )
