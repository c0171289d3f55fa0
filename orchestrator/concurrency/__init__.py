"""Concurrency of a run: thread pool on one core, work sharing within an account, cancellation."""
