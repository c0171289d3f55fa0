"""All checks of `orgmfa doctor`: one that fails does not stop the others. Nothing is written in any account."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import structlog

from orchestrator.concurrency.pool import TaskResult, map_unordered
from orchestrator.doctor.accounts import CheckedAccount, check_account
from orchestrator.doctor.config_checks import check_effects, check_exemptions, check_hub, check_limits, check_sign_in
from orchestrator.doctor.control_policies import check_control_policies
from orchestrator.doctor.deployment import check_function, check_iam_events, check_schedule
from orchestrator.doctor.ports import DoctorContext
from orchestrator.doctor.report import Check, CheckName, CheckStatus, DoctorReport, fine, in_words, problem, unknown
from orchestrator.domain.errors import ArchiveError, AwsError
from orchestrator.domain.model import Account, Organization, Stage
from orchestrator.domain.remedies import explain_defect, select_remedy
from orchestrator.domain.selection import are_account_ids, skip_account
from orchestrator.output.words import count
from orchestrator.pipeline.listing import requested_accounts

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DoctorRun:
    """The report, and the name or alias of each account."""

    report: DoctorReport
    title_by_account_id: Mapping[str, str]


def run_checks(tools: DoctorContext) -> DoctorRun:
    """Make all checks and return them. Raises ConfigError where an account or OU that is named does not exist."""
    config, caller = tools.config, tools.caller
    read = f"read from {tools.config_source}; enforcement.mode is {config.enforcement.mode}"
    who = f"{caller.arn}, account {caller.account_id}, partition {caller.partition}"
    checks = [fine(CheckName.CONFIGURATION, read), check_limits(config), check_exemptions(config, tools.now())]
    checks.append(fine(CheckName.CALLER, who))
    organization, in_organization = _find_organization(tools)
    accounts, in_accounts = _find_accounts(tools)
    in_function, event_bus = check_function(tools)
    tools = replace(tools, event_bus=event_bus)
    checks += [in_organization, in_accounts, *check_hub(tools), *check_control_policies(tools)]
    checks += [check_schedule(tools), in_function]
    titles = {account.id: account.name for account in accounts}
    if organization is None or in_organization.status is CheckStatus.PROBLEM:
        message = "no account was entered: first the organization must be readable, and the right one"
        checks.append(unknown(CheckName.MEMBER_ROLE, message, in_organization.remedy))
        return DoctorRun(DoctorReport.of(checks), titles)
    checks.append(check_sign_in(organization.id, tools))
    if event_bus is not None:
        checks += check_iam_events(organization.id, tools)
    found = _examine_accounts(accounts, organization, tools)
    for account, examined in found:
        checks += (check.of(account.id) for check in examined.checks)
        titles[account.id] = examined.alias or account.name
    if accounts and not tools.targets and not tools.ou_ids:
        names = ((account.id, examined.user_names) for account, examined in found)
        checks += check_effects(config, names, tools.now())
    return DoctorRun(DoctorReport.of(checks), titles)


def _find_organization(tools: DoctorContext) -> tuple[Organization | None, Check]:
    name, expected = CheckName.ORGANIZATION, tools.config.organization.id
    try:
        found = tools.directory.describe_organization(tools.caller.partition)
    except AwsError as error:
        return None, problem(name, in_words(error), select_remedy(error))
    if expected not in {None, found.id}:
        message = f"organization.id is {expected}, but the credentials belong to organization {found.id}"
        remedy = "Use the credentials of the right organization, or correct organization.id."
        return found, problem(name, message, remedy)
    unnamed = "" if expected else "; organization.id names none, so any would do"
    return found, fine(name, f"{found.id}, management account {found.management_account_id}{unnamed}")


def _find_accounts(tools: DoctorContext) -> tuple[list[Account], Check]:
    name = CheckName.ACCOUNTS
    try:
        accounts = list({account.id: account for account in _list_accounts(tools)}.values())
    except AwsError as error:
        return [], problem(name, in_words(error), select_remedy(error))
    if not accounts:
        message = "no account to work on: the organization, or the OUs and accounts named, hold none"
        return [], problem(name, message, "Check the credentials, --ou and --account.")
    return accounts, fine(name, f"the organization can be listed; {count(len(accounts), 'account')} to look at")


def _list_accounts(tools: DoctorContext) -> Iterator[Account]:
    """Return the accounts asked for; where IDs name them, one page proves that the organization can be listed."""
    if tools.targets and are_account_ids(tools.targets):
        next(tools.directory.list_accounts(), None)

    def aliases() -> Mapping[str, str]:
        try:
            return tools.archive.alias_by_account_id()
        except ArchiveError:
            return {}  # the check of the archive reports it

    asked, ou_ids = tools.targets, tools.ou_ids
    return requested_accounts(
        tools.directory, tools.config.organization, targets=asked, ou_ids=ou_ids, alias_by_account_id=aliases
    )


def _examine_accounts(
    accounts: list[Account], organization: Organization, tools: DoctorContext
) -> list[tuple[Account, CheckedAccount]]:
    """Return the checks of each account, in the order of the listing."""

    def work(account: Account) -> CheckedAccount:
        skipped = skip_account(account, organization, tools.config)
        if skipped is None:
            return check_account(account, organization, tools)
        if skipped.remedy:
            return CheckedAccount([unknown(CheckName.MEMBER_ROLE, skipped.message, skipped.remedy)])
        check = fine(CheckName.MEMBER_ROLE, f"not to be entered: {skipped.message}")
        return CheckedAccount([check], user_names=())

    found: dict[str, CheckedAccount] = {}
    tools.observer.phase("looking", len(accounts))
    workers = tools.config.concurrency.workers
    for done in map_unordered(accounts, work, workers=workers, cancellation=tools.cancellation):
        examined = found[done.item.id] = done.result or _unexamined(done, tools)
        has_failed = any(check.status is CheckStatus.PROBLEM for check in examined.checks)
        tools.observer.done("looking", changes=0, failed=has_failed)
    return [(account, found.get(account.id) or _unexamined(TaskResult(account), tools)) for account in accounts]


def _unexamined(done: TaskResult[Account, CheckedAccount], tools: DoctorContext) -> CheckedAccount:
    """Return the check of an account that was not looked at, or where the program failed unexpectedly."""
    account = done.item
    if done.error is None:
        message = f"not looked at: {tools.cancellation.reason or 'interrupted'}"
        check = unknown(CheckName.MEMBER_ROLE, message, "Run doctor again.")
    else:
        log.error("unexpected_error", account_id=account.id, exc_info=done.error)
        defect = explain_defect(done.error, Stage.INSPECT, account)
        check = problem(CheckName.MEMBER_ROLE, defect.message, defect.remedy)
    return CheckedAccount([check])
