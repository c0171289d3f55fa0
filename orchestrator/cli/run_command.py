"""The commands `plan`, `apply`, `release` and `report`: run, ask, print the report, return the exit code."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import Literal, TextIO

import click
import structlog
from rich.console import Console

from orchestrator.cli.config_command import read_config
from orchestrator.cli.confirmation import Interrupts, make_question
from orchestrator.cli.mfa_prompt import MfaPrompt
from orchestrator.cli.process import first_error, note_writing
from orchestrator.cli.releases import end_releases, tell_locks
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import Config
from orchestrator.domain.environment import check_variables
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode, Outcome, RunRequest, Trigger, Via
from orchestrator.domain.nudges import NOW_ENFORCED
from orchestrator.logs import configure_logs
from orchestrator.output.csv_export import write_csv
from orchestrator.output.run_notes import run_notes, show_sample
from orchestrator.output.terminal import ProgressView, Shown, print_report
from orchestrator.output.terminal.preflight import print_preflight
from orchestrator.pipeline.context import Finished
from orchestrator.pipeline.ports import APPLYING
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport, exit_code
from orchestrator.reports.report_json import write_accounts, write_indented
from orchestrator.reports.run_files import read_file
from orchestrator.wiring import Hub, build_context, load_credentials, make_hub, make_run_id, run_once, utc_now

DEPLOY_FIRST = "deploy the member roles (docs/deploy.md), then orgmfa doctor"
"""The next step after a plan through a role that others made: no apply can follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of a run. A limit is a count, `none`, or None; `role` is one that others made, else the member role."""

    config_path: Path | None
    output: str
    targets: tuple[str, ...]
    ou_ids: tuple[str, ...]
    sandbox: bool
    verbose: bool
    role: str | None = None
    scp: bool = False
    every_row: bool = False
    quiet: bool = False
    max_changes: int | Literal["none"] | None = None
    max_changes_per_account: int | Literal["none"] | None = None
    yes: bool = False
    send_digest: bool = False
    user_names: tuple[str, ...] = ()
    release_for: timedelta = timedelta()
    profile: str | None = None
    region: str | None = None


def run_command(mode: Mode, options: RunOptions) -> int:
    """Run, print the report, and return the exit code. Raises ConfigError or StartError where it could not start."""
    ask = mode is not Mode.PLAN and not options.yes
    if ask and not sys.stdin.isatty():
        raise click.UsageError(f"{mode.value} asks before it writes, and there is no terminal to ask on: add --yes")
    configure_command_logs(verbose=options.verbose, is_shown=options.output == "table")
    cancellation, progress = Cancellation(), _Progress(Console(stderr=True), mode)
    asking = MfaPrompt(progress.paused, cancellation)
    with open_hub(options, asking, needs_switch=mode is not Mode.RELEASE) as hub:
        if mode is not Mode.PLAN:
            hub.config.require_own_roles()
        request = _make_request(mode, options, hub)
        structlog.contextvars.bind_contextvars(run_id=request.run_id)
        with Interrupts(cancellation) as interrupts:  # also while the report is printed, so that it is not cut off
            if mode is Mode.RELEASE and not options.release_for:
                agree = interrupts.ask if ask else lambda *_: True
                return _end_releases(hub, request, options, confirm=agree, cancellation=cancellation)
            with progress:

                def confirm(plan: RunReport) -> bool:
                    with progress.paused():
                        question = _show_plan(plan, options, hub.config)
                        is_seen = first_error(sys.stdout, sys.stderr) is None  # nobody agrees to a plan unseen
                        return is_seen and interrupts.ask(*question)

                context = build_context(
                    hub,
                    request,
                    cancellation=cancellation,
                    observer=progress,
                    confirm=confirm if ask else None,
                    send_digest=options.send_digest and not options.sandbox,
                )
                finished = run_once(context)
            code = _show(finished, options, hub.config, mode=mode)
            if mode is Mode.RELEASE:
                tell_locks(finished.report, hub, cancellation)
            return code


def _end_releases(
    hub: Hub,
    request: RunRequest,
    options: RunOptions,
    *,
    confirm: Callable[[str, int], bool],
    cancellation: Cancellation,
) -> int:
    in_words = options.output == "table"
    report = end_releases(hub, request, confirm=confirm, in_words=in_words, cancellation=cancellation)
    if report is None:
        click.echo("Nothing was written.", err=True)
        return 1
    if not in_words:
        show_report(report, hub.config, Shown(), output=options.output)
    return exit_code(report)


class _Progress(ProgressView):
    """The progress of a run, which notes when writing begins."""

    def phase(self, name: str, total: int | None) -> None:
        """Begin a phase."""
        if name == APPLYING:
            note_writing()
        super().phase(name, total)


def _show(finished: Finished, options: RunOptions, config: Config, *, mode: Mode) -> int:
    if finished.was_declined:
        click.echo("Nothing was written.", err=True)
        if options.output != "table":
            show_report(finished.report, config, Shown(), output=options.output)
        return 1
    show_report(finished.report, config, _shown(options, address=finished.address), output=options.output)
    if options.sandbox and options.output == "table" and mode is not Mode.PLAN:
        _keep_digest(finished.report, config)
    return exit_code(finished.report)


def show_report(
    report: RunReport, config: Config, shown: Shown, *, output: str = "table", console: Console | None = None
) -> None:
    """Print a report on standard output, or the console; as a table, as JSON, or with one account a line."""
    if output != "table":
        for text in write_indented(report) if output == "json" else write_accounts(report):
            click.echo(text, nl=False)
        return
    console = console or Console()
    if report.preflight and not shown.every_row:
        print_preflight(report, console, shown, config=config)
        return
    stops_keys, notes = config.policy.blocks_access_keys, run_notes(config, report)
    print_report(report, console, shown, blocks_access_keys=stops_keys, notes=notes)
    if report.mode is Mode.PLAN and not shown.brief and (sample := show_sample(report, config)):
        console.print(f"\n{sample}", markup=False, highlight=False)


def _shown(options: RunOptions, *, address: str | None = None) -> Shown:
    narrowing = [*(("--account", one) for one in options.targets), *(("--ou", one) for one in options.ou_ids)]
    return Shown(
        every_row=options.every_row,
        whole_texts=options.verbose,
        brief=options.quiet,
        address=address,
        options=_spell(("--config", options.config_path), ("--profile", options.profile), ("--region", options.region))
        + (" --sandbox" if options.sandbox else ""),
        narrowing=_spell(*narrowing, ("--max-changes-per-account", options.max_changes_per_account)),
        limit=_spell(("--max-changes", options.max_changes)),
        next_step="" if options.role is None else DEPLOY_FIRST,
    )


def _spell(*given: tuple[str, object]) -> str:
    """Return those of these options that have a value, as they are written in a shell."""
    return "".join(f" {name} {quote(str(value))}" for name, value in given if value is not None)


def open_archive(
    config_path: Path | None, *, sandbox: bool, profile: str | None, region: str | None
) -> tuple[Config, RunArchive]:
    """Return the configuration and the archive whose runs are shown; those of the sandbox need no AWS."""
    if not sandbox:
        config = read_config(config_path, needs_switch=False)
        return config, make_hub(config, os.environ, profile=profile, region=region, asking=MfaPrompt()).archive
    check_variables(os.environ)
    from orchestrator.sandbox import sandbox_config  # noqa: PLC0415 - as in open_hub

    config = sandbox_config(utc_now())
    return config, make_hub(config, os.environ).archive


def load_report(archive: RunArchive, named: str) -> RunReport:
    """Return a run by ID, `latest`, file or address. Raises ConfigError for none, ArchiveError for one not readable."""
    path = Path(named)
    return read_file(path) or archive.load(path.name.removesuffix(".json.gz"))


def export_report(
    archive: RunArchive, run_id: str, config: Config, *, html_path: Path | None, csv_path: Path | None
) -> None:
    """Write an archived run as HTML page, as CSV, or both, whole or not at all. Raises ConfigError where that fails."""
    from orchestrator.output.html import MAX_RUNS, render_page  # noqa: PLC0415 - for this option alone

    report = load_report(archive, run_id)
    if html_path is not None:
        trend = archive.trend(report.organization_id, most=MAX_RUNS)
        page = render_page(report, trend=trend, blocks_access_keys=config.policy.blocks_access_keys)
        _write_whole(html_path, lambda file: file.writelines(page))
    if csv_path is not None:
        _write_whole(csv_path, lambda file: write_csv(report, file))


def _write_whole(path: Path, write: Callable[[TextIO], None]) -> None:
    unfinished = Path(f"{path}.partial")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            write(file)
        unfinished.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):  # it has its name, or was never made
            unfinished.unlink()
    click.echo(f"{path}", err=True)


def configure_command_logs(*, verbose: bool, is_shown: bool = False) -> None:
    """Log warnings to standard error; only errors where a table or the progress on a terminal shows the rest."""
    quiet = logging.ERROR if is_shown or sys.stderr.isatty() else logging.WARNING
    configure_logs(as_json=False, level=logging.INFO if verbose else quiet)


def _make_request(mode: Mode, options: RunOptions, hub: Hub) -> RunRequest:
    now = hub.now()
    return RunRequest(
        run_id=make_run_id(now),
        mode=mode,
        trigger=Trigger.CLI,
        started_at=now,
        targets=options.targets,
        ou_ids=options.ou_ids,
        user_names=frozenset(options.user_names) or None,
        release_for=options.release_for,
        preflight="scp" if options.scp else None,
    )


@contextmanager
def open_hub(options: RunOptions, asking: MfaPrompt, *, needs_switch: bool = True) -> Iterator[Hub]:
    """Context manager: yields a hub of the configured AWS, its credentials loaded, or of the embedded organization."""
    limits = {"max_changes_per_run": options.max_changes, "max_changes_per_account": options.max_changes_per_account}
    if not options.sandbox:
        config = read_config(options.config_path, needs_switch=needs_switch)
        config = config.reading_through(options.role)
        hub = make_hub(config, os.environ, profile=options.profile, region=options.region, asking=asking)
        load_credentials(hub)
        yield hub.with_limits(**limits)
        return
    check_variables(os.environ)
    from orchestrator.sandbox import sandbox_organization  # noqa: PLC0415 - moto is an extra, and slow to import

    with sandbox_organization() as sandbox:
        hub = make_hub(_sandboxed(sandbox.config, options), os.environ, prepare=sandbox.prepare)
        sandbox.resume(_done_so_far(hub.archive))
        yield replace(hub.with_limits(**limits), messenger=sandbox.mailbox)
        _keep_messages(sandbox.mailbox.texts, hub.config)


def _done_so_far(archive: RunArchive) -> Iterator[tuple[str, str, Via | None]]:
    """Yield whom the runs in the archive enforced or released, the oldest run first."""
    for report in archive.readable(reversed(archive.list_runs())):
        for account in report.accounts:
            for user in account.users:
                if user.outcome in {Outcome.ENFORCED, Outcome.RELEASED}:
                    yield account.id, user.name, user.via if user.outcome is Outcome.ENFORCED else None


def _sandboxed(config: Config, options: RunOptions) -> Config:
    """Return the sandbox's configuration, or the named file's with the sandbox's organization, archive and Slack."""
    if options.config_path is not None:
        kept = {"organization": config.organization, "archive": config.archive, "slack": config.slack}
        config = read_config(options.config_path).model_copy(update=kept)
    return config.reading_through(options.role)


