"""Remedies told by what AWS says, or what fails on this machine: every row of the texts is reached."""

import pytest

from orchestrator.aws.errors import ERROR_BY_CODE
from orchestrator.domain import errors
from orchestrator.domain.errors import AwsError
from orchestrator.domain.model import Product, Stage
from orchestrator.domain.remedies import (
    explain_account_error,
    explain_event_error,
    explain_findings_error,
    find_row,
    read_remedies,
    select_remedy,
)
from tests.builders import ACCOUNT_ID, ORGANIZATION, make_account

PRODUCT = Product("999988887777", "eu-central-1", "aws")
DENIED = "User: arn:aws:sts::999988887777:assumed-role/orgmfa-operator/ana is not authorized to perform: "
ON_ROLE = f" on resource: arn:aws:iam::{ACCOUNT_ID}:role/orgmfa-member"
EXPLICIT, NO_ALLOW = " with an explicit deny in a {}", " because no {} allows the {} action"


def denied(action: str, policy: str = "", *, explicit: bool = False) -> str:
    """Return AWS's message about a denied action, with the kind of policy where it names one."""
    why = (EXPLICIT.format(policy) if explicit else NO_ALLOW.format(policy, action)) if policy else ""
    return f"{DENIED}{action}{ON_ROLE}{why}".replace(" in a identity", " in an identity")


