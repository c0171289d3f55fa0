"""What an operator reads in a terminal or a CI log: a RunReport, worst first, ending in one sentence; the list of runs.

Rich renders; nothing is decided here. Text from outside passes through `plain`: never markup, no control characters.
Words say all that colour says. A run that is still going on is shown by `progress`.
"""

from orchestrator.progress import ProgressView
from orchestrator.tables.parts import tidy
from orchestrator.tables.report import MOST_USERS, print_report
from orchestrator.tables.runs import print_notes, print_runs
from orchestrator.tables.words import plain

__all__ = ["MOST_USERS", "ProgressView", "plain", "print_notes", "print_report", "print_runs", "tidy"]
