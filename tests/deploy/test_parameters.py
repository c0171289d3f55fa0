"""Which value each parameter of a stack gets, without AWS."""

from orchestrator.deploy.parameters import (
    Known,
    choose_values,
    configured_values,
    find_missing,
    list_differences,
    parse_given,
)
from orchestrator.deploy.templates import STACKS, Template, read_template
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import parse_config
from tests.builders import make_config

TEMPLATES = [read_template(name) for name in STACKS]
SAMPLE = Template(
    "central",
    "Parameters:\n"
    "  Size: {Type: Number, Default: 2, MinValue: 1, MaxValue: 3}\n"
    "  Name: {Type: String}\n"
    "  CodeKey: {Type: String}\n"
    "  CallAs: {Type: String, Default: X}\n",
)
KNOWN = Known({"CodeKey": "key"}, {"CallAs": "SELF"})


def test_every_template_takes_what_deploy_finds_or_names_it_with_a_default() -> None:
    known = Known({"OrganizationId": "o", "SecurityAccountId": "1"}, {})
    missing = {
        (template.name, one.name)
        for template in TEMPLATES
        for one in find_missing(template, choose_values(template, given={}, known=known, current=None))
    }

    assert missing == {("stackset", "TargetIds")}


def test_new_stack_gets_what_is_given_and_known_and_else_the_defaults() -> None:
    values = choose_values(SAMPLE, given={"Name": "n"}, known=KNOWN, current=None)

    assert values == {"Name": "n", "CodeKey": "key", "CallAs": "SELF"}
    assert list_differences(SAMPLE, values, None) == (
        ("Name", "", "n"),
        ("CodeKey", "", "key"),
        ("CallAs", "X", "SELF"),
    )


def test_stack_that_stands_keeps_what_is_neither_given_nor_known() -> None:
    current = {"Size": "3", "Name": "n", "CodeKey": "old", "CallAs": "DELEGATED_ADMIN"}

    values = choose_values(SAMPLE, given={"Size": "1"}, known=KNOWN, current=current)

    assert values == {"Size": "1", "Name": None, "CodeKey": "key", "CallAs": None}
    assert list_differences(SAMPLE, values, current) == (("Size", "3", "1"), ("CodeKey", "old", "key"))


def test_parameter_that_is_new_in_a_template_has_to_be_given_or_has_a_default() -> None:
    current = {"Size": "3", "CodeKey": "old"}

    values = choose_values(SAMPLE, given={}, known=KNOWN, current=current)

    assert values["CallAs"] == "SELF"
    assert [one.name for one in find_missing(SAMPLE, values)] == ["Name"]


def test_name_of_a_stack_wins_over_a_plain_one_and_values_may_hold_anything() -> None:
    found = parse_given(
        ["central.OrchestratorRoleName=b=c", "OrchestratorRoleName=a.b", "ProtectedUserArns="], TEMPLATES, Config()
    )

    assert found["central"] == {"OrchestratorRoleName": "b=c"}
    assert found["stackset"] == {"OrchestratorRoleName": "a.b", "ProtectedUserArns": ""}
    assert found["bootstrap"] == {}


def test_value_that_agrees_with_the_configuration_may_be_given() -> None:
    config = parse_config("policy: {access_keys: allow, managed_by: orchestrator}\n", source="test")

    found = parse_given(["AccessKeys=allow", "AllowPolicyManagement=true"], TEMPLATES, config)

    assert found["stackset"] == {"AccessKeys": "allow", "AllowPolicyManagement": "true"}


def test_event_bus_of_the_stack_is_that_of_the_configuration() -> None:
    assert configured_values(Config())["EventBusName"] == ""
    assert configured_values(make_config(events={"bus": "security"}))["EventBusName"] == "security"