ASSUME, TAGS, SOURCE = "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"
SCP, RCP, BOUNDARY = "service control policy", "resource control policy", "permissions boundary"
EXPIRED_SIGNATURE = (
    "Signature expired: 20261129T120000Z is now earlier than 20261129T131500Z (20261129T133000Z - 15 min.)"
)
# operation, code, message, words of the remedy
ACCOUNT_ROWS = [
    ("AssumeRole", "AccessDenied", denied(ASSUME), "is missing in the account, or does not trust"),
    (
        "AssumeRole",
        "AccessDenied",
        denied(ASSUME, "resource-based policy"),
        "is missing in the account, or does not trust",
    ),
    ("AssumeRole", "AccessDenied", denied(ASSUME, "role trust policy"), "SecurityAccountId, OrchestratorRoleName"),
    (
        "AssumeRole",
        "AccessDenied",
        denied(ASSUME, "identity-based policy"),
        "The caller itself is not allowed sts:AssumeRole",
    ),
    ("AssumeRole", "AccessDenied", denied(TAGS), "sts:TagSession is not allowed: set AllowSessionContext=true"),
    (
        "AssumeRole",
        "AccessDenied",
        denied(SOURCE),
        "sts:SetSourceIdentity is not allowed: set AllowSessionContext=true",
    ),
    ("AssumeRole", "AccessDenied", denied(TAGS, "identity-based policy"), "AllowSessionContext=true in orgmfa-central"),
    (
        "AssumeRole",
        "AccessDenied",
        denied(ASSUME, SCP, explicit=True),
        "An SCP denies sts:AssumeRole to the caller, in the caller's",
    ),
    ("AssumeRole", "AccessDenied", denied(TAGS, SCP, explicit=True), "An SCP denies sts:TagSession to the caller"),
    ("AssumeRole", "AccessDenied", denied(ASSUME, RCP, explicit=True), "An RCP denies sts:AssumeRole in this account"),
    ("AssumeRole", "AccessDenied", denied(ASSUME, BOUNDARY), "The permissions boundary of the caller"),
    ("AssumeRole", "AccessDenied", denied(ASSUME, "session policy"), "The caller's session was made with a policy"),
    ("AssumeRole", "AccessDenied", denied(ASSUME, "VPC endpoint policy"), "VPC endpoint of STS"),
    ("AssumeRole", "PackedPolicyTooLarge", "Packed size of session tags and policies", "Running again does not help"),
    ("AssumeRole", "PackedPolicyTooLargeException", "Packed size", "fewer or shorter session tags"),
    (
        "AssumeRole",
        "ExpiredToken",
        "The security token included in the request is expired",
        "The caller's own session has ended",
    ),
    ("AssumeRole", "ExpiredTokenException", "The security token is expired", "aws sso login"),
    ("AssumeRole", "InvalidClientTokenId", "The security token is invalid", "AWS does not know this access key"),
    (
        "AssumeRole",
        "SignatureDoesNotMatch",
        "AWS does not take the signature",
        "Check the secret access key, and the clock",
    ),
    ("AssumeRole", "SignatureDoesNotMatch", EXPIRED_SIGNATURE, "The clock of this machine is wrong"),
    ("AssumeRole", "RequestExpired", "Request has expired", "Check the clock"),
    ("AssumeRole", "Throttling", "Rate exceeded", "AWS throttled every try"),
    ("ListMFADevices", "AccessDenied", denied("iam:ListMFADevices"), "lacks iam:ListMFADevices"),
    (
        "ListMFADevices",
        "AccessDenied",
        denied("iam:ListMFADevices", "identity-based policy"),
        "lacks iam:ListMFADevices",
    ),
    (
        "ListMFADevices",
        "AccessDenied",
        denied("iam:ListMFADevices", BOUNDARY),
        "A permissions boundary of the role orgmfa-member",
    ),
    (
        "ListMFADevices",
        "AccessDenied",
        denied("iam:ListMFADevices", BOUNDARY, explicit=True),
        "withholds iam:ListMFADevices",
    ),
    ("ListMFADevices", "AccessDenied", denied("iam:ListMFADevices", "session policy"), "a defect of orgmfa"),
    (
        "ListMFADevices",
        "AccessDenied",
        denied("iam:ListMFADevices", SCP, explicit=True),
        "exempt the role orgmfa-member",
    ),
    (
        "AttachUserPolicy",
        "AccessDenied",
        denied("iam:AttachUserPolicy", "identity-based policy", explicit=True),
        "denies iam:AttachUserPolicy: that of ProtectedUserArns",
    ),
    ("ListMFADevices", "ExpiredToken", "The security token is expired", "did not take a new session in this account"),
    ("ListMFADevices", "SignatureDoesNotMatch", EXPIRED_SIGNATURE, "The clock of this machine is wrong"),
]
SELECT_ROWS = [
    ("ListAccounts", "AccessDeniedException", denied("organizations:ListAccounts"), "delegated administrator"),
    ("ListAccounts", "AccessDeniedException", "You don't have permissions", "or allow organizations:ListAccounts"),
    (
        "ListAccounts",
        "AccessDeniedException",
        denied("organizations:ListAccounts", SCP, explicit=True),
        "An SCP denies",
    ),
    (
        "ListAccounts",
        "AccessDeniedException",
        denied("organizations:ListAccounts", RCP, explicit=True),
        "An RCP denies",
    ),
    (
        "ListAccounts",
        "AccessDeniedException",
        denied("organizations:ListAccounts", BOUNDARY),
        "permissions boundary of this",
    ),
    (
        "ListAccounts",
        "AccessDeniedException",
        denied("organizations:ListAccounts", "session policy"),
        "sign in without it",
    ),
    (
        "ListAccounts",
        "AccessDeniedException",
        denied("organizations:ListAccounts", "VPC endpoint policy"),
        "VPC endpoint",
    ),
    ("ListAccounts", "ExpiredTokenException", "expired", "The caller's own session has ended"),
    (
        "ListAccounts",
        "UnrecognizedClientException",
        "The security token is invalid",
        "AWS does not know this access key",
    ),
    ("ListAccounts", "InvalidSignatureException", EXPIRED_SIGNATURE, "The clock of this machine is wrong"),
    (
        "ListAccounts",
        "InvalidSignatureException",
        "Signature not yet current: 20271129T120000Z is still later than 20261129T133000Z",
        "The clock of this machine is wrong",
    ),
    ("GetCallerIdentity", "InvalidClientTokenId", "The security token is invalid", "AWS_SESSION_TOKEN"),
    ("GetCallerIdentity", "SignatureDoesNotMatch", "AWS does not take the signature", "Check the secret access key"),
    ("GetObject", "InvalidAccessKeyId", "does not exist in our records", "check that the key is active"),
    ("GetObject", "RequestTimeTooSkewed", "The difference is too large", "Check the clock"),
    (
        "GetSecretValue",
        "AccessDeniedException",
        denied("secretsmanager:GetSecretValue"),
        "SlackSecretArn of orgmfa-central",
    ),
    ("GetSecretValue", "ResourceNotFoundException", "Secrets Manager can't find the secret", "Check slack.secret"),
    (
        "ListStackInstances",
        "AccessDenied",
        denied("cloudformation:ListStackInstances"),
        "Allow cloudformation:ListStackInstances",
    ),
    ("ListPolicies", "ResourceNotFoundException", "no", "is in an AWS Organization"),
]
LOCAL_ROWS = [
    ("", "NoMfaCode", "no MFA code was given", "type the code that the device shows"),
    ("", "NoTerminal", "there is no terminal", "aws sts get-session-token"),
    (
        "AssumeRole",
        "AccessDenied",
        "MultiFactorAuthentication failed with invalid MFA one time pass code.",
        "Wait for the next one",
    ),
    (
        "AssumeRole",
        "AccessDenied",
        "MultiFactorAuthentication failed, unable to validate MFA code.",
        "mfa_serial of profile team",
    ),
    ("AssumeRole", "AccessDenied", denied(ASSUME), "OperatorPrincipalArns must name it"),
    (
        "AssumeRole",
        "AccessDenied",
        denied(ASSUME, SCP, explicit=True),
        "An SCP denies sts:AssumeRole to the source of profile team",
    ),
    ("AssumeRole", "AccessDenied", denied(SOURCE), "AllowSessionContext=true in orgmfa-central"),
    ("AssumeRole", "ExpiredToken", "expired", "The caller's own session has ended"),
    ("AssumeRole", "InvalidClientTokenId", "invalid", "AWS does not know this access key"),
    ("AssumeRole", "SignatureDoesNotMatch", EXPIRED_SIGNATURE, "The clock of this machine is wrong"),
    ("", "ProfileNotFound", "no", "aws configure list-profiles"),
    ("", "ConfigParseError", "no", "AWS_CONFIG_FILE"),
    ("", "JSONDecodeError", "no", "credential_process of profile team"),
    ("", "InfiniteLoopConfigError", "no", "Let source_profile of profile team end"),
    ("", "SSOTokenLoadError", "no", "aws sso login --profile team"),
    ("", "UnauthorizedSSOTokenError", "no", "aws sso login --profile team"),
    ("GetRoleCredentials", "UnauthorizedException", "no", "aws sso login --profile team"),
    ("", "TokenRetrievalError", "no", "aws sso login --profile team"),
    ("", "LoginRefreshRequired", "no", "aws login --profile team"),
    ("", "InvalidRegionError", "no", "--region"),
    ("", "NoRegionError", "no", "AWS_REGION"),
    ("", "UntrustedCertificate", "CERTIFICATE_VERIFY_FAILED", "AWS_CA_BUNDLE"),
    ("", "CaBundle", "the CA bundle that AWS_CA_BUNDLE names", "certificates in PEM"),
    ("", "ValueError", "No closing quotation", "Mend profile team in ~/.aws/config"),
]
NOT_SO = (
    "organizations:AssumeRole",
    "organizations:GetCallerIdentity",
    "organizations:GetSecretValue",
    "iam:AssumeRole",
)


