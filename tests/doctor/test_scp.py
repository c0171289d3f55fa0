"""Which calls a service control policy may deny."""

import json
from typing import Any

import pytest

from orchestrator.doctor.scp import list_denied

ATTACH, ASSUME = "iam:AttachUserPolicy", "sts:AssumeRole"
USER, MEMBER_ARN = "arn:aws:iam::999999999999:user/somebody", "arn:aws:iam::999999999999:role/orgmfa-member"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, (ATTACH, ASSUME)),
        ({"Effect": "Deny", "Action": "IAM:attach*", "Resource": "*"}, (ATTACH,)),
        ({"Effect": "Deny", "Action": ["iam:CreateUser", "sts:AssumeRole"], "Resource": "*"}, (ASSUME,)),
        ({"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:user/*"}, (ATTACH,)),
        ({"Effect": "Deny", "Action": "sts:*", "Resource": "arn:aws:iam::*:role/admin"}, ()),
        ({"Effect": "Deny", "Action": "iam:*", "NotResource": "arn:aws:iam::*:role/*"}, (ATTACH,)),
        ({"Effect": "Deny", "NotAction": ["iam:*"], "Resource": "*"}, (ASSUME,)),
        ({"Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*"}, ()),
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, ()),
        ({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:x": "true"}}}, ()),
    ],
)
def test_control_policy_may_deny(statement: dict[str, Any], expected: tuple[str, ...]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})

    assert list_denied(document, (ATTACH, ASSUME), (USER, MEMBER_ARN)) == expected


def test_control_policy_with_a_key_twice_cannot_be_judged() -> None:
    document = '{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}'

    with pytest.raises(ValueError, match="a key twice"):
        list_denied(document, (ATTACH,), (USER,))
