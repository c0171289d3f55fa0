"""Remedies: what an operator can do about each failure of AWS, in words. The texts are in `remedies.ini`. Pure."""

import re
from collections.abc import Sequence
from configparser import ConfigParser
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from itertools import chain

from orchestrator.domain.errors import AwsError, LocalFault, NotSubscribed
from orchestrator.domain.model import Account, Imported, Organization, Problem, Product, Stage

ASSUME_ROLE = "AssumeRole"
UPDATE_STACKSET = "Update the StackSet, with AccessKeys as policy.access_keys says."
"""The remedy for an earlier text of EnforceMFA; where the program owns the policy, an apply run updates it."""

_DENIED = re.compile(r"not authorized to perform: (\S+)")


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
    kinds = ["member account", *(["borrowed role"] if is_borrowed else [])]
    if account.id == management:
        kinds.append("management account")
    is_entering = error.operation == ASSUME_ROLE  # by the caller's own credentials
    rows = ("caller", "member account") if is_entering else ("member account",)
    return Problem(
        stage=Stage.ASSUME_ROLE if is_entering else stage,
        code=error.code,
        message=_one_line(str(error)),
        remedy=_remedy(error, "iam", rows=rows, kinds=kinds, role=role_name, account=account.id, management=management),
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
    names = {"account": product.account_id, "region": product.region, "product": product.arn}
    remedy = _remedy(error, "securityhub", rows=("caller",), kinds=("findings",), **names)
    return Problem(Stage.FINDINGS, error.code, _one_line(f"Security Hub CSPM: {error}"), remedy)


def explain_event_error(error: AwsError, bus: str) -> Problem:
    """Return the problem of a run whose event could not be put on this bus."""
    remedy = _remedy(error, "events", rows=("caller",), kinds=("event",), bus=bus)
    return Problem(Stage.EVENT, error.code, _one_line(f"EventBridge: {error}"), remedy)


def explain_findings(imported: Imported, wanted: int, product: Product) -> Problem | None:
    """Return the problem of a run where Security Hub CSPM did not take each of the findings, or None where it did."""
    if imported.refused:
        remedy = "The log names each: run again; where it stays, report it."
        if any(refused.code.startswith("InvalidAccess") for refused in imported.refused):  # how it says: not subscribed
            remedy = explain_findings_error(NotSubscribed("", code=""), product).remedy
        codes = ", ".join(sorted({refused.code for refused in imported.refused}))  # no IDs: they name users
        message = f"Security Hub CSPM refused {len(imported.refused)} of {wanted} findings ({codes})"
        return Problem(Stage.FINDINGS, "findings_refused", message, remedy)
    if imported.sent < wanted:
        message = f"the run ended early; {wanted - imported.sent} of {wanted} findings were not imported"
        return Problem(Stage.FINDINGS, "findings_left", message, "Run again: findings are imported anew.")
    return None


def select_remedy(error: AwsError) -> str:
    """Return what to do where the caller or its organization could not be read."""
    return _remedy(error, "organizations", rows=("caller", "own account"), kinds=("own account",))


@cache
def read_remedies() -> ConfigParser:
    """Return the sections of `remedies.ini`."""
    parser = ConfigParser(delimiters="=", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says: names keep their case
    parser.read_string(resources.files(__package__).joinpath("remedies.ini").read_text(encoding="utf-8"))
    return parser


def find_row(section: str, error: AwsError, service: str) -> str | None:
    """Return the text of a section's first row that fits an error, or None. Unlisted operations are of `service`."""
    for row, text in read_remedies().items(section):
        action, codes, words = (*row.split(maxsplit=2), "")[:3]
        is_code = any(fnmatchcase(error.code, code) for code in codes.split("|"))
        if is_code and fnmatchcase(_action_of(error, service), action) and re.search(words, str(error)):
            return text
    return None


def _remedy(error: AwsError, service: str, *, rows: Sequence[str], kinds: Sequence[str], **names: str) -> str:
    """Return the text for an error: by the sections of rows, else by kind, where a later section goes before."""
    profile = ""
    if isinstance(error, LocalFault):
        rows, profile = ("caller", "this machine"), error.profile
    by_kind = {kind: text for name in kinds for kind, text in read_remedies().items(f"{name}, by kind")}
    found = (find_row(section, error, service) for section in ("clock", *rows))
    known = (by_kind.get(kind.__name__) for kind in type(error).__mro__)
    text = next(text for text in chain(found, known) if text is not None)
    named = _DENIED.search(str(error))
    denied = named[1] if named else _action_of(error, service)
    return _one_line(text).format(denied=denied, operation=error.operation, profile=profile, **names)


def _action_of(error: AwsError, service: str) -> str:
    services = (name for name, operations in read_remedies().items("services") if error.operation in operations.split())
    return f"{next(services, service)}:{error.operation}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
