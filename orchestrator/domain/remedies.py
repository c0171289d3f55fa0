"""Remedies: what an operator can do about each failure of AWS, in words. Pure."""

from collections.abc import Mapping, Sequence

from orchestrator.domain.errors import (
    AccessDenied,
    AssumeRoleDenied,
    AwsError,
    DeniedByScp,
    LocalFault,
    Malformed,
    NoCredentials,
    NotFound,
    NotSubscribed,
    Throttled,
    Unavailable,
    Unreachable,
)
from orchestrator.domain.model import Account, Imported, Organization, Problem, Product, Stage
from orchestrator.domain.remedy_rows import (
    ACCOUNT_ROWS,
    CALLER_ROWS,
    LOCAL_ROWS,
    SELECT_ROWS,
    Row,
    denied_action,
    find_remedy,
)

ASSUME_ROLE = "AssumeRole"
UPDATE_STACKSET = "Update the StackSet, with AccessKeys as policy.access_keys says."
"""The remedy for an earlier text of EnforceMFA; where the program owns the policy, an apply run updates it."""

# In each table the entry of an error's nearest class counts; the placeholders in braces are filled in.
_SELECT_REMEDIES: Mapping[type[AwsError], str] = {
    NoCredentials: (
        "Give the program AWS credentials: a profile (--profile, AWS_PROFILE), environment variables, or a role."
    ),
    AccessDenied: "Allow {denied} to this principal.",
    NotFound: "Check that the caller's account is in an AWS Organization, and that each OU and account named exists.",
    Throttled: "AWS throttled every try: run again in a few minutes.",
    Unreachable: "Check the network, the proxy, AWS_ENDPOINT_URL and the Region (--region, AWS_REGION).",
    AwsError: "Run again; where it stays, see the AWS Health Dashboard.",
}
_MANAGEMENT_ACCOUNT = (
    "StackSets never reach the management account: deploy member_role/template.yaml there by hand, so that the role "
    "{role} exists, or set organization.include_management_account: false."
)
_ACCOUNT_REMEDIES: Mapping[type[AwsError], str] = {
    AssumeRoleDenied: (
        "The role {role} is missing in the account, or does not trust this caller (AWS answers both alike): "
        "check that the StackSet has reached the account, then the role's trust policy."
    ),
    DeniedByScp: "An organization policy (SCP) denies {operation} in this account: exempt the role {role} in it.",
    AccessDenied: (
        "The role {role} lacks iam:{operation}, or a permissions boundary withholds it: update the StackSet "
        "to this version's member_role/template.yaml."
    ),
    Throttled: (
        "AWS throttled every try: run again for this account (--account {account}), or lower concurrency.workers."
    ),
    NoCredentials: "AWS did not take a new session in this account either: run again (--account {account}).",
    Unreachable: "No answer from AWS: check network and proxy, then run again.",
    Unavailable: "AWS answered with an error of its own: run again for this account (--account {account}).",
    Malformed: "The answer of AWS could not be used, so nobody was judged: run again, and report it where it stays.",
    AwsError: "Run again for this account (--account {account}).",
}
_BORROWED_REMEDIES: Mapping[type[AwsError], str] = {
    **_ACCOUNT_REMEDIES,
    AssumeRoleDenied: (
        "The account has no role {role}, or the role does not trust this caller (AWS answers both alike). Accounts "
        "that were invited have none until it is made there; else run in the management account {management}, as a "
        "user or role that may call sts:AssumeRole on it, never as the root user. The StackSet needs no such role."
    ),
    DeniedByScp: "An organization policy (SCP) denies {operation} to the role {role}: name another by --role.",
    AccessDenied: "The role {role} lacks iam:{operation}, or a boundary withholds it: name another role by --role.",
}
"""Remedies where accounts are read through a role that orgmfa did not make."""
_FINDINGS_REMEDIES: Mapping[type[AwsError], str] = {
    NotSubscribed: (
        "Switch Security Hub CSPM on in account {account}, Region {region}, or set securityhub.enabled: false."
    ),
    AccessDenied: (
        "Allow securityhub:BatchImportFindings on {product} to this principal (SecurityHub=on in "
        "stackset/central.yaml), or set securityhub.enabled: false."
    ),
    NoCredentials: "AWS no longer takes the caller's credentials: renew them, then run again.",
    Throttled: "AWS throttled every try: run again in a few minutes; findings are imported anew.",
    Unreachable: "Check network and proxy, and that the Region {region} has Security Hub CSPM; then run again.",
    AwsError: "Run again: findings are imported anew.",
}