def _show_plan(plan: RunReport, options: RunOptions, config: Config) -> tuple[str, int]:
    """Print the plan and return the question whether to carry it out, and how many users it changes."""
    show_report(plan, config, _shown(options), console=Console(stderr=options.output != "table"))
    if plan.mode is Mode.APPLY and config.enforcement.mode is Mode.PLAN:
        click.echo("enforcement.mode is plan: the Lambda writes nothing, this command does.", err=True)
    return make_question(plan, blocks_access_keys=config.policy.blocks_access_keys, width=Console(stderr=True).width)


def _keep_digest(report: RunReport, config: Config) -> None:
    """Write the digest as Slack would show it to a file beside the runs: the sandbox sends none."""
    from orchestrator.output.slack.digest import render_digest, render_text  # noqa: PLC0415 - for the sandbox alone

    stops_keys, notes = config.policy.blocks_access_keys, run_notes(config, report)
    digest = render_digest(report, config.slack, notes=notes, blocks_access_keys=stops_keys)
    path = Path(config.archive.location, "digest.txt")
    path.write_text(f"{render_text(digest)}\n", encoding="utf-8")
    click.echo(f"Digest: {path} (what Slack would show; the sandbox sends nothing)")


def _keep_messages(texts: list[str], config: Config) -> None:
    """Write two messages to users to a file beside the runs: one to a user in grace, one to a user who is enforced."""
    ours = [text for is_enforced in (False, True) for text in texts if (NOW_ENFORCED in text) is is_enforced]
    if shown := list(dict.fromkeys((*ours[:1], *ours[-1:]))):
        path = Path(config.archive.location, "messages.txt")
        path.write_text(f"\n{'-' * 80}\n\n".join(shown), encoding="utf-8")
        click.echo(f"Messages: {path} (two of {len(texts)} to users; the sandbox sends nothing)", err=True)
