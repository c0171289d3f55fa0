"""What an operator reads in a terminal or a CI log: a report as a table, the list of runs, progress. Rich renders.

Text from outside passes through `plain`: never markup, no control characters. Words say all that colour says.
"""

from orchestrator.output.terminal.console import ProgressView, paused, tidy
from orchestrator.output.terminal.report import MAX_LINES, Shown, print_report, print_runs

__all__ = ["MAX_LINES", "ProgressView", "Shown", "paused", "print_report", "print_runs", "tidy"]
