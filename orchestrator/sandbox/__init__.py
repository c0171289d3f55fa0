"""The embedded organization of `--sandbox`: moto in this process, no AWS account, no Slack, no network.

`larkspur` holds the organization as data and draws it as a tree, in the words of `sample`; `building` and `furnishing`
make it in moto; `injection` adds what moto lacks, and lists it; `opening` is the way in. The program does not know that
it is in here: it makes its own clients, and runs as it does against AWS.
"""

from orchestrator.domain.errors import StartError

try:
    from orchestrator.sandbox.sample_organization import LARKSPUR
    from orchestrator.sandbox.sandbox import Sandbox, sandbox_config, sandbox_organization
except ModuleNotFoundError as error:
    raise StartError(
        f"--sandbox needs {error.name}, which is not installed: pip install 'orgmfa[cli,sandbox]'"
    ) from error

__all__ = ["LARKSPUR", "Sandbox", "sandbox_config", "sandbox_organization"]
