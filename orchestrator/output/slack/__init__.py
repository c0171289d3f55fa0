"""The Slack digest of a run: pure, from a RunReport to blocks that Slack takes. `slack` sends them."""

from orchestrator.output.slack.digest import Digest, render_digest, render_text

__all__ = ["Digest", "render_digest", "render_text"]
