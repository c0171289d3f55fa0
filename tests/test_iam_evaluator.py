from collections.abc import Mapping
from typing import Any

import pytest

from tests.iam_evaluator import Decision, Request, decide

ALLOW, NOTHING, DENY = Decision.ALLOW, Decision.IMPLICIT_DENY, Decision.EXPLICIT_DENY
ANA = "arn:aws:iam::111122223333:user/ana"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "*", "Resource": "*"} | elements


def deny(**elements: Any) -> dict[str, Any]:
    return allow(**elements) | {"Effect": "Deny"}


def holds(
    operator: str, expected: object, context: Mapping[str, str | tuple[str, ...]], *, key: str = "aws:Key"
) -> bool:
    policy = document(allow(Condition={operator: {key: expected}}))
    return decide(Request("iam:GetUser", ANA, context), [policy]) == ALLOW


# IAM user guide, Policy evaluation logic.
@pytest.mark.parametrize(
    ("policies", "limits", "expected"),
    [
        pytest.param([], [], NOTHING, id="nothing is allowed by default"),
        pytest.param([document(allow())], [], ALLOW, id="an allow allows"),
        pytest.param([document(allow(), deny())], [], DENY, id="a deny wins in one document"),
        pytest.param([document(deny()), document(allow())], [], DENY, id="a deny wins over other documents"),
        pytest.param([document(allow(Action="s3:*"))], [], NOTHING, id="an allow of something else is none"),
        pytest.param([document(deny(Action="s3:*"))], [], NOTHING, id="a deny of something else is none"),
        pytest.param([], [[document(allow())]], NOTHING, id="a limit grants nothing"),
        pytest.param([document(allow())], [[]], NOTHING, id="a limit that allows nothing stops an allow"),
        pytest.param([document(allow())], [[document(allow())]], ALLOW, id="a limit that allows lets pass"),
        pytest.param([document(allow())], [[document(allow()), document(deny())]], DENY, id="a deny in a limit wins"),
        pytest.param([document(allow())], [[document(allow())], []], NOTHING, id="every level of limits must allow"),
    ],
)
def test_deny_wins_and_every_level_must_allow(
    policies: list[dict[str, Any]], limits: list[list[dict[str, Any]]], expected: Decision
) -> None:
    assert decide(Request("iam:GetUser", ANA), policies, limits=limits) == expected


# IAM user guide, Action, NotAction, Resource, NotResource.
@pytest.mark.parametrize(
    ("elements", "action", "resource", "matches"),
    [
        ({"Action": "iam:GetUser"}, "iam:GetUser", ANA, True),
        ({"Action": "IAM:getuser"}, "iam:GetUser", ANA, True),
        ({"Action": ["s3:*", "iam:Get*"]}, "iam:GetUser", ANA, True),
        ({"Action": "iam:GetUse?"}, "iam:GetUser", ANA, True),
        ({"Action": "iam:Get"}, "iam:GetUser", ANA, False),
        ({"Action": "iam.GetUser"}, "iam:GetUser", ANA, False),
        ({"Resource": ANA}, "iam:GetUser", ANA, True),
        ({"Resource": ANA.upper()}, "iam:GetUser", ANA, False),
        ({"Resource": "arn:aws:iam::*:user/*"}, "iam:GetUser", ANA, True),
        ({"Resource": "arn:aws:iam::*:user/*"}, "iam:GetUser", "arn:aws:iam::111122223333:user/a/b", True),
        ({"Resource": "arn:aws:iam::*:user/*/ana"}, "iam:GetUser", ANA, False),
        ({"Resource": "arn:*:iam::*:user/ana"}, "iam:GetUser", ANA, True),
        ({"Resource": "arn:aws:iam::*:user/ana"}, "iam:GetUser", "arn:aws:iam::1:role/x:user/ana", False),
        ({"Resource": "arn:aws:iam::*:user/*"}, "iam:ListUsers", "*", False),
        ({"Resource": "*"}, "iam:ListUsers", "*", True),
    ],
)
def test_action_and_resource_match_and_their_not_forms_the_rest(
    elements: dict[str, Any], action: str, resource: str, *, matches: bool
) -> None:
    [(name, pattern)] = elements.items()
    opposite = {key: value for key, value in allow().items() if key != name} | {f"Not{name}": pattern}

    affirmed = decide(Request(action, resource), [document(allow(**elements))])
    negated = decide(Request(action, resource), [document(opposite)])

    assert (affirmed == ALLOW) is matches
    assert (negated == ALLOW) is not matches


