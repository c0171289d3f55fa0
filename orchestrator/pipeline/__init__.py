"""A run: select, inspect, plan, gate, apply, publish; in one process (`run`), or in steps (`distributed`)."""
