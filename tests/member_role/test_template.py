import json
import re
from collections.abc import Iterator
from typing import Any

import cfnlint.api
import parliament
import pytest

from orchestrator.domain.policy_document import PARTITIONS
from tests.member_role.rendering import (
    FOLDER,
    REQUIRED,
    TEMPLATE_PATH,
    enforcement_document,
    permissions_of,
    resources,
    template,
)
from tests.stackset import rendering as stacks

MODES = ["deny", "allow"]
README = (FOLDER / "README.md").read_text("utf-8")
CELL = r"([^|\n]+) \|"


def actions_of(document: dict[str, Any]) -> Iterator[str]:
    for statement in document["Statement"]:
        listed = statement.get("Action", [])
        yield from listed if isinstance(listed, list) else [listed]


def granted(role: str, **parameters: str) -> set[str]:
    return {action for document in permissions_of(role, **parameters) for action in actions_of(document)}


def pattern_of(parameter: str) -> str:
    pattern: str = template()["Parameters"][parameter]["AllowedPattern"]
    return pattern


def test_cfn_lint_finds_nothing() -> None:
    assert cfnlint.api.lint(TEMPLATE_PATH.read_text("utf-8")) == []


def test_a_stackset_takes_the_template() -> None:
    # API reference, CreateStackSet: a TemplateBody has 51,200 bytes at most. User guide, StackSets with
    # service-managed permissions: no macros, Transform and AWS::Include among them.
    assert len(TEMPLATE_PATH.read_bytes()) <= 51_200
    assert "Transform" not in template()
    assert "Fn::Transform" not in json.dumps(template())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_policy_fits_into_a_managed_policy(partition: str, mode: str) -> None:
    text = json.dumps(enforcement_document(Partition=partition, AccessKeys=mode), separators=(",", ":"))

    # IAM user guide, IAM and STS quotas: white space is not counted.
    assert len(text) <= 6_144


@pytest.mark.parametrize("role", ["MemberRole", "ReleaseRole"])
def test_the_permissions_fit_into_a_role(role: str) -> None:
    protected = ",".join(f"arn:aws:iam::*:user/break-glass-{number}" for number in range(50))
    documents = permissions_of(role, AllowPolicyManagement="true", ProtectedUserArns=protected)

    # IAM user guide, IAM and STS quotas: all inline policies of a role together.
    assert sum(len(json.dumps(document, separators=(",", ":"))) for document in documents) <= 10_240


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_policy_has_no_account_id(partition: str, mode: str) -> None:
    text = json.dumps(enforcement_document(Partition=partition, AccessKeys=mode))

    assert not re.search(r"\d{12}", text)
    assert set(re.findall(r"arn:[^\"]*?:iam::[^:]*:", text)) == {f"arn:{partition}:iam::*:"}


@pytest.mark.parametrize("mode", MODES)
def test_the_deny_never_spares_taking_a_device_away(mode: str) -> None:
    text = json.dumps(enforcement_document(AccessKeys=mode))

    assert "DeactivateMFADevice" not in text
    assert "DeleteVirtualMFADevice" not in text
    assert "iam:*" not in text


def test_the_deny_spares_what_enrolling_takes_and_no_more() -> None:
    [deny] = [one for one in enforcement_document()["Statement"] if "NotAction" in one]

    # IAM user guide, "Allows MFA-authenticated IAM users to manage their own MFA device", with the two actions
    # that it names for the first sign-in; and those of signing in, which have a statement of their own.
    assert deny["NotAction"] == [
        "iam:ChangePassword",
        "iam:CreateVirtualMFADevice",
        "iam:EnableMFADevice",
        "iam:GetAccountPasswordPolicy",
        "iam:GetMFADevice",
        "iam:GetUser",
        "iam:ListMFADevices",
        "iam:ListVirtualMFADevices",
        "iam:ResyncMFADevice",
        "signin:Authenticate",
        "signin:AuthorizeOAuth2Access",
        "signin:CreateOAuth2Token",
        "sts:GetSessionToken",
    ]


def test_the_stack_owns_policy_and_group_unless_the_program_does() -> None:
    owned = {"EnforcementPolicy", "EnforcementGroup"}

    by_default = resources()
    by_the_program = resources(AllowPolicyManagement="true")

    assert by_default.keys() == {"MemberRole", "ReleaseRole"} | owned
    assert by_the_program.keys() == {"MemberRole", "ReleaseRole", "PolicyManagementPolicy"}


