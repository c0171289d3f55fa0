"""The same run in steps, for organizations that one Lambda function cannot finish in its time.

select -> plan, batch by batch -> gate -> apply, batch by batch -> merge. Each step is one invocation; what it leaves
for the next stands in the archive, in the work room of the run. The state machine in stackset/ calls them.
"""

from orchestrator.pipeline.distributed.merge import merge
from orchestrator.pipeline.distributed.state import RunManifest, RunState
from orchestrator.pipeline.distributed.steps import apply_batch, gate_plans, list_batches, plan_batch

__all__ = ["RunManifest", "RunState", "apply_batch", "gate_plans", "list_batches", "merge", "plan_batch"]
