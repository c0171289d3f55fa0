"""What an operator reads in a terminal or a CI log: a RunReport, worst first, ending in one sentence; the list of runs.

Rich renders; nothing is decided here. Text from outside passes through `plain`: never markup, no control characters.
Words say all that colour says. A run that is still going on is shown by `progress`.
"""

from orchestrator.output.terminal.layout import tidy
from orchestrator.output.terminal.progress import ProgressView
from orchestrator.output.terminal.report import MOST_USERS, print_report
from orchestrator.output.terminal.run_list import print_notes, print_runs
from orchestrator.output.terminal.text import plain

__all__ = ["MOST_USERS", "ProgressView", "plain", "print_notes", "print_report", "print_runs", "tidy"]
