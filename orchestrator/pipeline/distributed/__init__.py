"""A run in steps, select -> plan -> gate -> apply -> merge, for organizations that one Lambda function cannot finish.

The state machine in stackset/ starts each step, planning and applying batch by batch, in an invocation of its own.
"""