# IAM user guide, Condition operators, with the table of what each does where the key is absent.
@pytest.mark.parametrize(
    ("operator", "expected", "for_true", "for_false", "for_absent"),
    [
        ("Bool", "true", True, False, False),
        ("Bool", "false", False, True, False),
        ("Bool", False, False, True, False),
        ("BoolIfExists", "false", False, True, True),
        ("BoolIfExists", "true", True, False, True),
        ("Null", "true", False, False, True),
        ("Null", "false", True, True, False),
        ("Null", True, False, False, True),
        ("StringEquals", "true", True, False, False),
        ("StringEqualsIfExists", "true", True, False, True),
        ("StringNotEquals", "true", False, True, True),
        ("StringNotEqualsIfExists", "true", False, True, True),
        ("StringEquals", ["true", "false"], True, True, False),
        ("StringNotEquals", ["true", "false"], False, False, True),
        ("StringEquals", "t*", False, False, False),
        ("StringLike", "t*", True, False, False),
        ("StringNotLike", "t*", False, True, True),
        ("StringLike", "T*", False, False, False),
    ],
)
def test_an_operator_tells_true_false_and_absent_apart(
    operator: str, expected: object, *, for_true: bool, for_false: bool, for_absent: bool
) -> None:
    found = [
        holds(operator, expected, {"aws:Key": "true"}),
        holds(operator, expected, {"aws:Key": "false"}),
        holds(operator, expected, {}),
    ]

    assert found == [for_true, for_false, for_absent]


# IAM user guide, Set operators for multivalued context keys.
@pytest.mark.parametrize(
    ("given", "matches"),
    [("a", True), (("a", "b"), True), (("a", "c"), False), ("c", False), ((), True)],
)
def test_all_values_of_a_key_are_asked_for_and_none_is_no_exception(
    given: str | tuple[str, ...], *, matches: bool
) -> None:
    policy = document(allow(Condition={"ForAllValues:StringEquals": {"aws:Key": ["a", "b"]}}))

    assert (decide(Request("x:Y", ANA, {"aws:Key": given}), [policy]) == ALLOW) is matches


@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike"])
@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (ANA, True),
        ("arn:aws:iam::111122223333:user/*", True),
        ("arn:*:iam::*:user/an?", True),
        ("arn:aws:iam::444455556666:user/ana", False),
        ("arn:aws:iam::111122223333:role/ana", False),
        (["arn:aws:iam::1:user/x", ANA], True),
    ],
)
def test_arn_operators_match_each_part_with_wildcards(operator: str, pattern: object, *, matches: bool) -> None:
    assert holds(operator, pattern, {"aws:Key": ANA}) is matches
    assert holds(operator.replace("Arn", "ArnNot"), pattern, {"aws:Key": ANA}) is not matches


def test_the_name_of_a_condition_key_has_no_case() -> None:
    assert holds("Bool", "true", {"AWS:key": "true"}, key="aws:KEY")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Bool": {"aws:A": "true", "aws:B": "true"}}, NOTHING),
        ({"Bool": {"aws:A": "true"}, "Null": {"aws:B": "true"}}, NOTHING),
        ({"Bool": {"aws:A": "true"}, "Null": {"aws:C": "true"}}, ALLOW),
    ],
)
def test_every_operator_and_every_key_must_hold(condition: dict[str, Any], expected: Decision) -> None:
    request = Request("iam:GetUser", ANA, {"aws:A": "true", "aws:B": "false"})

    assert decide(request, [document(allow(Condition=condition))]) == expected


