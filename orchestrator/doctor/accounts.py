"""Checks of one account: entering it, reading it, the policy, the group and the roles that the StackSet made there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from orchestrator.doctor.deployment import EVENTS_ROLE
from orchestrator.doctor.ports import DoctorContext
from orchestrator.doctor.report import Check, CheckName, fine, problem, unknown
from orchestrator.domain import errors, member_roles
from orchestrator.domain.member_roles import DeployedRole, RoleSettings, Trusted, default_trusted, list_differences
from orchestrator.domain.model import Access, Account, Mode, Organization, PolicyState, Stage
from orchestrator.domain.planning import policy_not_ours, without_deployment
from orchestrator.domain.remedies import UPDATE_STACKSET, explain_account_error

_DEPLOY = "Have the StackSet deploy this version's member_role/template.yaml there"
_SWITCH_ON = "Where it is to enforce: orgmfa deploy --parameter Enforcement=on. Else set enforcement.mode: plan."
_SEND = (
    "Have the StackSet of member_role/events.yaml deploy it there; in the management account, a stack of "
    "stackset/management.yaml with IamEvents=on (docs/deploy.md)."
)
_REMEDIES = {
    PolicyState.MISSING: f"{_DEPLOY}.",
    PolicyState.OUTDATED: UPDATE_STACKSET,
    PolicyState.DRIFTED: "Have the StackSet make it anew, or choose a free name (policy.name, policy.group). "
    "policy.access_keys must say what the StackSet's AccessKeys says.",
}
_HOPELESS = (errors.DeniedByScp, errors.LocalFault, errors.NoCredentials, errors.Throttled, errors.Unavailable)
"""Errors that every further call to the account would raise too, so that one check reports them."""


@dataclass(frozen=True, slots=True)
class CheckedAccount:
    """The checks of one account, its alias, and the names of its users: None where they were not read."""

    checks: Sequence[Check]
    alias: str | None = None
    user_names: Sequence[str] | None = None


def check_account(account: Account, organization: Organization, tools: DoctorContext) -> CheckedAccount:
    """Return the checks of one account; it is read with a session that cannot write."""
    visit = _Visit(account, organization, tools)
    role = tools.config.member_role.name
    try:
        with tools.sessions.enter(account.id, Access.INSPECT):
            checks = visit.look_inside()
    except errors.AwsError as error:
        checks = [visit.failed(CheckName.MEMBER_ROLE, error, role)]
    else:
        entered = fine(CheckName.MEMBER_ROLE, f"{role} can be assumed, with a session that cannot write")
        checks = [entered, *checks]
        if not tools.config.member_role.is_borrowed:
            checks.append(visit.check_release_role())
    return CheckedAccount(checks, visit.alias, visit.user_names)


def _judge_sender(role: DeployedRole | None, bus: str) -> Check:
    """Return whether the account can send its IAM events; the rule itself can be read by nobody outside of it."""
    name = CheckName.EVENTS_ROLE
    if role is None:
        return unknown(name, f"the account has no role {EVENTS_ROLE}, so it sends no IAM events", _SEND)
    if repr(bus) not in str(role.policies):
        return unknown(name, f"{EVENTS_ROLE} may not send IAM events to {bus}", _SEND)
    return fine(name, f"{EVENTS_ROLE} may send IAM events to the bus")


@dataclass(slots=True)
class _Visit:
    """The checks of one account, and what they find out for later ones: its alias, its users, whom its roles trust."""

    account: Account
    organization: Organization
    tools: DoctorContext
    trusted: Trusted = field(default_factory=default_trusted)
    alias: str | None = None
    user_names: Sequence[str] | None = None

    def failed(self, name: CheckName, error: errors.AwsError, role_name: str) -> Check:
        """Return the check that reports an error of AWS."""
        at, is_borrowed = self.organization, self.tools.config.member_role.is_borrowed
        told = explain_account_error(
            error, Stage.INSPECT, self.account, organization=at, role_name=role_name, is_borrowed=is_borrowed
        )
        return problem(name, f"{told.message} ({told.code})", told.remedy)

    def look_inside(self) -> list[Check]:
        """Return the checks made inside the account; an error of AWS becomes one of them."""
        found: list[Check] = []
        steps = {CheckName.READS: self._check_reads, CheckName.POLICY: self._check_policy_and_group}
        if not self.tools.config.member_role.is_borrowed:  # else the roles of orgmfa are not deployed yet
            steps[CheckName.ROLE_POLICIES] = self._check_roles
        for name, step in steps.items():
            try:
                found += step()
            except errors.AwsError as error:
                found.append(self.failed(name, error, self.tools.config.member_role.name))
                if isinstance(error, _HOPELESS):
                    break
        return found

    def _check_reads(self) -> Iterator[Check]:
        self.alias = self.tools.member.get_alias()
        has_entries = self.tools.config.exemptions or self.tools.config.protected_users
        self.user_names = self.tools.member.list_user_names() if has_entries else ()
        yield fine(CheckName.READS, "reading the account works")

    def _check_policy_and_group(self) -> Iterator[Check]:
        seen = self.tools.policies.look(self.account.id, group=True)
        if self.tools.config.member_role.is_borrowed:
            seen = without_deployment(seen)
        yield self._judge(CheckName.POLICY, seen.policy_arn, seen.policy)
        yield self._judge(CheckName.GROUP, seen.group_name, seen.group)

    def _judge(self, name: CheckName, what: str, state: PolicyState) -> Check:
        if state is PolicyState.OURS:
            return fine(name, f"{what} is as orgmfa made it")
        if state is PolicyState.NOT_DEPLOYED:
            return fine(name, f"{what} is not deployed")
        if self.tools.config.policy.managed_by == "orchestrator" and state is not PolicyState.DRIFTED:
            return fine(name, f"{what} is made or updated by the next apply that needs it")
        return problem(name, policy_not_ours(name.value, what, state).message, _REMEDIES[state])

    def _check_roles(self) -> Iterator[Check]:
        config, caller = self.tools.config, self.tools.caller
        names = config.member_role
        settings = RoleSettings(
            config=config,
            partition=caller.partition,
            account_id=self.account.id,
            organization_id=self.organization.id,
            security_account_id=caller.account_id,
        )
        sender = (EVENTS_ROLE,) if self.tools.event_bus else ()
        deployed = self.tools.member.get_roles((names.name, names.release_name, *sender))
        if self.tools.event_bus:
            yield _judge_sender(deployed.get(EVENTS_ROLE), self.tools.event_bus)
        if missing := [name for name in (names.name, names.release_name) if name not in deployed]:
            message = f"the account has no role {' and no role '.join(missing)}"
            yield problem(CheckName.ROLE_POLICIES, message, f"{_DEPLOY}.")
            return
        member, release = deployed[names.name], deployed[names.release_name]
        self.trusted = member_roles.read_trusted(member, release, settings)
        yield self._compare(member, release, settings)

    def _compare(self, member: DeployedRole, release: DeployedRole, settings: RoleSettings) -> Check:
        name = CheckName.ROLE_POLICIES
        render = partial(member_roles.render_role, settings=settings, trusted=self.trusted)
        of_release = list_differences(release, render(member_roles.RELEASE_ROLE))
        differences = (*list_differences(member, render(member_roles.MEMBER_ROLE)), *of_release)
        is_off = not list_differences(member, render(member_roles.MEMBER_ROLE, enforcement="off"))
        if is_off and not of_release:
            message = f"{member.name} can only read (Enforcement=off of the StackSet)"
            is_to_enforce = self.tools.config.enforcement.mode is Mode.APPLY
            return problem(name, message, _SWITCH_ON) if is_to_enforce else fine(name, message)
        if differences:
            remedy = f"{_DEPLOY}. What the template does not give a role was added by somebody: find out by whom."
            return problem(name, "; ".join(differences), remedy)
        usual = default_trusted()
        known = {usual.orchestrator, usual.operator, self._my_role()}
        if strange := sorted({self.trusted.orchestrator, self.trusted.operator} - known):
            message = f"as the template makes them, trusting {' and '.join(strange)} of this account"
            remedy = "Check that these are OrchestratorRoleName and OperatorRoleName of the StackSet."
            return unknown(name, message, remedy)
        return fine(name, f"{member.name} and {release.name} are as the template makes them")

    def check_release_role(self) -> Check:
        """Return whether this caller may release: the role is assumed, and nothing is done with it."""
        name, role, me = CheckName.RELEASE_ROLE, self.tools.config.member_role.release_name, self._my_role()
        operator = self.trusted.operator
        try:
            with self.tools.sessions.enter(self.account.id, Access.RELEASE):
                pass
        except errors.AssumeRoleDenied as error:
            if me == operator:
                return self.failed(name, error, role)
            message = f"this caller may not assume {role}, as only {operator} may"
            return unknown(name, message, f"To know whether releasing works, run doctor as {operator}.")
        except errors.AwsError as error:
            return self.failed(name, error, role)
        if me == self.trusted.orchestrator != operator:
            message = f"{me} may assume {role}: whoever takes over the Lambda could undo enforcement"
            return problem(name, message, f"{_DEPLOY}: it lets the operator's role alone release.")
        return fine(name, f"{role} can be assumed: this caller may release")

    def _my_role(self) -> str:
        """Return the name of the caller's role, or an empty text where the caller is no role."""
        kind, _, rest = self.tools.caller.arn.rpartition(":")[2].partition("/")
        return rest.partition("/")[0] if kind == "assumed-role" else ""
