"""Prints a deployment in a terminal or a CI log: the changes of each stack, and progress.

Changes and results go to standard output, progress to standard error. Nothing is decided here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from orchestrator.deploy.templates import STACK_SET
from orchestrator.domain.cloudformation import STACK_TYPE, ChangeSet, StackEvent
from orchestrator.output.terminal import paused, tidy
from orchestrator.output.words import count, plain, visible

if TYPE_CHECKING:
    from orchestrator.deploy.changes import PreparedChange
    from orchestrator.deploy.teardown import Inventory

_REPLACED = {"True": "yes", "False": "no", "Conditional": "maybe", "": ""}


class DeploymentView:
    """Prints changes and results on one console, and progress on another."""

    def __init__(self) -> None:
        self._output = Console()
        self.progress = Console(stderr=True)
        self._bar: Progress | None = None

    def paused(self) -> AbstractContextManager[None]:
        """Context manager: keeps what follows a stack off the screen, so that a question can be asked there."""
        return paused(self._bar)

    def say(self, text: str) -> None:
        """Print a result; its line breaks are kept."""
        with tidy(self._output):
            self._output.print(Text("\n".join(map(visible, text.split("\n")))), soft_wrap=True)

    def begin(self, text: str) -> None:
        """Print the name of a step that starts now and may take a while."""
        self.progress.print(Text(f"{plain(text)} ..."), soft_wrap=True)

    @contextmanager
    def follow(self, stack_name: str, resources: int | None) -> Iterator[Callable[[StackEvent], None]]:
        """Show the progress of a stack: on a terminal in one line, else a line for each resource that is done."""
        done: set[str] = set()
        of = "" if resources is None else f"/{resources}"
        done_so_far = TextColumn("{task.description} {task.fields[count]} resources")
        columns = (SpinnerColumn(), done_so_far, TimeElapsedColumn(), TextColumn("{task.fields[last]}"))
        is_shown = self.progress.is_interactive
        with Progress(
            *columns, console=self.progress, transient=True, redirect_stdout=False, disable=not is_shown
        ) as bar:
            self._bar = bar
            task = bar.add_task(stack_name, count=f"0{of}", last="")

            def show(event: StackEvent) -> None:
                if event.type == STACK_TYPE and event.logical_id == stack_name:
                    return
                if not event.is_under_way and not event.is_given_up:
                    done.add(event.logical_id)
                    if not is_shown:
                        self.progress.print(Text(f"{stack_name}: {event.status} {event.logical_id}"), soft_wrap=True)
                bar.update(task, count=f"{len(done)}{of}", last=f"{event.status} {event.logical_id}")

            yield show

    def show_changes(self, prepared: "Sequence[PreparedChange]") -> None:
        """Print the changes of each stack."""
        with tidy(self._output):
            for change in prepared:
                self._output.print(Text(f"\n{_heading(change)}"))
                if change.change_set is not None:
                    for name, *values in change.differences:
                        shown = [plain(value) or "(empty)" for value in values]  # before and after
                        text = shown[1] if change.before is None else " -> ".join(shown)
                        self._output.print(Text(f"  {name}: {text}"), soft_wrap=True)
                    self._output.print(_changes_table(change.change_set))
            self._output.print()

    def show_inventory(self, found: "Inventory") -> None:
        """Print what would be deleted, in this order, and whether the bucket stays."""
        self.say("\nTo be deleted, in this order:")
        for stack_set, instances in found.instances.items():
            name = stack_set.partition(":")[0]
            is_first = name == found.stacks[STACK_SET].parameters.get("StackSetName")
            what = "roles and EnforceMFA" if is_first else "rule for IAM events"
            self.say(f"  the stacks of the StackSet {name} in {len(instances):,} accounts, with the {what}")
        for stack in found.doomed:
            self.say(f"  the stack {stack.name}")
        if found.bucket is not None:
            word = "kept, because the archive is in it" if found.is_bucket_kept else "deleted: no archive is in it"
            self.say(f"The bucket {found.bucket.name} is {word}.")


def _heading(change: "PreparedChange") -> str:
    name = change.template.stack_name
    if change.change_set is None:
        return f"{name}: nothing to change"
    resources = count(len(change.change_set.changes), "resource")
    return f"{name}: a new stack, {resources}" if change.before is None else f"{name}: {resources} to change"


def _changes_table(change_set: ChangeSet) -> Table:
    has_replacement = any(change.replacement for change in change_set.changes)
    table = Table(box=None, padding=(0, 0, 0, 2), pad_edge=True, header_style="")
    for name in ("action", "resource", "type", *(["replaced"] if has_replacement else [])):
        table.add_column(name, overflow="fold")
    for change in change_set.changes:
        cells = [change.action, change.logical_id, change.type]
        if has_replacement:
            cells.append(_REPLACED.get(change.replacement, change.replacement))
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table
