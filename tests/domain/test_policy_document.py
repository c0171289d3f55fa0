import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import ConfigError
from orchestrator.domain.policy_document import (
    PARTITIONS,
    is_same_policy,
    normalised,
    render_enforcement_policy,
)
from tests.member_role.rendering import enforcement_document


def rendered(access_keys: str = "deny") -> dict[str, Any]:
    return render_enforcement_policy(partition="aws", access_keys=access_keys)


def statement_of(document: dict[str, Any], sid: str) -> dict[str, Any]:
    [found] = [statement for statement in document["Statement"] if statement["Sid"] == sid]
    return dict(found)


@pytest.mark.parametrize("access_keys", ["deny", "allow"])
@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_program_renders_what_the_stack_creates(partition: str, access_keys: str) -> None:
    document = render_enforcement_policy(partition=partition, access_keys=access_keys)

    assert document == enforcement_document(Partition=partition, AccessKeys=access_keys)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_arn_is_of_the_partition_and_of_no_account(partition: str) -> None:
    text = json.dumps(render_enforcement_policy(partition=partition, access_keys="deny"))

    assert text.count("arn:") == text.count(f"arn:{partition}:") == 9
    assert text.count(f"arn:{partition}:iam::*:") == 7


def test_the_users_own_name_stays_a_variable_for_iam() -> None:
    assert statement_of(rendered(), "EnrolOneself")["Resource"] == [
        "arn:aws:iam::*:user/${aws:username}",
        "arn:aws:iam::*:user/*/${aws:username}",
    ]


