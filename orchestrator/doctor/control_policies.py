"""Checks of service control policies (SCPs): which may deny calls of a run, which guard EnforceMFA, which block users.

The first cannot be certain, and no run fails by the second, so they are never a problem; what the caller may not read
is unknown. `release` takes nobody out of an SCP of `orgmfa policy --scp`, so both doctor and `release` tell of those.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from orchestrator.aws.partitions import describe_partition
from orchestrator.doctor.deployment import EVENTS_ROLE
from orchestrator.doctor.ports import DoctorContext, HubReader
from orchestrator.doctor.report import Check, CheckName, fine, in_words, problem, unknown
from orchestrator.doctor.scp import RegionalCall, is_guard, list_denied, list_denied_calls
from orchestrator.domain.deployed import ControlPolicy
from orchestrator.domain.errors import AccessDenied, ArchiveError, AwsError, ConfigError
from orchestrator.domain.model import Account
from orchestrator.domain.remedies import select_remedy
from orchestrator.domain.scp import is_ours, list_differences, read_scp, render_scp
from orchestrator.domain.selection import is_in_ous
from orchestrator.output.words import some_of

WAY_OUT = (
    "Detach it (in the management account), or exempt them and put the SCP that orgmfa policy --scp prints in place"
)
_ALLOW = (
    "Allow organizations:ListPolicies, DescribePolicy and ListTargetsForPolicy to this caller, or look through the "
    "SCPs for denies of iam: actions."
)
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Lock:
    """An SCP of ours: its name, its text, and what it is attached to, the names by ID."""

    name: str
    document: str
    targets: Mapping[str, str]

    @property
    def ou_ids(self) -> list[str]:
        """The root and the OUs that it is attached to."""
        return [target for target in self.targets if not target.isdecimal()]

    @property
    def where(self) -> str:
        """What it is attached to, in words."""
        return ", ".join(self.targets.values())

    def reaches(self, account: Account, management_account_id: str) -> bool:
        """Return whether it holds in an account, as far as the OUs above the account are known."""
        if account.id == management_account_id:
            return False
        is_below = any(target.startswith("r-") for target in self.targets) or (
            bool(self.ou_ids) and is_in_ous(account, self.ou_ids)
        )
        return is_below or account.id in self.targets

    def spares(self, name: str, account_id: str, at: datetime) -> bool:
        """Return whether it is known to spare a user."""
        try:
            return read_scp(self.document).spares(name, account_id, at)
        except ValueError:
            return False


def find_locks(policies: Iterable[ControlPolicy], hub: HubReader) -> Iterator[Lock]:
    """Yield the SCPs of ours that are attached to anything. Raises AwsError where that cannot be read."""
    for policy in policies:
        with suppress(ValueError):  # no JSON, so no SCP of ours
            if is_ours(policy.document) and (targets := hub.list_targets(policy.id)):
                yield Lock(policy.name, policy.document, targets)


def check_control_policies(tools: DoctorContext) -> Iterator[Check]:
    """Yield which SCPs may deny calls of a run, where one guards EnforceMFA, and where one of ours blocks users."""
    name = CheckName.SCP
    try:
        policies = tools.hub.list_control_policies()
        suspects = [words for policy in policies if (words := _suspect(policy, tools))]
        rest = [_judge_guards(policies, tools), *_check_locks(policies, tools)]
    except AwsError as error:
        yield unknown(name, in_words(error), _ALLOW if isinstance(error, AccessDenied) else select_remedy(error))
        return
    if suspects:
        roles = tools.config.member_role
        remedy = f"Where runs are to work there, exempt the roles {roles.name} and {roles.release_name}."
        if tools.event_bus is not None:
            remedy += f" Where IAM events are to come from there, {EVENTS_ROLE} and stacksets-exec-* too."
        yield unknown(name, "; ".join(suspects), remedy)
    else:
        count = f"none of {len(policies)} SCPs denies" if policies else "no SCP denies"
        yield fine(name, f"{count} a call of a run unconditionally; denies with conditions are not judged")
    yield from rest


def _judge_guards(policies: Sequence[ControlPolicy], tools: DoctorContext) -> Check:
    """Return whether an SCP keeps all member accounts from turning EnforceMFA into a grant for those who have it."""
    guarded: dict[str, str] = {}
    for policy in policies:
        with suppress(ValueError):  # told by the check of the SCPs
            if is_guard(policy.document, _run_resources(tools)[1]):
                guarded |= tools.hub.list_targets(policy.id)
    what = f"{tools.config.policy.name} from being rewritten by whoever may edit policies there"
    if any(target.startswith("r-") for target in guarded):
        return fine(CheckName.GUARD, f"an SCP on the root keeps {what}, but for the roles that it spares")
    where = f"outside of {some_of(list(guarded.values()), _NAMED)} no SCP" if guarded else "no SCP"
    remedy = "Attach member_role/protect.scp.json to the root (docs/deploy.md): else they could have it grant anything."
    return unknown(CheckName.GUARD, f"{where} keeps {what}", remedy)


def _suspect(policy: ControlPolicy, tools: DoctorContext) -> str:
    """Return which calls a control policy may deny and where, or an empty text."""
    try:
        denied = [
            *list_denied(policy.document, tools.run_actions, _run_resources(tools)),
            *list_denied_calls(policy.document, _event_calls(tools)),
        ]
    except ValueError:
        return f"the SCP {policy.name} cannot be read"
    if not denied or not (targets := tools.hub.list_targets(policy.id)):
        return ""
    return f"the SCP {policy.name} may deny {some_of(denied, _NAMED)} in {some_of(list(targets.values()), _NAMED)}"


def _event_calls(tools: DoctorContext) -> list[RegionalCall]:
    """Return what has to be allowed in an account for its IAM events to come: making the rule, sending to the bus."""
    if tools.event_bus is None:
        return []
    in_account = f"arn:{tools.caller.partition}:{{}}:{{}}:{tools.caller.account_id}:{{}}".format
    region, path = describe_partition(tools.caller.partition).iam_region, tools.config.member_role.path
    deployer, sender = (in_account("iam", "", f"role{name}") for name in ("/stacksets-exec-0", f"{path}{EVENTS_ROLE}"))
    rule = in_account("events", region, "rule/orgmfa-iam-events")
    return [
        RegionalCall("events:PutRule", region, deployer, rule),
        RegionalCall("events:PutEvents", tools.region, sender, tools.event_bus),
    ]


def _run_resources(tools: DoctorContext) -> list[str]:
    """Return the ARNs of one resource of each kind that a run reads or writes."""
    roles, policy = tools.config.member_role, tools.config.policy
    ours = f"policy{policy.path}{policy.name}", f"group{policy.path}{policy.group}", f"role{roles.path}{roles.name}"
    return [f"arn:{tools.caller.partition}:iam::{tools.caller.account_id}:{one}" for one in ("user/somebody", *ours)]


def _check_locks(policies: Sequence[ControlPolicy], tools: DoctorContext) -> Iterator[Check]:
    """Yield a check for each attached SCP of ours: where it is, and where it differs. Raises AwsError."""
    locks = tuple(find_locks(policies, tools.hub))
    if not locks:
        yield fine(CheckName.LOCK, "no SCP of orgmfa policy --scp is attached")
    for lock in locks:
        told = f"the SCP {lock.name} blocks IAM users without MFA in {lock.where}; orgmfa release frees nobody from it"
        try:
            wanted = read_scp(render_scp(tools.config, tools.caller.partition, tools.now()).text)
            found = list_differences(read_scp(lock.document), wanted, tools.now())
        except (ValueError, ConfigError) as error:
            found = [f"it cannot be compared with the configuration: {error}"]
        if blocked := _list_released(lock, tools):
            found.append(f"released, and blocked all the same where it holds: {', '.join(blocked)}")
        if found:
            remedy = f"Put the SCP that orgmfa policy --scp prints in place of {lock.name}, or detach it (docs/scp.md)."
            yield problem(CheckName.LOCK, f"{told}; {'; '.join(found)}", remedy)
        else:
            yield fine(CheckName.LOCK, f"{told}; its exemptions are those of the configuration")


def _list_released(lock: Lock, tools: DoctorContext) -> list[str]:
    """Return the users of releases in force whom it does not spare, in accounts that it may reach."""
    try:
        released = tools.archive.released_until(tools.now())
    except ArchiveError:
        return []  # the check of the releases reports it
    return sorted(
        f"{release.user_name} ({account_id})"
        for (account_id, _), release in released.items()
        if (lock.ou_ids or account_id in lock.targets) and not lock.spares(release.user_name, account_id, tools.now())
    )
