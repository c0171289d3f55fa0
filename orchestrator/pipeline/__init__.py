"""The story of a run: select, inspect, plan, gate, apply, publish; in one process, or in steps (`distributed`)."""