@pytest.mark.parametrize(
    ("access_keys", "condition"),
    [
        ("deny", {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"}}),
        (
            "allow",
            {
                "Bool": {"aws:MultiFactorAuthPresent": "false"},
                "BoolIfExists": {"aws:ViaAWSService": "false"},
            },
        ),
    ],
)
def test_access_keys_choose_the_condition_of_the_deny(access_keys: str, condition: dict[str, Any]) -> None:
    deny = statement_of(rendered(access_keys), "DenyAllButEnrollingWithoutMfa")

    assert deny["Condition"] == condition


def test_each_call_returns_a_document_of_its_own() -> None:
    rendered()["Statement"].clear()

    assert rendered()["Statement"]


@pytest.mark.parametrize(
    ("partition", "access_keys", "message"),
    [
        ("aws-iso", "deny", "partition must be one of aws, aws-us-gov, aws-cn, aws-eusc, not 'aws-iso'"),
        ("aws", "Deny", "policy.access_keys must be one of deny, allow, not 'Deny'"),
    ],
)
def test_other_values_are_refused(partition: str, access_keys: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        render_enforcement_policy(partition=partition, access_keys=access_keys)


def test_a_document_is_the_same_as_itself_in_any_partition_and_mode() -> None:
    documents = [
        render_enforcement_policy(partition=partition, access_keys=access_keys)
        for partition in PARTITIONS
        for access_keys in ("deny", "allow")
    ]

    same = [[is_same_policy(one, other) for other in documents] for one in documents]

    assert same == [[i == j for j in range(8)] for i in range(8)]


def respelled(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = json.loads(json.dumps(rendered()))
    change(document)
    return dict(document)


def each_statement(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    return respelled(lambda document: [change(statement) for statement in document["Statement"]])


def reversed_lists(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: reversed_lists(node[key]) for key in reversed(node)}
    return [reversed_lists(one) for one in reversed(node)] if isinstance(node, list) else node


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(json.dumps(rendered()), id="JSON"),
        pytest.param(json.dumps(rendered(), indent=4), id="JSON with white space"),
        pytest.param("\n " + json.dumps(rendered()), id="JSON after white space"),
        pytest.param(quote(json.dumps(rendered())), id="URL-encoded, as IAM returns it"),
        pytest.param(quote(json.dumps(rendered()), safe=""), id="URL-encoded to the last slash"),
        pytest.param(reversed_lists(rendered()), id="keys, statements, actions and resources in another order"),
        pytest.param(each_statement(lambda one: one.pop("Sid")), id="without Sid"),
        pytest.param(each_statement(lambda one: one.update(Sid="Other" + one["Sid"])), id="other Sid"),
        pytest.param(respelled(lambda document: document.update(Id="orgmfa")), id="with an Id"),
        pytest.param(
            each_statement(lambda one: one.update(Resource=listed(one["Resource"])) if "Resource" in one else 0),
            id="a list of one in place of a string",
        ),
        pytest.param(
            each_statement(lambda one: one.update(Action=[*listed(one["Action"])] * 2) if "Action" in one else 0),
            id="an action twice",
        ),
        pytest.param(
            respelled(lambda document: document["Statement"].append(document["Statement"][0])),
            id="a statement twice",
        ),
        pytest.param(json.dumps(rendered()).replace('"iam:', '"IAM:'), id="actions in upper case"),
        pytest.param(
            json.dumps(rendered()).replace("aws:MultiFactorAuthPresent", "aws:multifactorauthpresent"),
            id="condition keys in lower case",
        ),
        pytest.param(json.dumps(rendered()).replace('"false"', "false"), id="false without quotes"),
        pytest.param(json.dumps(rendered()).replace('"false"', '["false"]'), id="a list of one condition value"),
    ],
)
def test_another_spelling_is_the_same_policy(other: dict[str, Any] | str) -> None:
    assert is_same_policy(rendered(), other)
    assert is_same_policy(other, rendered())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({}, id="an empty document"),
        pytest.param("", id="an empty text"),
        pytest.param("no policy", id="a text that is no JSON"),
        pytest.param("[]", id="JSON that is no object"),
        pytest.param(json.dumps(rendered())[:-1], id="JSON cut short"),
        pytest.param({"Version": "2012-10-17", "Statement": ["Allow"]}, id="a statement that is no object"),
        pytest.param(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Condition": ["Bool"]}},
            id="a condition that is no object",
        ),
        pytest.param(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
            id="everything allowed",
        ),
        pytest.param(rendered("allow"), id="the other mode of access keys"),
        pytest.param(respelled(lambda document: document.pop("Version")), id="without Version"),
        pytest.param(respelled(lambda document: document["Statement"].pop()), id="a statement less"),
        pytest.param(
            respelled(
                lambda document: document["Statement"].append({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
            ),
            id="a statement more",
        ),
        pytest.param(json.dumps(rendered()).replace('"Deny"', '"Allow"', 1), id="an effect turned"),
        pytest.param(json.dumps(rendered()).replace("NotAction", "Action"), id="NotAction as Action"),
        pytest.param(json.dumps(rendered()).replace("BoolIfExists", "Bool"), id="BoolIfExists as Bool"),
        pytest.param(json.dumps(rendered()).replace("user/*/", "USER/*/"), id="a resource in upper case"),
        pytest.param(
            json.dumps(rendered()).replace("iam:GetUser", "iam:DeactivateMFADevice"),
            id="an action more spared",
        ),
        pytest.param(json.dumps(rendered()).replace('"false"', '["false", "true"]'), id="a value more"),
        pytest.param(
            json.dumps(rendered()).replace(
                '"aws:MultiFactorAuthPresent": "false"',
                '"aws:MultiFactorAuthPresent": "false", "aws:multifactorauthpresent": "true"',
            ),
            id="a condition key twice, in another case",
        ),
        pytest.param(
            json.dumps(rendered()).replace("CreateOAuth2Token", "CreateOAuth2To\\u212aen"),
            id="an action with a Kelvin sign, whose lower case is a k",
        ),
        pytest.param(
            json.dumps(rendered()).replace("CreateOAuth2Token", "CreateOAuth2To\u212aen"),
            id="the same, not escaped",
        ),
    ],
)
def test_another_policy_is_not_the_same(other: dict[str, Any] | str) -> None:
    assert not is_same_policy(rendered(), other)
    assert not is_same_policy(other, rendered())


@pytest.mark.parametrize("text", ["", "%7B%7D", "null", '"%7B"'])
def test_what_cannot_be_read_is_not_even_the_same_as_itself(text: str) -> None:
    assert not is_same_policy(text, text)
    with pytest.raises(ValueError, match=r"."):
        normalised(text)


def objects(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every object in a document that has a key."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    here = [path] if isinstance(node, dict) and node else []
    return here + [found for key, child in children for found in objects(child, (*path, key))]


def written(node: Any, at: tuple[Any, ...] | None, twice: Callable[[dict[str, Any]], str]) -> str:
    """Return JSON of a document, in which the object at a path is written as `twice` says."""
    if at == ():
        return twice(node)
    if isinstance(node, dict):
        items = (
            f"{json.dumps(key)}: {written(child, at[1:] if at and at[0] == key else None, twice)}"
            for key, child in node.items()
        )
        return "{" + ", ".join(items) + "}"
    if isinstance(node, list):
        items = (written(child, at[1:] if at and at[0] == n else None, twice) for n, child in enumerate(node))
        return "[" + ", ".join(items) + "]"
    return json.dumps(node)


def in_escapes(text: str) -> str:
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


SPELLINGS: list[Callable[[str], str]] = [json.dumps, in_escapes]
ENCODINGS: list[Callable[[str], str]] = [str, quote, partial(quote, safe="")]


@given(data=st.data())
def test_document_with_a_key_twice_anywhere_is_not_ours_whichever_of_the_two_is_ours(data: st.DataObject) -> None:
    document = {**rendered(data.draw(st.sampled_from(["deny", "allow"]))), "Id": {"made": {"by": "orgmfa"}}}
    path = data.draw(st.sampled_from(objects(document)))
    spell = data.draw(st.sampled_from(SPELLINGS))
    encode = data.draw(st.sampled_from(ENCODINGS))

    def twice(node: dict[str, Any]) -> str:
        key = data.draw(st.sampled_from(sorted(node)))
        value = json.dumps(data.draw(st.sampled_from([node[key], [], {}, None, "*", "Allow"])))
        both = data.draw(st.permutations([f"{spell(key)}: {value}", json.dumps(node)[1:-1]]))
        return "{" + ", ".join(both) + "}"

    text = encode(written(document, path, twice))

    assert is_same_policy(document, written(document, None, json.dumps))
    assert not is_same_policy(document, text)
    assert not is_same_policy(text, text)


def test_same_key_in_two_objects_is_no_key_twice() -> None:
    text = (
        '{"Statement": [{"Effect": "Deny", "Condition": {"Bool": {"k": "1"}, "Null": {"k": "1"}}}, {"Effect": "Deny"}]}'
    )

    assert is_same_policy(text, json.loads(text))


def test_document_nested_too_deeply_is_not_ours() -> None:
    deep = '{"Statement": ' + "[" * 100_000 + "]" * 100_000 + "}"

    assert not is_same_policy(rendered(), deep)
