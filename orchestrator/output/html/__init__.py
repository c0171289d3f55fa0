"""The page of a run: one HTML file for people, offline and in any viewer. Pure: a report in, text out."""

from orchestrator.output.html.coverage import MAX_RUNS
from orchestrator.output.html.page import render_page

__all__ = ["MAX_RUNS", "render_page"]
