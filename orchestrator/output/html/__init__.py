"""The page of a run: one HTML file for people, offline and in any viewer. Pure: a report in, text out."""

from orchestrator.output.html.render import render_page
from orchestrator.output.html.trend import MAX_RUNS

__all__ = ["MAX_RUNS", "render_page"]
