"""What stackset.yaml and management.yaml deploy, part by part, and which parameters need each other."""

import json

import pytest

from tests.member_role import rendering as member_role
from tests.member_role.rendering import ORGANIZATION, SECURITY
from tests.stackset.rendering import (
    BUS,
    EVENTS,
    EVERYTHING,
    IAM_BUS,
    ONE_LINE,
    PROTECT,
    REQUIRED,
    SENDING,
    URL,
    StackResolver,
    resources,
    template,
)

pytestmark = pytest.mark.thorough


def test_the_stackset_reaches_every_account_at_once_and_takes_nothing_back() -> None:
    stack_set = resources("stackset", TargetIds="r-ab12")["MemberStackSet"]

    assert stack_set["PermissionModel"] == "SERVICE_MANAGED"
    assert stack_set["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": True}
    assert stack_set["ManagedExecution"] == {"Active": True}
    assert stack_set["OperationPreferences"] == {
        "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
        "FailureTolerancePercentage": 100,
        "MaxConcurrentPercentage": 100,
    }
    assert stack_set["StackInstancesGroup"] == [
        {"DeploymentTargets": {"OrganizationalUnitIds": ["r-ab12"]}, "Regions": ["us-east-1"]}
    ]
    assert stack_set["Capabilities"] == ["CAPABILITY_NAMED_IAM"]


def test_the_second_stackset_is_like_the_first_but_for_its_region_and_leaves_nothing_behind() -> None:
    deployed = resources(
        "stackset", **SENDING, TargetIds="r-ab12", StackSetRegion="eu-west-1", EventsRegion="us-gov-west-1"
    )
    members, events = deployed["MemberStackSet"], deployed["EventsStackSet"]
    own = {"StackSetName", "Description", "TemplateURL", "AutoDeployment", "StackInstancesGroup", "Parameters"}

    assert {key: events[key] for key in events.keys() - own} == {key: members[key] for key in members.keys() - own}
    assert (members["StackSetName"], events["StackSetName"]) == ("orgmfa", "orgmfa-events")
    assert template("stackset")["Resources"]["EventsStackSet"]["DependsOn"] == "MemberStackSet"
    assert events["TemplateURL"] == SENDING["EventsTemplateUrl"]
    assert events["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": False}
    assert events["StackInstancesGroup"] == [
        {"DeploymentTargets": {"OrganizationalUnitIds": ["r-ab12"]}, "Regions": ["us-gov-west-1"]}
    ]


@pytest.mark.parametrize("missing", [None, *SENDING])
def test_iam_events_are_sent_where_they_are_switched_on_with_all_that_takes(missing: str | None) -> None:
    given = {key: value for key, value in SENDING.items() if key != missing}

    assert ("EventsStackSet" in resources("stackset", **given)) is (missing is None)
    assert ("IamEventsStack" in resources("management", **given)) is (missing is None)
    assert refusals("stackset", given) == (
        [f"IamEvents needs {missing}"] if missing in {"IamEventBusArn", "EventsTemplateUrl"} else []
    )


def test_the_template_of_the_events_gets_every_parameter_from_both_stacks() -> None:
    declared = template(EVENTS)["Parameters"]
    given = {name: f"/{name}/" if name.endswith("Path") else name for name in declared} | {
        "IamEventBusArn": IAM_BUS,
        "IamEventsScope": "all",
    }

    stack_set = resources("stackset", **SENDING | given)["EventsStackSet"]
    nested = resources("management", **SENDING | given)["IamEventsStack"]

    assert {one["ParameterKey"]: one["ParameterValue"] for one in stack_set["Parameters"]} == given
    assert nested["Parameters"] == given
    for name in ("stackset", "management"):
        for parameter, one in declared.items():
            if parameter != "RolePath":
                assert template(name)["Parameters"][parameter]["Description"] == one["Description"]