def make_answer(operation: str, code: str, message: str) -> AwsError:
    """Return the error that an answer of AWS is raised as in a member account."""
    kind = ERROR_BY_CODE.get(code, errors.AwsError)
    if kind is errors.AccessDenied and any(policy in message for policy in (SCP, RCP)):
        kind = errors.DeniedByScp
    elif kind is errors.AccessDenied and operation == "AssumeRole":
        kind = errors.AssumeRoleDenied
    return kind(message, code=code, operation=operation)


@pytest.mark.parametrize(("operation", "code", "message", "words"), ACCOUNT_ROWS)
@pytest.mark.parametrize("account_id", [ACCOUNT_ID, ORGANIZATION.management_account_id])
def test_failure_of_an_account_is_told_by_what_aws_says(
    account_id: str, operation: str, code: str, message: str, words: str
) -> None:
    error = make_answer(operation, code, message)

    told = explain_account_error(
        error, Stage.INSPECT, make_account(account_id), organization=ORGANIZATION, role_name="orgmfa-member"
    ).remedy

    is_missing = "is missing in the account" in words
    if is_missing and account_id == ORGANIZATION.management_account_id:
        words = "StackSets never reach the management account"
    assert words in told
    assert ("StackSet" in told) == (is_missing or "AllowSessionContext" in told or " lacks " in told)
    assert not any(wrong in told for wrong in NOT_SO)


@pytest.mark.parametrize(("operation", "code", "message", "words"), SELECT_ROWS)
def test_failure_of_the_callers_own_calls_is_told_by_what_aws_says(
    operation: str, code: str, message: str, words: str
) -> None:
    told = select_remedy(make_answer(operation, code, message))

    assert words in told
    assert "Health" not in told
    assert not any(wrong in told for wrong in NOT_SO)


@pytest.mark.parametrize(("operation", "code", "message", "words"), LOCAL_ROWS)
def test_fault_of_this_machine_is_told_alike_at_the_start_and_in_an_account(
    operation: str, code: str, message: str, words: str
) -> None:
    error = errors.LocalFault(message, code=code, operation=operation, profile="team")

    told = select_remedy(error)

    assert words in told
    assert (
        explain_account_error(
            error, Stage.INSPECT, make_account(), organization=ORGANIZATION, role_name="orgmfa-member"
        ).remedy
        == told
    )
    assert explain_findings_error(error, PRODUCT).remedy == told
    assert explain_event_error(error, "security").remedy == told


@pytest.mark.parametrize(
    ("section", "cases", "service"),
    [
        ("clock", SELECT_ROWS, "organizations"),
        ("caller", SELECT_ROWS, "organizations"),
        ("own account", SELECT_ROWS, "organizations"),
        ("member account", ACCOUNT_ROWS, "iam"),
        ("this machine", LOCAL_ROWS, "organizations"),
    ],
)
def test_every_row_is_reached_by_the_tables_above(
    section: str, cases: list[tuple[str, str, str, str]], service: str
) -> None:
    reached = {
        find_row(section, AwsError(message, code=code, operation=operation), service)
        for operation, code, message, _ in cases
    }

    assert set(dict(read_remedies().items(section)).values()) <= reached
