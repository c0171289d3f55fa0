"""Runs in which something is not as it must be: for each check of the invariants, a doctor and the words it must draw.

A doctor takes a perfect run and spoils one thing of it, in the books, in the report or in what else the run left.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.model import Outcome, Stage, Status, Verdict, Via
from orchestrator.reports.report import AccountReport, ProblemReport
from tests.chaos.book import Entry, Fate, Page, Session
from tests.chaos.perfect import RUN_ID, Case
from tests.chaos.world import policy_arn
from tests.fake_slack import Message

Doctor = Callable[[Case], None]
_DENIED = ProblemReport(stage=Stage.ASSUME_ROLE, code="AccessDenied", message="no", remedy="mend it")
_DEFECT = _DENIED.model_copy(update={"remedy": "This is a defect of orgmfa"})
_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass(frozen=True, slots=True)
class Doctored:
    """What is spoilt, the invariant that it violates, and words of the violation."""

    name: str
    invariant: int
    words: str
    doctor: Doctor


def left(**changes: Any) -> Doctor:
    """Change what the run left."""

    def doctor(case: Case) -> None:
        case.evidence = replace(case.evidence, **changes)

    return doctor


def user(**changes: Any) -> Doctor:
    """Have the report say something else of a user who was enforced."""
    return lambda case: case.change_user(case.target, **changes)


def entries(action: str, **changes: Any) -> Doctor:
    """Have the books say something else of the calls of an action."""
    return lambda case: case.change_entries(action, lambda entry: replace(entry, **changes))


def no_entries(*actions: str) -> Doctor:
    """Take the calls of some actions out of the books."""

    def doctor(case: Case) -> None:
        case.book.entries[:] = [entry for entry in case.book.entries if entry.action not in actions]

    return doctor


def accounts(change: Callable[[list[AccountReport]], list[AccountReport]], **changes: Any) -> Doctor:
    """Have the report say something else of the accounts."""
    return lambda case: case.report(*change(case.accounts), **changes)


def call(action: str, **parameters: str) -> Doctor:
    """Have the run make one more call, which names somebody who was enforced."""
    return lambda case: case.enter(
        action, case.target.account_id, can_write=True, UserName=case.target.name, **parameters
    )


def write_to(kind: str) -> Doctor:
    """Have the run enforce, by the book, somebody of a kind."""

    def doctor(case: Case) -> None:
        person = next(person for person in case.world.people() if person.kind.name == kind)
        for look in ("GetPolicy", "GetPolicyVersion"):
            case.enter(look, person.account_id, can_write=True)
        names = {"UserName": person.name, "PolicyArn": policy_arn(person.account_id)}
        for action in ("ListMFADevices", "AttachUserPolicy"):
            case.enter(action, person.account_id, can_write=True, **names)

    return doctor


def limit(**limits: int) -> Doctor:
    """Have the world set another limit."""

    def doctor(case: Case) -> None:
        for name, most in limits.items():
            setattr(case.world, name, most)

    return doctor


def _set_stop(*, workers: int) -> Doctor:
    def doctor(case: Case) -> None:
        case.book.stop_set_at, case.world.workers = 1, workers

    return doctor


def _see_stop(case: Case) -> None:
    _set_stop(workers=1)(case)
    entries("ListAccounts", stops=True)(case)


def _attach_something_else(case: Case) -> None:
    case.change_entries("AttachUserPolicy", lambda entry: _naming(entry, PolicyArn=_ADMINISTRATOR))


def _naming(entry: Entry, **parameters: str) -> Entry:
    return replace(entry, call=replace(entry.call, parameters=entry.call.parameters | parameters))


def _exclude_the_account(case: Case) -> None:
    case.world.places[case.target.account_id].is_excluded = True


def _enrol_before_the_look(case: Case) -> None:
    case.change_entries("ListMFADevices", lambda entry: replace(entry, user=replace(_state(entry.user), devices=1)))


def _edit_before_the_look(case: Case) -> None:
    for action in ("GetPolicy", "ListAttachedGroupPolicies"):
        case.change_entries(
            action,
            lambda entry: replace(
                entry, policy=replace(_state(entry.policy), policy_is_ours=False, group_is_ours=False)
            ),
        )


def _state(state: Any) -> Any:
    assert state is not None
    return state


def _work_before_the_write(case: Case) -> None:
    place = next(place for place, entry in enumerate(case.book.entries) if entry.action == "AttachUserPolicy")
    write = case.book.entries[place]
    case.book.entries.insert(place, replace(write, call=replace(write.call, action="ListRoles", parameters={})))
    case.number()


def _end_before_the_writes(case: Case) -> None:
    case.book.ended_at[RUN_ID] = 1


def _fail_first(found: list[AccountReport], error: ProblemReport = _DENIED) -> list[AccountReport]:
    return [found[0].model_copy(update={"status": Status.FAILED, "error": error}), *found[1:]]


def _without_users(found: list[AccountReport]) -> list[AccountReport]:
    return [account.model_copy(update={"users": ()}) for account in found]


def _enforce_nobody(case: Case) -> None:
    ends = {key: replace(state, has_policy=False, in_group=False) for key, state in case.evidence.ends.items()}
    case.evidence = replace(case.evidence, ends=ends)


def _archive_another(case: Case) -> None:
    report = case.evidence.report
    case.report(*_without_users(case.accounts))
    case.evidence = replace(case.evidence, report=report)


def _be_a_lambda_that_lists_half(case: Case) -> None:
    case.report(*case.accounts, complete=False)
    case.evidence = replace(case.evidence, kind="lambda")


_READ_ONLY = Session(RUN_ID, "1", can_write=False)
_RELEASING = Session(RUN_ID, "1", can_write=True, role="orgmfa-release")

DOCTORED: tuple[Doctored, ...] = (
    Doctored("account twice", 1, "more than once", accounts(lambda found: [*found, found[0]])),
    Doctored("account invented", 1, "never listed", entries("ListAccounts", fate=Fate.LOST)),
    Doctored("account lost", 1, "listed and not in the report", accounts(lambda found: found[1:])),
    Doctored("page lost", 1, "the last page never arrived", entries("ListAccounts", page=Page(has_more=True))),
    Doctored("called incomplete", 1, "though all pages arrived", accounts(list, complete=False)),
    Doctored("break not said", 1, "no error says so", accounts(list, complete=False)),
    Doctored("user not counted", 1, "totals do not add up", accounts(list, totals=None)),
    Doctored("users lost", 1, "users are missing", accounts(_without_users)),
    Doctored("users not read", 1, "users were never read", no_entries("GetAccountAuthorizationDetails")),
    Doctored("device invented", 1, "without a device", user(verdict=Verdict.COMPLIANT)),
    Doctored("session that reads", 2, "may not write", entries("AttachUserPolicy", session=_READ_ONLY)),
    Doctored("session that releases", 2, "may not write", entries("AttachUserPolicy", session=_RELEASING)),
    Doctored("another policy", 2, f"attaches {_ADMINISTRATOR}", _attach_something_else),
    Doctored("another group", 2, "joins the group admins", call("AddUserToGroup", GroupName="admins")),
    Doctored("another write", 2, "is no write that enforcing makes", call("PutUserPolicy")),
    Doctored("somebody with MFA", 2, "is to be left alone", write_to("fido")),
    Doctored("somebody exempt", 2, "is to be left alone", write_to("exempt")),
    Doctored("somebody in grace", 2, "is to be left alone", write_to("fresh")),
    Doctored("somebody out of scope", 2, "is to be left alone", write_to("robot")),
    Doctored("the caller", 2, "is to be left alone", write_to("caller")),
    Doctored("account left out", 2, "not to be entered", _exclude_the_account),
    Doctored("no look at devices", 2, "nobody looked at the user's devices", no_entries("ListMFADevices")),
    Doctored("look not answered", 2, "nobody looked", entries("ListMFADevices", fate=Fate.LOST)),
    Doctored("look not heeded", 2, "had an MFA device", _enrol_before_the_look),
    Doctored("look long ago", 2, "between the look at the user and the write", _work_before_the_write),
    Doctored("no look at the policy", 2, "the policy was not ours", no_entries("GetPolicyVersion")),
    Doctored("policy edited", 2, "the policy was not ours", _edit_before_the_look),
    Doctored("no look at the group", 2, "the group was not ours", no_entries("ListAttachedGroupPolicies")),
    Doctored("group widened", 2, "the group was not ours", _edit_before_the_look),
    Doctored("stop switch set", 2, "after the stop switch was set", _set_stop(workers=1)),
    Doctored("stop switch seen", 2, "that did not say go", _see_stop),
    Doctored("limit of a run", 2, "the limit of a run is 1", limit(most_per_run=1)),
    Doctored("limit of an account", 2, "the limit of an account is 1", limit(most_per_account=1)),
    Doctored("write after the end", 3, "written after the run was over", _end_before_the_writes),
    Doctored("write not told", 3, "the user is planned", user(outcome=Outcome.PLANNED)),
    Doctored("write told as failed", 3, "the user is failed", user(outcome=Outcome.FAILED)),
    Doctored("another way", 3, "written via user", user(via=Via.GROUP)),
    Doctored("write invented", 3, "nothing was written", no_entries("AttachUserPolicy")),
    Doctored("refused", 3, "nothing was written", entries("AttachUserPolicy", status=0, fate=Fate.REFUSED)),
    Doctored("user left out", 3, "the user is left out", accounts(_without_users)),
    Doctored("writes and no report", 3, "exit code 0 and no report", left(report=None, archived=None)),
    Doctored("no report", 5, "exit code 0 without a report", left(report=None, archived=None)),
    Doctored("traceback", 5, "what must not happen", left(defect="Traceback")),
    Doctored("session token", 5, "a secret was put out", left(said="... chaos-secret-token-of-AKIA ...")),
    Doctored("webhook", 5, "a secret was put out", left(said="https://hooks/abc", secret_texts=("abc",))),
    Doctored("failure hidden", 5, "the report says 1", accounts(_fail_first)),
    Doctored("hold hidden", 5, "the report says 1", user(outcome=Outcome.HELD)),
    Doctored("false alarm", 5, "the report says 0", left(code=1)),
    Doctored("nothing done", 5, "is not enforced", _enforce_nobody),
    Doctored("two digests", 5, "2 digests", left(messages=(Message(None, "a"), Message(None, "b")))),
    Doctored("no digest", 5, "no digest arrived", left(messages=())),
    Doctored("digest silent", 5, "does not name the failed accounts", accounts(_fail_first)),
    Doctored("not archived", 5, "not in the archive", left(archived=None)),
    Doctored("archive differs", 5, "tells another story", _archive_another),
    Doctored("defect", 5, "ended in a defect", accounts(lambda found: _fail_first(found, _DEFECT))),
    Doctored("invocation", 5, "the invocation returned a result", _be_a_lambda_that_lists_half),
)
