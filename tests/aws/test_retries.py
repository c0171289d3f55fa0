"""What is tried again, how often, and that one account's retries cost the others nothing."""

import random
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from tenacity import wait_fixed

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import MAX_ATTEMPTS, QUOTA, Retrier, retry_budget
from orchestrator.aws.sessions import MemberSessions
from orchestrator.concurrency.cancellation import Cancellation, repeated_while
from orchestrator.domain.config import MemberRoleConfig
from orchestrator.domain.errors import (
    AccessDenied,
    AwsError,
    Garbled,
    Malformed,
    NotFound,
    NotReady,
    Throttled,
    Unavailable,
    Unreachable,
)
from orchestrator.domain.model import Access
from tests.aws_server import Answer, AwsServer, Call, xml_error


class Flaky:
    """A client's method that fails so many times before it answers; `None` fails for ever."""

    def __init__(self, failures: int | None, error: Exception) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures is None or self.calls <= self.failures:
            raise self.error
        return "answer"


def client_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "ListUsers")


def make_retrier() -> tuple[Retrier, list[float]]:
    slept: list[float] = []
    return Retrier(Cancellation(), sleep=slept.append), slept


@pytest.mark.parametrize(
    "error",
    [
        client_error("Throttling"),
        client_error("TooManyRequestsException"),
        client_error("ServiceUnavailable", 503),
        client_error("SomethingNew", 500),
        ConnectTimeoutError(endpoint_url="https://iam"),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    retrier, slept = make_retrier()
    method = Flaky(5, error)

    assert retrier.call(method) == "answer"
    assert method.calls == 6
    assert len(slept) == 5
    assert all(0 <= seconds <= 20 for seconds in slept)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(client_error("AccessDenied", 403), AccessDenied), (client_error("ValidationError"), AwsError)],
)
def test_what_will_not_pass_is_not_tried_again(error: Exception, kind: type[AwsError]) -> None:
    retrier, _ = make_retrier()
    method = Flaky(None, error)

    with pytest.raises(kind):
        retrier.call(method)

    assert method.calls == 1


def test_tries_come_to_an_end() -> None:
    retrier, _ = make_retrier()
    method = Flaky(None, client_error("Throttling"))

    with pytest.raises(Throttled):
        retrier.call(method)

    assert method.calls == MAX_ATTEMPTS


def test_interruption_ends_the_tries() -> None:
    cancellation = Cancellation()
    cancellation.event.set()
    method = Flaky(None, client_error("Throttling"))

    with pytest.raises(Throttled):
        Retrier(cancellation).call(method)

    assert method.calls == 1


def test_quota_of_an_account_bounds_its_retries() -> None:
    retrier, slept = make_retrier()
    dead = Flaky(None, client_error("InternalFailure", 500))

    with retry_budget():
        for _ in range(100):
            with pytest.raises(Unavailable):
                retrier.call(dead)

    assert len(slept) == QUOTA
    assert dead.calls == QUOTA + 100


def test_answered_calls_give_retries_back() -> None:
    retrier, slept = make_retrier()

    with retry_budget():
        for _ in range(QUOTA * 2):
            assert retrier.call(Flaky(1, client_error("Throttling"))) == "answer"

    assert len(slept) == QUOTA * 2


def test_each_account_has_a_quota_of_its_own() -> None:
    retrier, _ = make_retrier()
    with retry_budget():
        for _ in range(100):
            with pytest.raises(Unavailable):
                retrier.call(Flaky(None, client_error("InternalFailure", 500)))

    with retry_budget():
        assert retrier.call(Flaky(5, client_error("Throttling"))) == "answer"


def test_unreachable_endpoint_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def sleep(seconds: float) -> None:
        clock[0] += seconds + 5

    retrier = Retrier(Cancellation(), sleep=sleep)
    method = Flaky(None, ConnectTimeoutError(endpoint_url="https://iam"))

    with pytest.raises(Unreachable):
        retrier.call(method)

    assert 2 <= method.calls <= 4


def test_time_that_the_first_try_took_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tries = [0.0], iter((16.0, 1.0, 1.0, 1.0))
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    method = Flaky(None, ConnectTimeoutError(endpoint_url="https://iam"))

    def slow() -> str:
        clock[0] += next(tries)
        return method()

    with pytest.raises(Unreachable):
        make_retrier()[0].call(slow)

    assert method.calls == 2


