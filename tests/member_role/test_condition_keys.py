"""What EnforceMFA answers where a condition key is true, false or absent: one row for each request.

AWS documents neither for each call which keys it brings, nor which it leaves out. So each row holds all nine cases.
"""

from itertools import product
from typing import Any

import pytest

from orchestrator.domain.policy_document import PARTITIONS
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.rendering import MEMBER, enforcement_document

FULL_ACCESS = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}

KEYS = [
    {name: value for name, value in {"aws:MultiFactorAuthPresent": mfa, "aws:ViaAWSService": via}.items() if value}
    for mfa, via in product(("true", "false", None), repeat=2)
]
"""MFA true, false, absent; and within each, a service acts: true, false, absent."""

LETTERS = {Decision.ALLOW: "Y", Decision.IMPLICIT_DENY: ".", Decision.EXPLICIT_DENY: "N"}

SELF, OTHER, DEVICE = "iam::{member}:user{path}ana", "iam::{member}:user{path}bob", "iam::{member}:mfa/any-name"
CONSOLE, LOGIN = "signin:::console/sign-in", "signin:{region}:{member}:oauth2/public-client/localhost"
REMOTE_LOGIN = "signin:{region}:{member}:oauth2/public-client/remote"
OTHER_CLIENT = "signin:{region}:{member}:oauth2/confidential-client/x"
SIGN_IN = ("signin:Authenticate", "signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token")

# action, resource, then the answers to a user with EnforceMFA alone: access_keys deny, access_keys allow.
# Y allowed, N denied whatever else the user has, . neither. Three letters for MFA true, three for false, three for
# absent; of each three, the first where a service acts for the user (true), then false, then absent.
ALONE = [
    # Signing in to the console: nothing of ours stands in the way.
    *((action, CONSOLE, "... ... ...", "... ... ...") for action in SIGN_IN),
    # `aws login` and other public clients: closed without MFA where access keys need none.
    *((action, LOGIN, "... ... ...", "... NNN NNN") for action in SIGN_IN),
    *((action, REMOTE_LOGIN, "... ... ...", "... NNN NNN") for action in SIGN_IN),
    *((action, OTHER_CLIENT, "... NNN NNN", "... NNN NNN") for action in SIGN_IN),
    # What may come without the key, as the forced change of a password: granted to all.
    ("iam:GetAccountPasswordPolicy", "*", "YYY YYY YYY", "YYY YYY YYY"),
    ("iam:ChangePassword", SELF, "YYY YYY YYY", "YYY YYY YYY"),
    ("iam:GetUser", SELF, "YYY YYY YYY", "YYY YYY YYY"),
    ("iam:ChangePassword", OTHER, "... ... ...", "... ... ..."),
    ("iam:GetUser", OTHER, "... ... ...", "... ... ..."),
    # Enrolling is granted where the MFA key is present and no service acts: not to a long-term key.
    ("iam:ListVirtualMFADevices", "*", ".YY .YY ...", ".YY .YY ..."),
    ("iam:CreateVirtualMFADevice", DEVICE, ".YY .YY ...", ".YY .YY ..."),
    ("iam:ListMFADevices", SELF, ".YY .YY ...", ".YY .YY ..."),
    ("iam:GetMFADevice", SELF, ".YY .YY ...", ".YY .YY ..."),
    ("iam:ResyncMFADevice", SELF, ".YY .YY ...", ".YY .YY ..."),
    ("iam:EnableMFADevice", SELF, "NYY NYY NNN", "NYY NYY NNN"),
    ("iam:EnableMFADevice", OTHER, "N.. NNN NNN", "N.. NNN NNN"),
    ("iam:ResyncMFADevice", OTHER, "... NNN NNN", "... NNN NNN"),
    ("iam:ListMFADevices", OTHER, "... ... ...", "... ... ..."),
    # Everything else: a service that acts for the user is spared, an absent aws:ViaAWSService is no service.
    ("iam:DeactivateMFADevice", SELF, "... .NN .NN", "... .NN ..."),
    ("s3:ListAllMyBuckets", "*", "... .NN .NN", "... .NN ..."),
]

