"""What an operator reads in a terminal or a CI log: a report as a table, the list of runs, progress. Rich renders.

Text from outside passes through `plain`: never markup, no control characters. Words say all that colour says.
"""

from orchestrator.output.terminal.layout import tidy
from orchestrator.output.terminal.progress import ProgressView, paused
from orchestrator.output.terminal.report import MAX_LINES, Shown, print_report
from orchestrator.output.terminal.run_list import print_runs
from orchestrator.output.words import plain

__all__ = ["MAX_LINES", "ProgressView", "Shown", "paused", "plain", "print_report", "print_runs", "tidy"]