# IAM user guide, Variables and tags.
@pytest.mark.parametrize(
    ("pattern", "context", "matches"),
    [
        ("arn:aws:iam::*:user/${aws:username}", {"aws:username": "ana"}, True),
        ("arn:aws:iam::*:user/${AWS:UserName}", {"aws:username": "ana"}, True),
        ("arn:aws:iam::*:user/${aws:username}", {"aws:username": "bob"}, False),
        ("arn:aws:iam::*:user/${aws:username}", {"aws:username": "an"}, False),
        ("arn:aws:iam::*:user/${aws:username}", {"aws:username": "*"}, False),
        ("arn:aws:iam::*:user/${aws:username}", {}, False),
        ("arn:aws:iam::*:user/ana${aws:username}", {}, False),
    ],
)
def test_a_variable_stands_for_its_plain_value(pattern: str, context: dict[str, str], *, matches: bool) -> None:
    assert (decide(Request("x:Y", ANA, context), [document(allow(Resource=pattern))]) == ALLOW) is matches
    assert holds("ArnLike", pattern, context | {"aws:Key": ANA}) is matches
    assert holds("StringEquals", pattern.replace("*", "111122223333"), context | {"aws:Key": ANA}) is matches


# IAM user guide, Principal: the ARN of an account's root stands for the account.
@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        ("arn:aws:iam::111122223333:role/any", ALLOW),
        ("arn:aws:iam::111122223333:user/any", ALLOW),
        ("arn:aws:iam::444455556666:role/any", NOTHING),
        ("arn:aws-cn:iam::111122223333:role/any", NOTHING),
    ],
)
def test_a_principal_trusts_a_whole_account(caller: str, expected: Decision) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "sts:AssumeRole",
    }

    assert decide(Request("sts:AssumeRole", ANA, {"aws:PrincipalArn": caller}), [document(trust)]) == expected
    assert decide(Request("sts:AssumeRole", ANA, {}), [document(trust | {"Principal": "*"})]) == ALLOW


def test_a_date_is_compared_as_a_moment_and_an_absent_one_does_not_hold() -> None:
    end = "2026-03-04T00:00:00Z"

    held = [
        holds("DateGreaterThanEquals", end, {"aws:Key": moment})
        for moment in ("2026-03-03T23:59:59Z", "2026-03-04T00:00:00Z", "2026-03-04T01:00:00+02:00")
    ]

    assert held == [False, True, False]
    assert not holds("DateGreaterThanEquals", end, {})


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (document(allow()) | {"Version": "2008-10-17"}, "2008-10-17"),
        (document(allow(NotPrincipal="*")), "unknown elements: NotPrincipal"),
        (document({"Effect": "Allow", "Action": "*"}), "has a Resource"),
        (document(allow(Principal={"Service": "lambda.amazonaws.com"})), "only an account"),
        (document(allow(Principal={"AWS": ANA})), "only an account"),
        (document(allow(Condition={"NumericEquals": {"aws:Key": "1"}})), "unknown operator: NumericEquals"),
        (document(allow(Condition={"ForAnyValue:StringEquals": {"aws:Key": "1"}})), "unknown operator"),
        (document(allow(Resource="arn:aws:s3")), "not an ARN of six parts"),
        (document(allow(Resource="arn:aws:iam::*:user/${aws:username, 'x'}")), "with a default"),
    ],
)
def test_what_is_not_known_is_an_error_and_not_a_guess(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decide(Request("iam:GetUser", ANA, {"aws:Key": "1", "aws:PrincipalArn": ANA}), [policy])


def test_key_of_several_values_is_no_single_value() -> None:
    with pytest.raises(ValueError, match="several values"):
        holds("StringEquals", "a", {"aws:Key": ("a", "b")})
