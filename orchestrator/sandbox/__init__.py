"""The embedded organization of `--sandbox`: moto in this process, no AWS account, no Slack, no network.

`larkspur.yaml` holds the organization, `sample_organization` reads it, with its classes; `fixtures` makes it in moto;
`moto_patches` adds what moto lacks, and lists it; `sandbox` opens it. The program does not know that it runs in here:
it makes its own clients, as it does against AWS.
"""

from orchestrator.domain.errors import StartError

try:
    from orchestrator.sandbox.sample_organization import LARKSPUR
    from orchestrator.sandbox.sandbox import Sandbox, sandbox_config, sandbox_organization
except ModuleNotFoundError as error:
    raise StartError(f"--sandbox needs {error.name}, which is not installed: pip install 'orgmfa[sandbox]'") from error

__all__ = ["LARKSPUR", "Sandbox", "sandbox_config", "sandbox_organization"]
