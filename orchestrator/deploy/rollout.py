"""The sequence of a deployment.

read the stacks -> build the code -> bootstrap -> upload -> central, stackset. Each stack changes by a change set, which
is shown. The user is asked once for all changes that can be computed at that point: in a first deployment for bootstrap
alone, since the others need its bucket. Every step starts from what exists, so the same command continues an earlier
deployment that failed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.aws.deployment import ArtifactBucket
from orchestrator.deploy.changes import PreparedChange, discard_change, execute_change, make_updatable, prepare_change
from orchestrator.deploy.context import DeployContext
from orchestrator.deploy.function_code import Artifact
from orchestrator.deploy.messages import DeploymentFailed
from orchestrator.deploy.parameters import GivenValues, Known, choose_values, find_missing
from orchestrator.deploy.teardown import refuse_enforced
from orchestrator.deploy.templates import BOOTSTRAP, BUCKET_OUTPUT, CENTRAL, STACK_SET, STACKS, read_template
from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.cloudformation import Stack, Standing
from orchestrator.domain.errors import AwsError, ConfigError, StartError
from orchestrator.output.words import count

_IN_ACCOUNTS = {
    "TemplateUrl": ("member", "member_role/template.yaml"),
    "EventsTemplateUrl": ("events", "member_role/events.yaml"),
}
"""The templates that StackSets deploy, by the parameter that has their address: name of the artifact, and path."""


@dataclass(slots=True, kw_only=True)
class Rollout:
    """One deployment, with its stacks by template; `make_code` returns the zip for a processor and a Python."""

    context: DeployContext
    given: GivenValues
    known: Known
    make_code: Callable[[str, str], Artifact]
    stacks: dict[str, Stack | None] = field(default_factory=dict, init=False)
    has_changed: bool = field(default=False, init=False)

    @property
    def deployed(self) -> Mapping[str, Stack]:
        """The stacks that exist."""
        return {name: stack for name, stack in self.stacks.items() if stack is not None}

    def run(self) -> bool:
        """Deploy, and return False where the user declined.

        Raises StartError or ConfigError where it could not start; DeploymentFailed, AwsError, Interrupted after that.
        """
        self._read_stacks()
        self._check_missing()
        if STACK_SET in self.deployed and self.given[STACK_SET].get("Enforcement") == "off":
            # The member roles can only read after this.
            refuse_enforced(self.context, self.deployed)
        code = self._make_code()
        for name in STACKS:
            self.stacks[name] = make_updatable(self.stacks[name], self.context)
        sources = {BOOTSTRAP: read_template(BOOTSTRAP).text}
        if self.stacks[BOOTSTRAP] is None:
            if not self._change(sources):
                return False
            sources = {}
        return self._change(sources | self._upload(code))

    def _read_stacks(self) -> None:
        """Read the stacks, and take over the parameters of those that may have to be created again."""
        for name in STACKS:
            template = read_template(name)
            try:
                stack = self.stacks[name] = self.context.stacks.get_stack(template.stack_name)
            except AwsError as error:
                raise StartError(f"cannot read the stack {template.stack_name}: {error} ({error.code})") from error
            if stack is not None and stack.standing in {Standing.UNRECOVERABLE, Standing.BUSY}:
                names = template.parameters.keys() - self.known.always.keys()
                kept = {key: value for key, value in stack.parameters.items() if key in names}
                self.given = {**self.given, name: {**kept, **self.given[name]}}

    def _check_missing(self) -> None:
        """Raise ConfigError where a parameter has no value, before anything is done."""
        missing = [
            f"--parameter {one.name}=...: {one.description}"
            for name in STACKS
            for one in find_missing(read_template(name), self._choose(name))
        ]
        if missing:
            raise ConfigError("\n".join(["these parameters have no default and were never given:", *missing]))

    def _current(self, name: str) -> Mapping[str, str] | None:
        """Return the parameters of a stack that is to be updated, or None where it is to be created."""
        stack = self.stacks[name]
        if stack is None or stack.standing in {Standing.ABSENT, Standing.UNRECOVERABLE}:
            return None
        return stack.parameters

    def _choose(self, name: str) -> dict[str, str | None]:
        """Return the values of a stack's parameters. Raises ConfigError where the template refuses one that is kept."""
        return choose_values(read_template(name), given=self.given[name], known=self.known, current=self._current(name))

    def _make_code(self) -> Artifact:
        template, name = read_template(CENTRAL), "Architecture"
        present = (self._current(CENTRAL) or {}).get(name) or template.parameters[name].default
        return self.make_code(self.given[CENTRAL].get(name) or present or "", template.python)

    def _upload(self, code: Artifact) -> dict[str, str]:
        """Upload the artifacts, and return the addresses of the templates that are read from the bucket."""
        stack = self.stacks[BOOTSTRAP]
        if stack is None or BUCKET_OUTPUT not in stack.outputs:
            name = read_template(BOOTSTRAP).stack_name
            raise DeploymentFailed(f"the stack {name} has no output {BUCKET_OUTPUT}: was it made of another template?")
        place = self.context.place
        bucket = ArtifactBucket(self.context.hub.clients.s3, stack.outputs[BUCKET_OUTPUT])
        self.context.view.begin(f"uploading to {bucket.name}")
        templates = {name: Artifact(name, "yaml", read_template(name).text.encode()) for name in (CENTRAL, STACK_SET)}
        in_accounts = {
            parameter: Artifact(name, "yaml", read_shipped(path)) for parameter, (name, path) in _IN_ACCOUNTS.items()
        }
        for artifact in (code, *in_accounts.values(), *templates.values()):
            bucket.put(artifact.key, artifact.content, sha256=artifact.sha256)
        addresses = {parameter: place.address(bucket.name, one.key) for parameter, one in in_accounts.items()}
        found = {"CodeBucket": bucket.name, "CodeKey": code.key, **addresses}
        self.known = replace(self.known, always={**self.known.always, **found})
        return {name: place.address(bucket.name, artifact.key) for name, artifact in templates.items()}

    def _change(self, sources: Mapping[str, str]) -> bool:
        """Prepare the changes of these stacks, ask, and make them; return whether the user agreed."""
        prepared: list[PreparedChange] = []
        try:
            for name, source in sources.items():
                template, before, values = read_template(name), self.stacks[name], self._choose(name)
                prepared.append(prepare_change(template, source, values, before=before, context=self.context))
            if not any(change.change_set for change in prepared):
                return True
            self.context.view.show_changes(prepared)
            if not self.context.ask(f"Change {count(sum(bool(change.change_set) for change in prepared), 'stack')}?"):
                return False
            while prepared:
                change = prepared.pop(0)
                if change.change_set is not None:
                    after = execute_change(change.template.stack_name, change.change_set, self.context)
                    self.stacks[change.template.name], self.has_changed = after, True
            return True
        finally:
            for change in prepared:
                if change.change_set is not None:
                    discard_change(change.change_set, self.context)
