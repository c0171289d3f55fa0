"""A run in which nothing goes wrong, as it stands in books, report and Slack: what tests of the invariants doctor."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.domain.model import Mode, Via
from orchestrator.reports.build import count_totals
from orchestrator.reports.report import AccountReport, UserReport
from tests.aws_server import MANAGEMENT, AwsServer, Call
from tests.builders import make_run_report, make_seen, make_seen_account
from tests.chaos.book import Book, Entry, Page, Session
from tests.chaos.evidence import Evidence
from tests.chaos.world import POLICY, Person, World, backend, build_world, policy_arn
from tests.fake_slack import Message

RUN_ID = "run-1"


@dataclass
class Case:
    """A run, to be doctored and then judged."""

    world: World
    book: Book = field(default_factory=Book)
    evidence: Evidence = field(default_factory=lambda: Evidence(kind="run", code=0))

    def enter(self, action: str, account_id: str, *, can_write: bool = False, **parameters: str) -> None:
        """Write a call of the run into the books, as one that AWS answered."""
        world, user = self.world, parameters.get("UserName")
        session = Session(RUN_ID, account_id, can_write)
        entry = Entry(
            number=len(self.book.entries),
            call=Call("iam", action, account_id, parameters, "AKIA"),
            session=session,
            user=world.user_state(account_id, user) if user else None,
            policy=world.policy_state(account_id),
        )
        self.book.entries.append(entry)

    def change_entries(self, action: str, change: Callable[[Entry], Entry]) -> None:
        """Change every entry of an action."""
        self.book.entries[:] = [change(entry) if entry.action == action else entry for entry in self.book.entries]

    def number(self) -> None:
        """Number the entries anew."""
        self.book.entries[:] = [replace(entry, number=number) for number, entry in enumerate(self.book.entries)]

    def report(self, *accounts: AccountReport, **changes: Any) -> None:
        """Have the run report these accounts."""
        if "totals" in changes:  # of a run over nothing
            changes["totals"] = count_totals(())
        report = make_run_report(*accounts, **({"run_id": RUN_ID} | changes))
        self.evidence = replace(self.evidence, report=report, archived=report)

    @property
    def accounts(self) -> list[AccountReport]:
        """The accounts of the report."""
        assert self.evidence.report is not None
        return list(self.evidence.report.accounts)

    def change_user(self, person: Person, **changes: Any) -> None:
        """Have the report say something else of a user."""
        self.report(*(_change(account, person, changes) for account in self.accounts))

    def change_account(self, person: Person, **changes: Any) -> None:
        """Have the report say something else of a user's account."""
        accounts = self.accounts
        self.report(*(one.model_copy(update=changes) if one.id == person.account_id else one for one in accounts))

    @property
    def target(self) -> Person:
        """Somebody whom the run enforced by attaching the policy."""
        return next(person for person in self.world.people() if person.kind.wanted == "user")


def make_case() -> Case:
    """Return a run that enforced everybody it should, looked before each write, and told of it."""
    case = Case(build_world(AwsServer(), "perfect", with_cases=False))
    page = Page(tuple(case.world.places))
    listing = Call("organizations", "ListAccounts", MANAGEMENT, {}, "AKIA")
    case.book.entries.append(Entry(number=0, call=listing, page=page))
    for account_id in case.world.places:
        case.enter("GetAccountAuthorizationDetails", account_id)
    for person in case.world.people():
        if person.kind.wanted:
            _enforce(case, person)
    case.report(*_accounts(case.world))
    case.book.end(RUN_ID)
    message = Message(None, "all is well")
    case.evidence = replace(
        case.evidence,
        run_id=RUN_ID,
        mode=Mode.APPLY,
        until=len(case.book.entries),
        ends=case.world.states(),
        wants_digest=True,
        messages=(message,),
    )
    return case


def _enforce(case: Case, person: Person) -> None:
    account_id, user = person.account_id, {"UserName": person.name}
    for look in ("GetPolicy", "GetPolicyVersion", "ListAttachedGroupPolicies"):
        case.enter(look, account_id, can_write=True)
    case.enter("ListMFADevices", account_id, can_write=True, **user)
    if person.kind.wanted == "user":
        case.enter("AttachUserPolicy", account_id, can_write=True, PolicyArn=policy_arn(account_id), **user)
        backend(account_id).attach_user_policy(policy_arn(account_id), person.name)
    else:
        case.enter("AddUserToGroup", account_id, can_write=True, GroupName=POLICY, **user)
        backend(account_id).add_user_to_group(POLICY, person.name)
    case.enter("GetPolicy", account_id, can_write=True)


def _accounts(world: World) -> Iterator[AccountReport]:
    for place in world.places.values():
        yield make_seen_account(*map(_user, place.people), account_id=place.id, name=place.name)


def _user(person: Person) -> UserReport:
    if person.kind.device:
        return make_seen(person.name, "none")
    if person.kind.wanted:
        return make_seen(person.name, "enforced", via=Via(person.kind.wanted))
    return make_seen(person.name, "already_enforced" if person.kind.enforced else "exempt")


def _change(account: AccountReport, person: Person, changes: dict[str, Any]) -> AccountReport:
    if account.id != person.account_id:
        return account
    users = tuple(user.model_copy(update=changes) if user.name == person.name else user for user in account.users)
    return account.model_copy(update={"users": users})
