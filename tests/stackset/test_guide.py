"""docs/deploy.md says what can be typed: commands, options, parameters and links that exist."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import parliament
import pytest
import yaml
from botocore import xform_name
from botocore.loaders import Loader

from orchestrator.cli.main import cli
from orchestrator.domain.config_file import parse_config
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role import rendering as member_role
from tests.stackset.permission_samples import actions
from tests.stackset.rendering import MANAGEMENT, NAMES, permissions_of, template

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "deploy.md").read_text("utf-8")

# Of the AWS CLI itself, beside the operations of the API.
OWN_COMMANDS = {
    ("cloudformation", "deploy"): {
        "capabilities",
        "no-execute-changeset",
        "parameter-overrides",
        "region",
        "s3-bucket",
        "s3-prefix",
        "stack-name",
        "template-file",
    },
    ("cloudformation", "wait"): {"stack-name"},
    ("s3", "cp"): set(),
}
GLOBAL_OPTIONS = {"cli-binary-format", "output", "query", "region"}
# Being made; tried here as soon as they are there.
LATER = {"package", "report --html"}


# Language and text of every block of code.
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
TEXT = re.sub(r"^```\w*\n.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for one, text in BLOCKS if one == language]


def commands(program: str) -> Iterator[list[str]]:
    """Yield the calls of a program in the guide, each as its words, in blocks and in running text."""
    inline = [one for one in re.findall(r"`([^`\n]+)`", TEXT) if one.startswith(f"{program} ")]
    lines = [line for block in blocks("") for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *inline]:
        found = re.search(rf"(?:^|\$\()({program} .*?)(?:\)$|$)", line.strip())
        if found:
            yield shlex.split(found[1], comments=True)


def operation(service: str, command: str) -> dict[str, Any] | None:
    """Return the shape of an operation's input, by the names of its parameters as the AWS CLI writes them."""
    model = Loader().load_service_model(service, "service-2")
    for name, declared in model["operations"].items():
        if xform_name(name, "-") == command:
            shape = model["shapes"][declared["input"]["shape"]] if "input" in declared else {"members": {}}
            return {xform_name(member, "-"): one for member, one in shape["members"].items()}
    return None


@pytest.mark.parametrize("words", list(commands("aws")))
def test_an_aws_command_exists_with_its_options(words: list[str]) -> None:
    _, service, command, *rest = words
    options = {word.removeprefix("--").partition("=")[0] for word in rest if word.startswith("--")}
    own = OWN_COMMANDS.get((service, command))

    known = own if own is not None else operation(service, command)

    assert known is not None
    assert options - GLOBAL_OPTIONS <= set(known)


def test_there_is_no_shortage_of_commands() -> None:
    assert len(list(commands("aws"))) > 30
    assert len(list(commands("orgmfa"))) > 15


@pytest.mark.parametrize("words", list(commands("orgmfa")))
def test_an_orgmfa_command_exists_with_its_options(words: list[str]) -> None:
    _, name, *rest = words
    command = cli.commands.get(name)
    if command is None:
        assert name in LATER
        return
    assert isinstance(command, click.Command)
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in rest if word.startswith("--") and f"{name} {word}" not in LATER} <= known


def test_every_parameter_in_a_command_is_one_of_a_template() -> None:
    declared = {f"stackset/{name}.yaml": template(name)["Parameters"] for name in NAMES}
    declared["member_role/template.yaml"] = member_role.template()["Parameters"]
    everywhere = {parameter for parameters in declared.values() for parameter in parameters}

    for words in commands("aws"):
        if words[1:3] == ["cloudformation", "deploy"] and "--parameter-overrides" in words:
            given = words[words.index("--parameter-overrides") + 1 :]
            path = words[words.index("--template-file") + 1]
            assert {one.partition("=")[0] for one in given if "=" in one} <= set(declared[path]), words
    for words in commands("orgmfa"):
        given = [
            words[index + 1] for index, word in enumerate(words) if word == "--parameter" and "=" in words[index + 1]
        ]
        assert {one.partition("=")[0] for one in given} <= everywhere, words


def test_every_parameter_in_running_text_is_one_of_a_template() -> None:
    everywhere = {parameter for name in NAMES for parameter in template(name)["Parameters"]}

    named = set(re.findall(r"`([A-Z][A-Za-z]+)=(?:[a-z_0-9.]+|[A-Z_]+)`", GUIDE))

    assert named
    assert named <= everywhere


def test_a_template_that_is_too_long_for_a_command_line_goes_through_the_bucket() -> None:
    through = {True: set[str](), False: set[str]()}
    for words in commands("aws"):
        if words[1:3] == ["cloudformation", "deploy"]:
            through["--s3-bucket" in words].add(words[words.index("--template-file") + 1])

    # CloudFormation API reference, CreateChangeSet: TemplateBody.
    assert {path for path in through[False] if (ROOT / path).stat().st_size > 51_200} == set()
    assert through[True] == {"stackset/central.yaml"}


def test_the_deployment_by_hand_gives_every_parameter_that_has_no_default() -> None:
    given: dict[str, set[str]] = {}
    for words in commands("aws"):
        if words[1:3] == ["cloudformation", "deploy"]:
            stack = words[words.index("--stack-name") + 1]
            names = {one.partition("=")[0] for one in words if re.match(r"[A-Z]\w+=", one)}
            given[stack] = given.get(stack, set()) | names

    for name in ("bootstrap", "central", "stackset"):
        needed = {key for key, one in template(name)["Parameters"].items() if "Default" not in one}
        assert needed <= given[f"orgmfa-{name}"], name


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_piece_of_configuration_is_taken(text: str) -> None:
    config = parse_config(text.replace("BUCKET", "bucket"), source="the guide")

    assert config.model_fields_set == set(yaml.safe_load(text))


def test_the_statement_for_the_resource_policy_lets_the_roles_list_and_no_more() -> None:
    [text] = blocks("json")
    document = {"Version": "2012-10-17", "Statement": [json.loads(text)]}
    callable_by_role = set(actions(*permissions_of("OperatorRole", OperatorPrincipalArns="arn:aws:iam::1:role/a")))
    caller = {"aws:PrincipalArn": "arn:aws:iam::999988887777:role/orgmfa-orchestrator"}
    stranger = {"aws:PrincipalArn": f"arn:aws:iam::{MANAGEMENT}:role/any"}

    # It could name resources; the roles' own policies do.
    findings = parliament.analyze_policy_string(json.dumps(document)).findings
    assert {finding.issue for finding in findings} == {"RESOURCE_STAR"}
    assert set(actions(document)) == {one for one in callable_by_role if one.startswith("organizations:")}
    assert decide(Request("organizations:ListAccounts", "*", caller), [document]) is Decision.ALLOW
    assert decide(Request("organizations:ListAccounts", "*", stranger), [document]) is Decision.IMPLICIT_DENY


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    for target in re.findall(r"\]\(([^)]+)\)", GUIDE):
        path, _, anchor = target.partition("#")
        assert not path or (ROOT / "docs" / path).is_file(), target
        assert path or anchor in anchors, target


def test_every_alarm_is_explained() -> None:
    names = {
        one["Properties"]["AlarmName"]
        for one in template("central")["Resources"].values()
        if one["Type"] == "AWS::CloudWatch::Alarm"
    }
    readme = (ROOT / "stackset" / "README.md").read_text("utf-8")

    assert names == set(re.findall(r"^\| `(orgmfa-[a-z-]+)` \|", readme, re.MULTILINE))
