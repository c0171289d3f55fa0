"""Threads of a run: the pool, sharing of work within an account, the adaptive limit, cancellation, CPU affinity."""
