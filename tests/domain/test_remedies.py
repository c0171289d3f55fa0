"""Remedies by the kind of the failure, and the problems that hold them."""

import re

import pytest

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