@pytest.mark.parametrize("managing", ["true", "false"])
def test_without_enforcement_all_but_the_member_roles_own_policies_is_the_same(managing: str) -> None:
    enforcing = resources(AllowPolicyManagement=managing)
    reading = resources(AllowPolicyManagement=managing, Enforcement="off")

    gone = {"PolicyManagementPolicy"} if managing == "true" else set()
    assert enforcing.keys() - reading.keys() == gone
    assert {name for name in reading if reading[name] != enforcing[name]} == {"MemberRole"}
    assert {name for name, one in reading["MemberRole"].items() if one != enforcing["MemberRole"][name]} == {"Policies"}


def test_the_group_carries_the_policy_and_nothing_else() -> None:
    assert resources()["EnforcementGroup"] == {
        "GroupName": "EnforceMFA",
        "Path": "/",
        "ManagedPolicyArns": ["(the ARN or name of EnforcementPolicy)"],
    }


def test_the_roles_outlive_a_policy_that_cannot_be_deleted() -> None:
    assert template()["Resources"]["EnforcementPolicy"]["DependsOn"] == ["MemberRole", "ReleaseRole"]


def test_sessions_last_an_hour_at_most() -> None:
    deployed = resources()

    assert {deployed[role]["MaxSessionDuration"] for role in ("MemberRole", "ReleaseRole")} == {3600}


def test_names_and_paths_are_the_parameters() -> None:
    deployed = resources(
        RoleName="a", ReleaseRoleName="b", RolePath="/r/", PolicyName="c", GroupName="d", PolicyPath="/p/"
    )

    names = [
        (deployed["MemberRole"]["RoleName"], deployed["MemberRole"]["Path"]),
        (deployed["ReleaseRole"]["RoleName"], deployed["ReleaseRole"]["Path"]),
        (deployed["EnforcementPolicy"]["ManagedPolicyName"], deployed["EnforcementPolicy"]["Path"]),
        (deployed["EnforcementGroup"]["GroupName"], deployed["EnforcementGroup"]["Path"]),
    ]

    assert names == [("a", "/r/"), ("b", "/r/"), ("c", "/p/"), ("d", "/p/")]


def test_every_parameter_says_what_it_is_and_what_it_takes() -> None:
    for name, declared in template()["Parameters"].items():
        assert declared.get("Description"), name
        assert declared.get("AllowedPattern") or declared.get("AllowedValues"), name
        assert declared.get("ConstraintDescription"), name


def test_only_two_parameters_have_no_default() -> None:
    without = {name for name, declared in template()["Parameters"].items() if "Default" not in declared}

    assert without == set(REQUIRED)


def test_the_console_shows_every_parameter_in_a_group() -> None:
    interface = template()["Metadata"]["AWS::CloudFormation::Interface"]

    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]

    assert sorted(grouped) == sorted(template()["Parameters"])


@pytest.mark.parametrize(
    ("parameter", "value", "is_taken"),
    [
        ("OrganizationId", "o-a1b2c3d4e5", True),
        ("OrganizationId", "o-*", False),
        ("OrganizationId", "", False),
        ("SecurityAccountId", "999988887777", True),
        ("SecurityAccountId", "*", False),
        ("SecurityAccountId", "99998888777", False),
        ("OrchestratorRoleName", "orgmfa-orchestrator", True),
        # ArnEquals reads wildcards: with one, any role of the security account would be trusted.
        ("OrchestratorRoleName", "*", False),
        ("OrchestratorRoleName", "orgmfa-?", False),
        ("OperatorRoleName", "*", False),
        ("OperatorRoleName", "path/orgmfa-operator", False),
        ("RoleName", "orgmfa-member", True),
        ("RoleName", "a" * 64, True),
        ("RoleName", "a" * 65, False),
        ("ReleaseRoleName", "", False),
        ("PolicyName", "EnforceMFA", True),
        ("PolicyName", "*", False),
        ("GroupName", "*", False),
        ("RolePath", "/", True),
        ("RolePath", "/security/orgmfa/", True),
        ("RolePath", "/security", False),
        ("RolePath", "security/", False),
        ("PolicyPath", "/", True),
        ("PolicyPath", "/*/", False),
        ("ProtectedUserArns", "", True),
        ("ProtectedUserArns", "arn:aws:iam::111122223333:user/path/break-glass", True),
        *(("ProtectedUserArns", f"arn:{partition}:iam::*:user/break-glass-*", True) for partition in PARTITIONS),
        ("ProtectedUserArns", "arn:aws-iso:iam::*:user/break-glass-*", False),
        ("ProtectedUserArns", "break-glass", False),
        ("ProtectedUserArns", "arn:aws:iam::111122223333:role/break-glass", False),
        ("ProtectedUserArns", "*", False),
    ],
)
def test_a_parameter_takes(parameter: str, value: str, *, is_taken: bool) -> None:
    assert bool(re.fullmatch(pattern_of(parameter), value)) is is_taken


