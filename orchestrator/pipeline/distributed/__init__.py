"""A run in steps, for organizations that one Lambda function cannot finish in its time.

select -> plan, batch by batch -> gate -> apply, batch by batch -> merge. The state machine in stackset/ starts each
step in an invocation of its own, `state` hands on its output, and `steps` calls the functions of a run in one process:
the order of the calls is different, and what to do about lost batches.
"""
