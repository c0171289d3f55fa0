"""The story of a deployment.

look at the stacks -> build the code -> bootstrap -> upload -> central, stackset. Each stack changes by a change set,
which is shown; the user is asked once for all that can be shown at that point: at first for the bootstrap stack alone,
since the others need its bucket. Every step looks at what stands, so that the same command goes on where an earlier one
ended.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.deploy.change_sets import (
    PreparedChange,
    carry_out,
    changes_of,
    drop_change,
    prepare_change,
    settle_stack,
)
from orchestrator.deploy.function_code import Code, artifact_key
from orchestrator.deploy.messages import DeploymentFailed
from orchestrator.deploy.parameters import (
    GivenValues,
    Known,
    choose_values,
    effective_value,
    find_missing,
)
from orchestrator.deploy.ports import Tools
from orchestrator.deploy.templates import BOOTSTRAP, CENTRAL, STACK_SET, STACKS, Template
from orchestrator.domain.cloudformation import Stack, Standing
from orchestrator.domain.errors import AwsError, ConfigError, StartError

BUCKET_OUTPUT = "BucketName"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be deployed.

    `make_code` returns the zip for a processor and a Python, `address` the https address of a key in a bucket,
    `confirm` shows changes and returns whether they are to be made.
    """

    templates: Mapping[str, Template]
    member_template: bytes
    given: GivenValues
    known: Known
    make_code: Callable[[str, str], Code]
    address: Callable[[str, str], str]
    confirm: Callable[[Sequence[PreparedChange]], bool]


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stacks that stand after a deployment, by the names of their templates; and whether anything changed."""

    stacks: Mapping[str, Stack]
    has_changed: bool


def roll_out(order: Order, tools: Tools) -> Deployed | None:
    """Deploy what was ordered and return what stands, or None where the user declined.

    Raises StartError or ConfigError where it could not start; DeploymentFailed, AwsError, Interrupted after that.
    """
    return _Rollout(order, tools).run()


class _Rollout:
    """One deployment, with what is known of the stacks so far."""

    def __init__(self, order: Order, tools: Tools) -> None:
        self._order = order
        self._tools = tools
        self._given = {name: dict(values) for name, values in order.given.items()}
        self._stacks: dict[str, Stack | None] = {}
        self._has_changed = False

    def run(self) -> Deployed | None:
        """Tell the story."""
        self._look()
        code = self._make_code()
        for name in STACKS:
            self._stacks[name] = settle_stack(self._stacks[name], self._tools)
        bootstrap = {BOOTSTRAP: self._order.templates[BOOTSTRAP].text}
        if self._stacks[BOOTSTRAP] is None:
            if not self._change(bootstrap, self._order.known):
                return None
            bootstrap = {}
        known, sources = self._upload(code)
        if not self._change(bootstrap | sources, known):
            return None
        return Deployed({name: stack for name, stack in self._stacks.items() if stack}, self._has_changed)

    def _look(self) -> None:
        """Read how the stacks stand, and see that every parameter has a value, before anything is done."""
        missing: list[str] = []
        for name in STACKS:
            template = self._order.templates[name]
            stack = self._stacks[name] = self._get_stack(template)
            if stack is not None and stack.standing in {Standing.UNRECOVERABLE, Standing.BUSY}:
                self._remember(name, stack)
            missing += [
                f"--parameter {one.name}=...: {one.description}"
                for one in find_missing(
                    template, given=self._given[name], known=self._order.known, current=self._current(name)
                )
            ]
        if missing:
            raise ConfigError("\n".join(["these parameters have no default and were never given:", *missing]))

    def _get_stack(self, template: Template) -> Stack | None:
        try:
            return self._tools.stacks.get_stack(template.stack_name)
        except AwsError as error:
            raise StartError(f"cannot read the stack {template.stack_name}: {error} ({error.code})") from error

    def _remember(self, name: str, stack: Stack) -> None:
        """Take the parameters of a stack that may have to be made anew for given: else they would go with it."""
        known = self._order.known.always
        names = self._order.templates[name].parameters.keys() - known.keys()
        kept = {key: value for key, value in stack.parameters.items() if key in names}
        self._given[name] = kept | self._given[name]

    def _current(self, name: str) -> Mapping[str, str] | None:
        """Return the parameters of a stack that is to be updated."""
        stack = self._stacks[name]
        is_there = stack is not None and stack.standing not in {Standing.ABSENT, Standing.UNRECOVERABLE}
        return stack.parameters if stack is not None and is_there else None

    def _make_code(self) -> Code:
        template = self._order.templates[CENTRAL]
        architecture = effective_value(
            "Architecture", template, given=self._given[CENTRAL], current=self._current(CENTRAL)
        )
        return self._order.make_code(architecture, template.python)

    def _upload(self, code: Code) -> tuple[Known, dict[str, str]]:
        """Put the artifacts into the bucket; return what is known now, and the addresses of the other templates."""
        stack = self._stacks[BOOTSTRAP]
        if stack is None or BUCKET_OUTPUT not in stack.outputs:
            name = self._order.templates[BOOTSTRAP].stack_name
            raise DeploymentFailed(f"the stack {name} has no output {BUCKET_OUTPUT}: was it made of another template?")
        bucket = self._tools.open_bucket(stack.outputs[BUCKET_OUTPUT])
        self._tools.view.begin(f"uploading to {bucket.name}")
        member_hash = hashlib.sha256(self._order.member_template).hexdigest()
        member_key = artifact_key("member", member_hash, "yaml")
        bucket.put(code.key, code.content, sha256=code.sha256)
        bucket.put(member_key, self._order.member_template, sha256=member_hash)
        sources: dict[str, str] = {}
        for name in (CENTRAL, STACK_SET):
            template = self._order.templates[name]
            key = artifact_key(name, template.sha256, "yaml")
            bucket.put(key, template.text.encode(), sha256=template.sha256)
            sources[name] = self._order.address(bucket.name, key)
        address = self._order.address(bucket.name, member_key)
        known = self._order.known.with_values(CodeBucket=bucket.name, CodeKey=code.key, TemplateUrl=address)
        return known, sources

    def _change(self, sources: Mapping[str, str], known: Known) -> bool:
        """Work out the changes of these stacks, ask, and make them; return whether the user agreed."""
        prepared: list[PreparedChange] = []
        try:
            for name, source in sources.items():
                prepared.append(self._prepare(name, source, known))
            if not changes_of(prepared):
                return True
            if not self._order.confirm(prepared):
                return False
            while prepared:
                self._carry_out(prepared.pop(0))
            return True
        finally:
            for change in prepared:
                drop_change(change, self._tools)

    def _prepare(self, name: str, source: str, known: Known) -> PreparedChange:
        template, before = self._order.templates[name], self._stacks[name]
        current = before.parameters if before else None
        values = choose_values(template, given=self._given[name], known=known, current=current)
        return prepare_change(template, source, values, before=before, tools=self._tools)

    def _carry_out(self, change: PreparedChange) -> None:
        if change.change_set is not None:
            self._stacks[change.template.name] = carry_out(change, change.change_set, self._tools)
            self._has_changed = True
