"""A run in steps, for organizations that one Lambda function cannot finish in its time.

select -> plan, batch by batch -> gate -> apply, batch by batch -> merge. The state machine in stackset/ starts each
step in an invocation of its own; `state` hands its output on through the archive.

The same as in one Lambda function: listing, inspection, planning, the gate, applying, the report and its publishing;
the functions of `steps` call the same ones. Different: the order of the calls, and what to do about lost batches.
"""