def test_the_readme_lists_every_parameter_with_its_default() -> None:
    section = README.split("## Parameters")[1].split("\n## ")[0]
    declared = template()["Parameters"]

    listed = re.findall(rf"^\| `([A-Za-z]+)` \| {CELL}", section, re.MULTILINE)

    assert dict(listed) == {
        name: f"`{declared[name]['Default']}`" if declared[name].get("Default") else "none" for name in declared
    }


def test_the_readme_lists_every_permission_with_its_code() -> None:
    rows = re.findall(
        rf"^\| (member\*?|release) \| `(iam:\w+)` \| {CELL}{' ' + CELL}{' ' + CELL}", README, re.MULTILINE
    )
    always, managing = granted("MemberRole"), granted("MemberRole", AllowPolicyManagement="true")

    listed = sorted((role, action) for role, action, *_ in rows)

    assert listed == sorted(
        [
            *(("member", action) for action in always),
            *(("member*", action) for action in managing - always),
            *(("release", action) for action in granted("ReleaseRole")),
        ]
    )
    for _, action, _, call, code in rows:
        assert call.startswith("CreatePolicy" if action == "iam:TagPolicy" else action.removeprefix("iam:"))
        assert code in {f"`orchestrator/aws/{name}.py`" for name in ("iam", "enforcement", "simulator")}


def test_protecting_users_permits_nothing_more() -> None:
    parameters = {"ProtectedUserArns": "arn:aws:iam::*:user/break-glass"}

    [_, deny] = permissions_of("MemberRole", **parameters)

    assert granted("MemberRole", **parameters) == granted("MemberRole")
    assert [statement["Effect"] for statement in deny["Statement"]] == ["Deny"]


def test_the_readme_explains_every_statement_of_the_policy() -> None:
    section = README.split("## The EnforceMFA policy")[1].split("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        statement["Sid"] for statement in enforcement_document()["Statement"]
    ]


def test_the_service_control_policy_fits() -> None:
    text = (FOLDER / "protect.scp.json").read_text("utf-8")

    # Organizations user guide, Quotas: 5,120 characters, white space counted where the API is called.
    assert len(text) <= 5_120
    assert {statement["Effect"] for statement in json.loads(text)["Statement"]} == {"Deny"}
    assert not re.search(r"\d{12}", text)


def test_the_service_control_policy_names_what_the_template_makes_by_default() -> None:
    text = (FOLDER / "protect.scp.json").read_text("utf-8")
    deployed, sending = resources(), stacks.resources(stacks.EVENTS)

    names = set(re.findall(r"(?:role|policy|group|rule)/([\w-]+)\"", text))

    assert names == {
        deployed["MemberRole"]["RoleName"],
        deployed["ReleaseRole"]["RoleName"],
        deployed["EnforcementPolicy"]["ManagedPolicyName"],
        sending["EventsRole"]["RoleName"],
        sending["EventsRule"]["Name"],
    }
    assert deployed["EnforcementGroup"]["GroupName"] in names


ALL_USERS = "RESOURCE_STAR - ['iam:ListServiceSpecificCredentials']"


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        ("EnforceMFA, deny", enforcement_document(AccessKeys="deny"), {"aws:ViaAWSService", "signin:"}),
        ("EnforceMFA, allow", enforcement_document(AccessKeys="allow"), {"aws:ViaAWSService", "signin:"}),
        ("protect.scp.json", json.loads((FOLDER / "protect.scp.json").read_text("utf-8")), set()),
        *(
            (f"{role} {number}", document, {ALL_USERS} if (role, number) == ("MemberRole", 0) else set())
            for role in ("MemberRole", "ReleaseRole")
            for number, document in enumerate(
                permissions_of(role, AllowPolicyManagement="true", ProtectedUserArns="arn:aws:iam::*:user/break-glass")
            )
        ),
    ],
)
def test_the_policy_linter_finds_only_what_is_explained(
    name: str, document: dict[str, Any], expected: set[str]
) -> None:
    findings = parliament.analyze_policy_string(json.dumps(document)).findings

    # aws:ViaAWSService is a global key, and signin a service, newer than parliament's lists of them. Of which resource
    # IAM asks for all users' credentials is not documented: any will do.
    explained = {"aws:ViaAWSService", "signin:", ALL_USERS}
    unexplained = [finding for finding in findings if not any(one in str(finding) for one in explained)]
    assert unexplained == [], name
    assert {one for one in explained if any(one in str(finding) for finding in findings)} == expected
