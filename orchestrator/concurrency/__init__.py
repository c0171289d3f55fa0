"""Concurrency of a run: thread pool, work sharing within an account, adaptive limit, cancellation, CPU affinity."""
