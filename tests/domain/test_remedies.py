import re

import pytest

from orchestrator.aws.errors import ERROR_BY_CODE
from orchestrator.domain import errors
from orchestrator.domain.errors import AwsError
from orchestrator.domain.model import Imported, Product, Refused, Stage
from orchestrator.domain.remedies import (
    explain_account_error,
    explain_defect,
    explain_event_error,
    explain_findings,
    explain_findings_error,
    explain_select_error,
    find_row,
    read_remedies,
    select_remedy,
)
from tests.builders import ACCOUNT_ID, ORGANIZATION, make_account

ALL_KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AwsError)),
    key=lambda kind: kind.__name__,
)

PRODUCT = Product("999988887777", "eu-central-1", "aws")


def make_error(kind: type[AwsError], operation: str = "ListMFADevices", message: str = "refused") -> AwsError:
    return kind(message, code=f"{kind.__name__}Code", operation=operation)


def remedy(kind: type[AwsError], *, account_id: str = ACCOUNT_ID, operation: str = "ListMFADevices") -> str:
    return explain_account_error(
        make_error(kind, operation),
        Stage.INSPECT,
        make_account(account_id),
        organization=ORGANIZATION,
        role_name="orgmfa-member",
    ).remedy


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (errors.AssumeRoleDenied, "The role orgmfa-member is missing in the account, or does not trust this caller"),
        (errors.DeniedByScp, "An organization policy (SCP) denies ListMFADevices in this account"),
        (errors.AccessDenied, "The role orgmfa-member lacks iam:ListMFADevices"),
        (errors.Throttled, f"run again for this account (--account {ACCOUNT_ID}), or lower concurrency.workers"),
        (errors.NoCredentials, "AWS did not take a new session in this account either"),
        (errors.LocalFault, "Mend profile default in ~/.aws/config"),
        (errors.Unreachable, "check network and proxy"),
        (errors.Unavailable, "AWS answered with an error of its own"),
        (errors.Malformed, "nobody was judged"),
        (errors.NotFound, f"Run again for this account (--account {ACCOUNT_ID})."),
        (errors.AlreadyExists, f"Run again for this account (--account {ACCOUNT_ID})."),
        (errors.QuotaExceeded, f"Run again for this account (--account {ACCOUNT_ID})."),
        (errors.NotReady, f"Run again for this account (--account {ACCOUNT_ID})."),
        (errors.NotSubscribed, f"Run again for this account (--account {ACCOUNT_ID})."),
        (errors.RegionDisabled, f"Run again for this account (--account {ACCOUNT_ID})."),
        (errors.AwsError, f"Run again for this account (--account {ACCOUNT_ID})."),
    ],
)
def test_each_failure_of_an_account_has_its_own_remedy(kind: type[AwsError], words: str) -> None:
    assert words in remedy(kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (errors.NoCredentials, "AWS_PROFILE"),
        (errors.AccessDenied, "allow organizations:ListAccounts to this principal"),
        (errors.DeniedByScp, "Allow organizations:ListAccounts to this principal"),
        (errors.LocalFault, "Mend profile default in ~/.aws/config"),
        (errors.NotFound, "is in an AWS Organization"),
        (errors.Throttled, "run again in a few minutes"),
        (errors.Unreachable, "AWS_ENDPOINT_URL"),
        (errors.Unavailable, "AWS Health Dashboard"),
        (errors.Malformed, "AWS Health Dashboard"),
        (errors.AwsError, "AWS Health Dashboard"),
    ],
)
def test_each_failure_of_the_listing_has_its_own_remedy(kind: type[AwsError], words: str) -> None:
    error = make_error(kind, "ListAccounts")

    assert words in select_remedy(error)
    assert explain_select_error(error).remedy == select_remedy(error)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (errors.NotSubscribed, "Switch Security Hub CSPM on in account 999988887777, Region eu-central-1"),
        (
            errors.AccessDenied,
            "Allow securityhub:BatchImportFindings on arn:aws:securityhub:eu-central-1:999988887777:",
        ),
        (errors.DeniedByScp, "Allow securityhub:BatchImportFindings"),
        (errors.NoCredentials, "renew them"),
        (errors.Throttled, "run again in a few minutes"),
        (errors.Unreachable, "that the Region eu-central-1 has Security Hub"),
        (errors.Unavailable, "Run again: findings are imported anew."),
        (errors.AwsError, "Run again: findings are imported anew."),
    ],
)
def test_each_failure_of_an_import_of_findings_has_its_own_remedy(kind: type[AwsError], words: str) -> None:
    problem = explain_findings_error(make_error(kind, "BatchImportFindings"), PRODUCT)

    assert (problem.stage, problem.code) == (Stage.FINDINGS, f"{kind.__name__}Code")
    assert words in problem.remedy


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (errors.NotFound, "Make the event bus security in this account and Region"),
        (errors.AccessDenied, "Allow events:PutEvents on the event bus security to this principal (EventBusName"),
        (errors.DeniedByScp, "Allow events:PutEvents"),
        (errors.NoCredentials, "renew them"),
        (errors.Unreachable, "Check network and proxy"),
        (errors.Throttled, "was not told of this run"),
        (errors.AwsError, "was not told of this run"),
    ],
)
def test_each_failure_of_an_event_has_its_own_remedy(kind: type[AwsError], words: str) -> None:
    problem = explain_event_error(make_error(kind, "PutEvents"), "security")

    assert (problem.stage, problem.code) == (Stage.EVENT, f"{kind.__name__}Code")
    assert words in problem.remedy


