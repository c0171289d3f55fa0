"""The page of a run: one HTML file for people, offline and in any viewer. Pure: a report in, text out."""

from orchestrator.page.render import render_page
from orchestrator.page.trend import MAX_RUNS, TrendPoint, trend_point

__all__ = ["MAX_RUNS", "TrendPoint", "render_page", "trend_point"]
