"""`orgmfa deploy`: from a checkout to an organization with the roles in place, and the way back.

`rollout` and `removal` tell the two stories; `changing` takes one stack from change set to event, `watching` waits for
it, `census` counts who is under EnforceMFA before anything is taken down. `templates`, `parameters`, `words` and
`guide` are pure. `view` prints; `opening` builds the adapters; `command` stands between options and exit code.
"""

from orchestrator.deploying.command import DeployOptions, deploy_command

__all__ = ["DeployOptions", "deploy_command"]