@pytest.mark.parametrize(
    ("imported", "code", "words"),
    [
        (Imported(2, (Refused("a/b", "InvalidInput", "no"),)), "findings_refused", "1 of 2 findings (InvalidInput)"),
        (Imported(1, ()), "findings_left", "the run ended early; 1 of 2 findings were not imported"),
    ],
)
def test_findings_that_are_not_all_taken_are_a_problem(imported: Imported, code: str, words: str) -> None:
    problem = explain_findings(imported, 2, PRODUCT)

    assert problem is not None
    assert (problem.stage, problem.code) == (Stage.FINDINGS, code)
    assert words in problem.message


@pytest.mark.parametrize("code", ["InvalidAccess", "InvalidAccessException"])
def test_findings_refused_since_the_hub_is_off_have_the_remedy_of_not_being_subscribed(code: str) -> None:
    refused = Refused("a/b", "InvalidInput", "no"), Refused("a/c", code, "not subscribed")

    problem = explain_findings(Imported(2, refused), 2, PRODUCT)

    assert problem is not None
    assert problem.remedy == explain_findings_error(make_error(errors.NotSubscribed), PRODUCT).remedy
    assert "Switch Security Hub CSPM on" in problem.remedy


@pytest.mark.parametrize("count", [0, 2])
def test_findings_that_are_all_taken_are_none(count: int) -> None:
    assert explain_findings(Imported(count, ()), count, PRODUCT) is None


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


def test_each_kind_in_the_texts_is_an_error() -> None:
    sections = [name for name in read_remedies().sections() if name.endswith(", by kind")]

    assert {kind for name in sections for kind in read_remedies()[name]} <= {kind.__name__ for kind in ALL_KINDS}


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("account_id", [ACCOUNT_ID, ORGANIZATION.management_account_id])
def test_remedy_is_a_sentence_with_every_brace_filled(kind: type[AwsError], account_id: str) -> None:
    for text in (remedy(kind, account_id=account_id), select_remedy(make_error(kind))):
        assert re.search(r"[{}]", text) is None
        assert text.endswith(".")
        assert "  " not in text


@pytest.mark.parametrize("name", ["{role}", "orgmfa{0}", "a{b"])
def test_braces_in_a_name_are_left_as_they_are(name: str) -> None:
    error = make_error(errors.AccessDenied)

    problem = explain_account_error(error, Stage.INSPECT, make_account(), organization=ORGANIZATION, role_name=name)

    assert f"The role {name} lacks" in problem.remedy


def test_management_account_without_a_role_is_told_that_no_stackset_reaches_it() -> None:
    told = remedy(errors.AssumeRoleDenied, account_id=ORGANIZATION.management_account_id, operation="AssumeRole")

    assert "StackSets never reach the management account" in told
    assert "the role orgmfa-member exists" in told
    assert "organization.include_management_account: false" in told


@pytest.mark.parametrize("kind", [errors.DeniedByScp, errors.AccessDenied, errors.Throttled])
def test_other_failures_of_the_management_account_are_those_of_any_account(kind: type[AwsError]) -> None:
    account_id = ORGANIZATION.management_account_id

    assert remedy(kind, account_id=account_id) == remedy(kind).replace(ACCOUNT_ID, account_id)


@pytest.mark.parametrize(
    ("operation", "stage", "expected"),
    [
        ("AssumeRole", Stage.INSPECT, Stage.ASSUME_ROLE),
        ("AssumeRole", Stage.APPLY, Stage.ASSUME_ROLE),
        ("ListMFADevices", Stage.INSPECT, Stage.INSPECT),
        ("AttachUserPolicy", Stage.APPLY, Stage.APPLY),
        ("", Stage.INSPECT, Stage.INSPECT),
    ],
)
def test_problem_tells_where_the_account_failed(operation: str, stage: Stage, expected: Stage) -> None:
    error = make_error(errors.Throttled, operation, "Rate\n  exceeded")

    problem = explain_account_error(error, stage, make_account(), organization=ORGANIZATION, role_name="orgmfa-member")

    assert (problem.stage, problem.code, problem.message) == (expected, "ThrottledCode", "Rate exceeded")


def test_failed_listing_is_a_problem_of_the_selection() -> None:
    problem = explain_select_error(make_error(errors.Throttled, "ListAccounts", "Rate\nexceeded"))

    assert (problem.stage, problem.code, problem.message) == (Stage.SELECT, "ThrottledCode", "Rate exceeded")


def test_defect_is_told_as_one_with_the_account_whose_log_lines_tell_more() -> None:
    problem = explain_defect(KeyError("Users"), Stage.INSPECT, make_account())

    assert (problem.stage, problem.code) == (Stage.INSPECT, "KeyError")
    assert problem.message == "unexpected KeyError: 'Users'"
    assert ACCOUNT_ID in problem.remedy
    assert "defect of orgmfa" in problem.remedy


@pytest.mark.parametrize("kind", [errors.AssumeRoleDenied, errors.DeniedByScp, errors.AccessDenied, errors.Throttled])
def test_remedies_of_a_role_that_others_made_ask_for_nothing_of_the_stackset(kind: type[AwsError]) -> None:
    told = explain_account_error(
        make_error(kind, "AssumeRole"),
        Stage.INSPECT,
        make_account(),
        organization=ORGANIZATION,
        role_name="OrganizationAccountAccessRole",
        is_borrowed=True,
    ).remedy

    assert not any(words in told for words in ("update the StackSet", "has reached", "exempt the role", "{"))
    assert (ORGANIZATION.management_account_id in told) is (kind is errors.AssumeRoleDenied)
