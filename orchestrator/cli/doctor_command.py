"""The `orgmfa doctor` command: makes the checks with real clients, prints a row a finding, returns the exit code."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.aws.doctor_reads import RUN_ACTIONS, HubChecks, MemberChecks
from orchestrator.aws.enforcement import EnforcementPolicies
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.cli.config_command import CONFIG_FILE
from orchestrator.cli.confirmation import Interrupts
from orchestrator.cli.mfa_prompt import MfaPrompt
from orchestrator.cli.run_command import RunOptions, configure_command_logs, open_hub
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor import CheckStatus, DoctorContext, DoctorRun, run_checks
from orchestrator.doctor.report import Finding, group_checks
from orchestrator.domain.config_file import find_config
from orchestrator.domain.environment import slack_credentials
from orchestrator.output.terminal import ProgressView, tidy
from orchestrator.output.words import count, plain, some_of
from orchestrator.pipeline.ports import Observer
from orchestrator.wiring import Hub, make_run_id, make_sessions, make_slack_client, read_caller

MAX_ACCOUNTS = 10
"""How many accounts of one finding are named; the others are counted."""

_COLOURS = {CheckStatus.PROBLEM: "bold red", CheckStatus.UNKNOWN: "yellow", CheckStatus.OK: "green"}


def doctor_command(options: RunOptions) -> int:
    """Make the checks, print them, return the exit code. Raises ConfigError or StartError where none could be made."""
    configure_command_logs(verbose=options.verbose)
    cancellation, progress = Cancellation(), ProgressView(Console(stderr=True))
    source = "the sandbox"
    if not options.sandbox or options.config_path is not None:
        found_file = find_config(options.config_path, os.environ, fallback=CONFIG_FILE)
        source = str(found_file.absolute()) if found_file else "the defaults and the environment"
    with open_hub(options, MfaPrompt(progress.paused, cancellation)) as opened:
        hub = replace(opened, environment={}) if options.sandbox else opened  # the sandbox knows no Slack
        with Interrupts(cancellation), progress:
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
        return int(not found.report.ok or cancellation.reason is not None)


def run_doctor(
    hub: Hub,
    *,
    config_source: str,
    targets: tuple[str, ...] = (),
    ou_ids: tuple[str, ...] = (),
    cancellation: Cancellation,
    observer: Observer,
) -> DoctorRun:
    """Run all checks, of these accounts or of all. Raises StartError; ConfigError for an account or OU not found."""
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


def print_examination(examination: DoctorRun, console: Console) -> None:
    """Print the findings in the order of the checks, each worst first, and a sentence that counts the problems."""
    findings = group_checks(examination.report.checks)
    labels = [finding.name.replace("_", " ") for finding in findings]
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(width=max(map(len, CheckStatus)))
    grid.add_column(width=max(map(len, labels), default=0))
    grid.add_column(overflow="fold")
    for label, finding in zip(labels, findings, strict=True):
        # With NO_COLOR rich alone would still write bold.
        status = Text(finding.status, "" if console.no_color else _COLOURS[finding.status])
        grid.add_row(status, label, Text("\n".join(_lines(finding, examination.title_by_account_id))))
    with tidy(console):
        console.print(grid)
        console.print(Text(f"\n{_summary(findings)}"))


def _lines(finding: Finding, titles: Mapping[str, str]) -> Iterator[str]:
    accounts = finding.account_ids
    if finding.status is CheckStatus.OK and len(accounts) > 1:
        yield f"{len(accounts):,} accounts: {plain(finding.message)}"
    else:
        if accounts:
            yield _names(accounts, titles)
        yield plain(finding.message)
    if finding.remedy:
        yield f"Remedy: {plain(finding.remedy)}"


def _names(account_ids: Sequence[str], titles: Mapping[str, str]) -> str:
    number = f"{count(len(account_ids), 'account')}: " if len(account_ids) > 1 else ""
    named = some_of([f"{plain(titles.get(one, one))} ({one})" for one in account_ids], MAX_ACCOUNTS)
    return f"{number}{named}{' (--output json names all)' if len(account_ids) > MAX_ACCOUNTS else ''}"


def _summary(findings: Sequence[Finding]) -> str:
    number = Counter(finding.status for finding in findings)
    problems, unknown = number[CheckStatus.PROBLEM], number[CheckStatus.UNKNOWN]
    known = f"; {unknown:,} could not be known" if unknown else ""
    found = count(problems, "problem") if problems else "No problem found"
    return f"{found}{known}. Nothing was changed in any account."
