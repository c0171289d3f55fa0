"""The Slack digest of a run: pure, from a RunReport to blocks that Slack takes; `client` sends them."""