# The same for an administrator: what the deny alone does.
ADMINISTRATOR = [
    *((action, CONSOLE, "YYY YYY YYY", "YYY YYY YYY") for action in SIGN_IN),
    *((action, LOGIN, "YYY YYY YYY", "YYY NNN NNN") for action in SIGN_IN),
    *((action, REMOTE_LOGIN, "YYY YYY YYY", "YYY NNN NNN") for action in SIGN_IN),
    *((action, OTHER_CLIENT, "YYY NNN NNN", "YYY NNN NNN") for action in SIGN_IN),
    # The other actions of the sign-in service are like any other.
    ("signin:CreateBearerToken", "*", "YYY YNN YNN", "YYY YNN YYY"),
    ("signin:PutConsoleAuthorizationConfiguration", CONSOLE, "YYY YNN YNN", "YYY YNN YYY"),
    ("iam:ChangePassword", SELF, "YYY YYY YYY", "YYY YYY YYY"),
    ("iam:CreateVirtualMFADevice", DEVICE, "YYY YYY YYY", "YYY YYY YYY"),
    ("iam:ResyncMFADevice", SELF, "YYY YYY YYY", "YYY YYY YYY"),
    ("iam:EnableMFADevice", SELF, "NYY NYY NNN", "NYY NYY NNN"),
    ("iam:EnableMFADevice", OTHER, "NYY NNN NNN", "NYY NNN NNN"),
    ("iam:ResyncMFADevice", OTHER, "YYY NNN NNN", "YYY NNN NNN"),
    ("iam:DeactivateMFADevice", SELF, "YYY YNN YNN", "YYY YNN YYY"),
    ("iam:DeleteVirtualMFADevice", DEVICE, "YYY YNN YNN", "YYY YNN YYY"),
    ("iam:CreateAccessKey", SELF, "YYY YNN YNN", "YYY YNN YYY"),
    ("iam:DetachUserPolicy", SELF, "YYY YNN YNN", "YYY YNN YYY"),
    ("sts:AssumeRole", "iam::{member}:role/any", "YYY YNN YNN", "YYY YNN YYY"),
    ("sts:GetSessionToken", "*", "YYY YYY YYY", "YYY YYY YYY"),
    ("s3:ListAllMyBuckets", "*", "YYY YNN YNN", "YYY YNN YYY"),
    ("glue:GetTable", "*", "YYY YNN YNN", "YYY YNN YYY"),
]

ROWS = [*((*row, ()) for row in ALONE), *((*row, (FULL_ACCESS,)) for row in ADMINISTRATOR)]


@pytest.mark.parametrize(("action", "resource", "deny_mode", "allow_mode", "rights"), ROWS)
def test_answer_for_each_key_true_false_and_absent(
    action: str, resource: str, deny_mode: str, allow_mode: str, rights: tuple[dict[str, Any], ...]
) -> None:
    for partition, path in product(PARTITIONS, ("/", "/engineering/eu/")):
        arn = resource if resource == "*" else f"arn:{partition}:{resource}"
        about = arn.format(member=MEMBER, path=path, region="eu-central-1")
        answers = {
            mode: answers_of(action, about, (enforcement_document(Partition=partition, AccessKeys=mode), *rights))
            for mode in ("deny", "allow")
        }

        assert answers == {"deny": deny_mode, "allow": allow_mode}, (partition, path)


def answers_of(action: str, resource: str, policies: tuple[dict[str, Any], ...]) -> str:
    letters = [LETTERS[decide(Request(action, resource, keys | {"aws:username": "ana"}), policies)] for keys in KEYS]
    return " ".join("".join(letters[start : start + 3]) for start in (0, 3, 6))


def test_user_under_another_name_or_partition_is_never_oneself() -> None:
    for partition, other in product(PARTITIONS, PARTITIONS):
        document = enforcement_document(Partition=partition)
        answers = answers_of("iam:EnableMFADevice", f"arn:{other}:iam::{MEMBER}:user/ana", (document,))

        assert answers == ("NYY NYY NNN" if partition == other else "N.. NNN NNN")
