"""The queue of IAM events: its messages, whom each rightly names, and invocations of the function with batches."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import structlog

from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.run import lambda_handler
from tests.chaos.daily_runs import DailyRuns, read_daily_runs
from tests.chaos.driving import FakeContext, Stage, logged, take, wait_for_threads
from tests.chaos.evidence import Evidence, FolderArchive, archived_report, archived_texts, told
from tests.chaos.happenings import crossed
from tests.chaos.world import Person, policy_arn
from tests.iam_event_samples import by_user, iam_event, queue_batch, undone

FUNCTION_SECONDS = 120.0
ELSEWHERE = "444455556666"
"""An account that is none of the organization."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One message; `account_id` and `user` are what it rightly names, None where there is nothing to look at."""

    body: dict[str, Any] | str
    account_id: str | None = None
    user: str | None = None


def sign_in(rng: Random, person: Person) -> Mail:
    """Return an event after which somebody could sign in without MFA, in one of the shapes in which AWS names users."""
    account_id, name = person.account_id, person.name
    events = (
        iam_event(account_id, "CreateLoginProfile", user=name),
        iam_event(account_id, "CreateUser", user=name, responseElements={"user": {"userName": name}}),
        iam_event(account_id, "UpdateUser", requestParameters={"userName": "before", "newUserName": name}),
        iam_event(account_id, "DeactivateMFADevice", requestParameters=None, **by_user(name, account_id)),
        iam_event(
            account_id, "CreateAccessKey", requestParameters=None, responseElements={"accessKey": {"userName": name}}
        ),
    )
    return Mail(rng.choice(events), account_id, name)


def undo(person: Person) -> Mail:
    """Return the event of EnforceMFA being taken from somebody."""
    return Mail(undone(person.account_id, person.name), person.account_id, person.name)


def enrolled(person: Person) -> Mail:
    """Return the event of somebody's new device, which writes to nobody."""
    return Mail(iam_event(person.account_id, "EnableMFADevice", user=person.name), person.account_id)


def policy_changed(account_id: str) -> Mail:
    """Return an event on the policy of an account, which writes to nobody."""
    asked = {"policyArn": policy_arn(account_id)}
    return Mail(iam_event(account_id, "CreatePolicyVersion", requestParameters=asked), account_id)


def forged(rng: Random, person: Person, other: str) -> Mail:
    """Return a message that cannot be ours: one account sent it and it tells of another, or it is no event of IAM."""
    account_id, name, event = person.account_id, person.name, "CreateLoginProfile"
    bodies = (
        iam_event(account_id, event, user=name, recipientAccountId=other),
        iam_event(account_id, event, user=name, userIdentity={"type": "Root", "accountId": other}),
        iam_event(account_id, event, user=name, recipientAccountId={"12": 1}),
        iam_event(account_id, event, user=name) | {"source": "aws.iam.example"},
        iam_event(account_id, event, user=name) | {"account": None},
        "{",
    )
    return Mail(rng.choice(bodies))


def from_elsewhere(person: Person) -> Mail:
    """Return an event of an account that is none of the organization, about a user of this name."""
    return Mail(iam_event(ELSEWHERE, "CreateLoginProfile", user=person.name))


def deliver(stage: Stage, *mails: Mail) -> Evidence:
    """Hand a batch to the function and return what its run left, with what the archive told before and after it."""
    logs, before = io.StringIO(), look_at_daily_runs(stage)
    messages = len(stage.slack.messages) if stage.slack else 0
    with logged(logs, as_json=True):
        evidence = hand_over(stage, mails)
    wait_for_threads()
    digests = stage.slack.messages[messages:] if stage.slack else []
    words = [text for message in digests for text in (message.text, *message.texts)]
    return replace(
        evidence,
        said="\n".join([evidence.said, logs.getvalue(), *words]),
        messages=tuple(digests),
        daily=(before, look_at_daily_runs(stage)),
    )


def hand_over(stage: Stage, mails: Iterable[Mail]) -> Evidence:
    """Hand a batch to the function, warm, and return what its run left; other runs can be under way."""
    mails, since = tuple(mails), len(stage.server.book.entries)
    invocation._warm["hub"] = stage.make_hub()
    outcome = take(lambda: lambda_handler(queue_batch(*(mail.body for mail in mails)), FakeContext(FUNCTION_SECONDS)))
    run_id = str(structlog.contextvars.get_contextvars().get("run_id", ""))
    stage.server.book.end(run_id)
    accounts = {mail.account_id for mail in mails if mail.account_id is not None}
    came_back = len(mails) if outcome.result is None else len(outcome.result["batchItemFailures"])
    return Evidence(
        kind="lambda",
        run_id=run_id,
        since=since,
        until=len(stage.server.book.entries),
        code=outcome.code,
        archived=archived_report(stage.archive, run_id),
        asked=frozenset(accounts),
        named=frozenset((mail.account_id, mail.user) for mail in mails if mail.account_id and mail.user),
        came_back=came_back,
        ends=stage.world.states(),
        said="\n".join([told(outcome.error), str(outcome.result), archived_texts(stage.archive)]),
        secret_texts=stage.slack.secret_texts if stage.slack else (),
        defect=outcome.defect,
    )


def look_at_daily_runs(stage: Stage) -> DailyRuns:
    """Return what the archive tells of daily runs, where it is in a folder."""
    folder = stage.archive.path if isinstance(stage.archive, FolderArchive) else stage.folder
    with logged(io.StringIO(), as_json=True):
        return read_daily_runs(folder, stage.world.organization_id)


def meet(stage: Stage, first: Callable[[], Evidence], *, second: Callable[[], Evidence], call: int) -> list[Evidence]:
    """Return what two runs left, the second of which starts at this call of the first; one where there are fewer calls.

    Whose digest and whose log is whose cannot be told while both are under way.
    """
    logs = io.StringIO()
    with logged(logs, as_json=True):
        ended, others = crossed(stage.server, first, second=second, call=call)
    said = logs.getvalue()
    return [replace(one, said=f"{one.said}\n{said}", messages=(), wants_digest=False) for one in (ended, *others)]
