"""What `orgmfa doctor` does between its options and its exit code. Standard output carries data alone."""

import os
from dataclasses import replace

import click
from rich.console import Console

from orchestrator.cli.doctor_wiring import run_doctor
from orchestrator.cli.run_command import CONFIG_FILE, RunOptions, configure_command_logs, open_hub
from orchestrator.cli.signals import Interrupts
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor import DoctorRequest
from orchestrator.doctor.table import print_examination
from orchestrator.domain.config_file import find_config
from orchestrator.output.terminal import ProgressView
from orchestrator.wiring import make_run_id


def doctor_command(options: RunOptions) -> int:
    """Check what a run needs, show what was found on standard output, and return the exit code.

    Raises ConfigError or StartError where nothing could be checked.
    """
    configure_command_logs(verbose=options.verbose)
    with open_hub(options) as opened:
        hub = replace(opened, environment={}) if options.sandbox else opened  # the sandbox knows no Slack
        request = DoctorRequest(
            run_id=make_run_id(hub.now()),
            config_source=_config_source(options),
            targets=options.targets,
            ou_ids=options.ou_ids,
        )
        cancellation = Cancellation()
        with Interrupts(cancellation), ProgressView(Console(stderr=True)) as progress:
            found = run_doctor(hub, request, cancellation=cancellation, observer=progress)
        if options.output == "json":
            click.echo(found.report.model_dump_json(indent=2))
        else:
            print_examination(found, Console())
        return int(not found.report.ok)


def _config_source(options: RunOptions) -> str:
    """Return where the configuration comes from, in the order in which it is looked for."""
    if options.config_path is not None:
        return str(options.config_path.absolute())
    if options.sandbox:
        return "the sandbox"
    found = find_config(None, os.environ, fallback=CONFIG_FILE)
    return "the defaults and the environment" if found is None else str(found.absolute())