def test_the_member_template_gets_every_parameter_from_both_stacks() -> None:
    declared = member_role.template()["Parameters"]
    protected = "arn:aws:iam::*:user/a,arn:aws:iam::*:user/b"
    given = {"OrganizationId": ORGANIZATION, "SecurityAccountId": SECURITY, "ProtectedUserArns": protected}

    stack_set = resources("stackset", **given)["MemberStackSet"]
    nested = resources("management", MemberRoles="on", TemplateUrl=URL, **given)["MemberRolesStack"]

    expected = {name: one.get("Default") for name, one in declared.items()} | given
    assert {one["ParameterKey"]: one["ParameterValue"] for one in stack_set["Parameters"]} == expected
    assert nested["Parameters"] == expected
    for name in ("stackset", "management"):
        for parameter, one in declared.items():
            assert template(name)["Parameters"][parameter]["Description"] == one["Description"]


PARTS = {
    "member roles": ({"MemberRoles": "on", "TemplateUrl": URL}, {"MemberRolesStack"}),
    "forwarder": ({"Forwarder": "on", "EventBusArn": BUS}, {"ForwarderRole", "StackSetRule"}),
    "forwarder, Control Tower": (
        {"Forwarder": "on", "EventBusArn": BUS, "ControlTower": "on"},
        {"ForwarderRole", "StackSetRule", "NewAccountRule"},
    ),
    "events of IAM users": (SENDING, {"IamEventsStack"}),
    "control policy": ({"ControlPolicy": "on", "ControlPolicyDocument": ONE_LINE}, {"ProtectionPolicy"}),
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_the_management_account_is_off_until_it_is_on(part: str) -> None:
    given, expected = PARTS[part]

    assert resources("management", **given).keys() == expected
    assert resources("management", **{key: value for key, value in given.items() if value != "on"}) == {}


def test_the_control_policy_is_the_one_in_member_role() -> None:
    policy = resources(
        "management", ControlPolicy="on", ControlPolicyDocument=ONE_LINE, ControlPolicyTargetIds="r-ab12"
    )

    # CloudFormation user guide, Quotas: the value of a parameter.
    assert len(ONE_LINE.encode()) <= 4_096
    assert json.loads(policy["ProtectionPolicy"]["Content"]) == PROTECT
    assert policy["ProtectionPolicy"]["TargetIds"] == ["r-ab12"]
    assert policy["ProtectionPolicy"]["Type"] == "SERVICE_CONTROL_POLICY"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("central", {}, []),
        ("central", {"ControlTower": "on"}, ["ControlTower and ForwarderBus need Onboarding to be on"]),
        ("central", {"ControlTower": "on", "Onboarding": "on"}, []),
        ("central", {"ForwarderBus": "on", "Onboarding": "on"}, ["ForwarderBus needs ManagementAccountId"]),
        ("central", {"ChildReservedConcurrency": "20"}, ["ChildReservedConcurrency needs Scale to be distributed"]),
        ("central", {"ChildReservedConcurrency": "20", "Scale": "distributed"}, []),
        ("central", EVERYTHING, []),
        ("management", {}, []),
        ("management", {"Forwarder": "on"}, ["Forwarder needs EventBusArn"]),
        ("management", {"ControlTower": "on"}, ["ControlTower needs Forwarder to be on"]),
        ("management", {"ControlPolicy": "on"}, ["ControlPolicy needs ControlPolicyDocument"]),
        (
            "management",
            {"MemberRoles": "on"},
            [f"MemberRoles needs {name}" for name in ("TemplateUrl", "OrganizationId", "SecurityAccountId")],
        ),
        ("management", PARTS["forwarder, Control Tower"][0], []),
    ],
)
def test_parameters_that_need_each_other_are_refused_alone(
    name: str, given: dict[str, str], expected: list[str]
) -> None:
    assert refusals(name, given) == expected


def refusals(name: str, given: dict[str, str]) -> list[str]:
    """Return what the rules of a template say against these parameters, before anything is made."""
    resolver = StackResolver(template(name), REQUIRED[name] | given, {"AWS::NoValue": object()})
    return [
        assertion["AssertDescription"]
        for rule in template(name)["Rules"].values()
        if resolver.resolve(rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not resolver.resolve(assertion["Assert"])
    ]