def explain_account_error(
    error: AwsError,
    stage: Stage,
    account: Account,
    *,
    organization: Organization,
    role_name: str,
    is_borrowed: bool = False,
) -> Problem:
    """Return the problem of an account that failed with this error, by a role of orgmfa's or a borrowed one."""
    management = organization.management_account_id
    text = _find(ACCOUNT_ROWS, error, "iam")
    if text is None:
        is_missing_there = isinstance(error, AssumeRoleDenied) and account.id == management
        remedies = _BORROWED_REMEDIES if is_borrowed else _ACCOUNT_REMEDIES
        text = _MANAGEMENT_ACCOUNT if is_missing_there else _nearest(remedies, error)
    return Problem(
        stage=Stage.ASSUME_ROLE if error.operation == ASSUME_ROLE else stage,
        code=error.code,
        message=_one_line(str(error)),
        remedy=_fill(text, error, "iam", role=role_name, account=account.id, management=management),
    )


def explain_defect(error: BaseException, stage: Stage, account: Account) -> Problem:
    """Return the problem of an account in which the program itself failed."""
    return Problem(
        stage=stage,
        code=type(error).__name__,
        message=_one_line(f"unexpected {type(error).__name__}: {error}"),
        remedy=f"This is a defect of orgmfa; the log holds the traceback for account {account.id}. Please report it.",
    )


def explain_select_error(error: AwsError) -> Problem:
    """Return the problem of a run whose listing of accounts failed."""
    return Problem(Stage.SELECT, error.code, _one_line(str(error)), select_remedy(error))


def explain_findings_error(error: AwsError, product: Product) -> Problem:
    """Return the problem of a run whose findings could not be imported into Security Hub."""
    text = _find(CALLER_ROWS, error, "securityhub") or _nearest(_FINDINGS_REMEDIES, error)
    remedy = _fill(text, error, "securityhub", account=product.account_id, region=product.region, product=product.arn)
    return Problem(Stage.FINDINGS, error.code, _one_line(f"Security Hub CSPM: {error}"), remedy)


def explain_findings(imported: Imported, wanted: int, product: Product) -> Problem | None:
    """Return the problem of a run where Security Hub CSPM did not take each of the findings, or None where it did."""
    if imported.refused:
        remedy = "The log names each: run again; where it stays, report it."
        if any(refused.code.startswith("InvalidAccess") for refused in imported.refused):  # how it says: not subscribed
            remedy = _FINDINGS_REMEDIES[NotSubscribed].format(account=product.account_id, region=product.region)
        codes = ", ".join(sorted({refused.code for refused in imported.refused}))  # no IDs: they name users
        message = f"Security Hub CSPM refused {len(imported.refused)} of {wanted} findings ({codes})"
        return Problem(Stage.FINDINGS, "findings_refused", message, remedy)
    if imported.sent < wanted:
        message = f"the run ended early; {wanted - imported.sent} of {wanted} findings were not imported"
        return Problem(Stage.FINDINGS, "findings_left", message, "Run again: findings are imported anew.")
    return None


def select_remedy(error: AwsError) -> str:
    """Return what to do where the caller or its organization could not be read."""
    text = _find(SELECT_ROWS, error, "organizations") or _nearest(_SELECT_REMEDIES, error)
    return _fill(text, error, "organizations")


def _find(rows: Sequence[Row], error: AwsError, service: str) -> str | None:
    return find_remedy(LOCAL_ROWS if isinstance(error, LocalFault) else rows, error, service)


def _fill(text: str, error: AwsError, service: str, **values: str) -> str:
    profile = error.profile if isinstance(error, LocalFault) else ""
    return text.format(denied=denied_action(error, service), operation=error.operation, profile=profile, **values)


def _nearest(table: Mapping[type[AwsError], str], error: AwsError) -> str:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def _one_line(text: str) -> str:
    return " ".join(text.split())