def test_answer_cut_short_is_tried_again_and_never_repeated_in_an_error(aws: AwsServer) -> None:
    aws.faults.append(lambda call: Answer(200, "<AssumeRoleResponse><SecretAccessKey>hidden"))
    retrier, slept = make_retrier()

    with pytest.raises(Garbled) as caught:
        retrier.call(make_clients(connections=1).sts.get_caller_identity)

    assert len(slept) == MAX_ATTEMPTS - 1
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_throttling_of_one_account_costs_the_others_nothing(aws: AwsServer) -> None:
    """35 % of one account's calls are throttled; every call of every account is answered, others on the first try."""
    throttled, others = "100000000001", [f"{number:012}" for number in range(100000000002, 100000000010)]
    dice = random.Random(7)  # noqa: S311 - no secret

    def throttle(call: Call) -> Answer | None:
        if call.account_id == throttled and call.service == "iam" and dice.random() < 0.35:
            return xml_error("Throttling", "Rate exceeded")
        return None

    aws.faults.append(throttle)
    clients = make_clients(connections=16)
    retrier, slept = make_retrier()
    names = MemberRoleConfig()
    sessions = MemberSessions(
        clients, retrier, partition="aws", roles=names, session_name="orgmfa-run", now=lambda: datetime.now(UTC)
    )
    iam, _ = clients.iam, clients.sts

    def work(account_id: str) -> int:
        with sessions.enter(account_id, Access.INSPECT):
            return sum("Users" in retrier.call(iam.list_users) for _ in range(40))

    with ThreadPoolExecutor(9) as pool:
        answered = list(pool.map(lambda account_id: copy_context().run(work, account_id), [throttled, *others]))

    assert answered == [40] * 9
    calls = [call.account_id for call in aws.calls if call.action == "ListUsers"]
    assert all(calls.count(account_id) == 40 for account_id in others)
    assert calls.count(throttled) == 40 + len(slept) > 45


def test_botocore_itself_retries_nothing(aws: AwsServer) -> None:
    aws.faults.append(lambda call: xml_error("Throttling"))

    with pytest.raises(ClientError):
        make_clients(connections=1).sts.get_caller_identity()

    assert len(aws.calls) == 1


@pytest.mark.parametrize("ends_in", ["the call", "the wait"])
def test_call_that_may_not_be_repeated_any_more_is_not(ends_in: str) -> None:
    may: list[bool] = [True]
    method = Flaky(None, client_error("Throttling"))

    def end(_: float) -> None:
        if method.calls == 3:
            may.clear()

    def call() -> str:
        if ends_in == "the call" and method.calls == 2:
            may.clear()
        return method()

    with repeated_while(lambda: bool(may)), pytest.raises(Throttled):
        Retrier(Cancellation(), sleep=end).call(call)

    assert method.calls == 3


def test_entries_of_all_pages_come_as_one_and_each_page_when_it_is_needed() -> None:
    pages: dict[str, dict[str, Any]] = {
        "": {"Users": ["a"], "NextToken": "b"},
        "b": {"Users": [], "NextToken": "c"},
        "c": {"Users": ["d"]},
    }
    asked: list[str] = []

    def list_users(NextToken: str = "") -> dict[str, Any]:  # noqa: N803 - the parameter of AWS
        asked.append(NextToken)
        return pages[NextToken]

    entries = make_retrier()[0].entries(list_users, "Users")

    assert (next(entries), asked) == ("a", [""])
    assert (list(entries), asked) == (["d"], ["", "b", "c"])


def test_page_that_lacks_its_entries_is_malformed_and_not_empty() -> None:
    def list_users() -> dict[str, Any]:
        return {"IsTruncated": False}

    with pytest.raises(Malformed, match="list_users lacks Users"):
        list(make_retrier()[0].entries(list_users, "Users"))


def test_call_is_repeated_while_it_raises_what_is_named_and_time_is_left() -> None:
    retrier, slept = make_retrier()
    method = Flaky(2, NotReady("not yet", code="ReportInProgress"))
    never = Flaky(None, NotReady("not yet", code="ReportInProgress"))

    assert retrier.repeat_while(NotReady, seconds=60, wait=wait_fixed(5))(method) == "answer"
    assert slept == [5, 5]
    with pytest.raises(NotReady):
        retrier.repeat_while(NotReady, seconds=0, wait=wait_fixed(5))(never)
    with pytest.raises(NotReady):
        retrier.repeat_while(NotFound, seconds=60, wait=wait_fixed(5))(never)
    assert never.calls == 2
