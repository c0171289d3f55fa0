"""Retry policy for calls to AWS: what is retried, how often, how long apart. Paging of list calls.

botocore's own retries are off: in standard mode their quota belongs to the client, and with one client for all
accounts a single throttled account would use up the retries of all others. Here each account has a quota of its own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, ParamSpec, TypeVar

import tenacity

from orchestrator.aws.errors import require, translated
from orchestrator.concurrency.cancellation import Cancellation, may_repeat
from orchestrator.concurrency.work_sharing import AdaptiveLimit
from orchestrator.domain.errors import AwsError, Malformed, NoCredentials, Throttled, Unavailable, Unreachable

P = ParamSpec("P")
R = TypeVar("R")

MAX_ATTEMPTS = 12
"""Attempts of one call; at 60 % throttling 12 attempts leave 2 calls in 1,000 unanswered, each still reported."""
FIRST_WAIT_SECONDS = 0.1
"""Longest wait before the second attempt; it doubles each time. One throttled call must not block a worker for long."""
MAX_WAIT_SECONDS = 20.0
UNREACHABLE_SECONDS = 15.0
"""How long a call to an endpoint that does not answer at all is retried: an operator waits for the reason."""
QUOTA = 500
REFUND = 2


class RetryBudget:
    """Retry quota of one account, shared by its calls, with its concurrency limit and how to renew its credentials.

    An answered call gives a few retries back. Used by the threads of one account; a lost update costs only a retry.
    """

    def __init__(self, renew: Callable[[], None] | None = None) -> None:
        """Start with a full quota; `renew` is called when AWS rejects the credentials."""
        self.renew = renew
        self.limit = AdaptiveLimit()
        self._left = QUOTA

    def take(self) -> bool:
        """Take one retry from the quota, and return whether there was one left."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Put back the retries that an answered call earns, up to the full quota."""
        self._left = min(QUOTA, self._left + REFUND)
        self.limit.on_success()


_retries: ContextVar[RetryBudget | None] = ContextVar("account_retries", default=None)


@contextmanager
def retry_budget(renew: Callable[[], None] | None = None) -> Iterator[AdaptiveLimit]:
    """Context manager: calls inside have a retry quota of their own. Yields their limit, which falls by throttling."""
    retries = RetryBudget(renew)
    token = _retries.set(retries)
    try:
        yield retries.limit
    finally:
        _retries.reset(token)


class Retrier:
    """Makes calls to AWS, translates their errors, and retries those that may succeed later, until cancellation.

    `calls` and `throttles` count all attempts and the throttled ones: threads may lose a count, never a call.
    """

    def __init__(self, cancellation: Cancellation, sleep: Callable[[float], None] | None = None) -> None:
        """Take the cancellation that ends all waiting, and optionally another way to sleep (tests)."""
        self.cancellation = cancellation
        self._sleep = sleep or tenacity.sleep_using_event(cancellation.event)
        self.calls = 0
        self.throttles = 0

    def call(self, method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a client's method. Raises AwsError when the attempts or the quota are used up."""
        retries, began_at = _retries.get() or RetryBudget(), time.monotonic()
        try:
            return self._try(retries, partial(method, *args, **kwargs))
        except AwsError as error:
            first = error
        for attempt in self._attempts(retries):
            with attempt:
                if attempt.retry_state.attempt_number == 1:  # made above: most calls need only that one
                    attempt.retry_state.start_time = began_at
                    raise first
                if not may_repeat():  # the wait was long
                    raise first
                return self._try(retries, partial(method, *args, **kwargs))
        raise AssertionError  # not reached: tenacity raises the last error

    def pages(self, method: Callable[..., Any], **parameters: object) -> Iterator[Any]:
        """Yield the answers of a list call page by page, past empty ones. Raises Malformed where it would never end."""
        more: dict[str, str] = {}
        while True:
            answer, last = self.call(method, **parameters, **more), more
            yield answer
            if answer.get("NextToken"):
                more = {"NextToken": answer["NextToken"]}
            elif answer.get("IsTruncated", bool(answer.get("Marker"))):  # as IAM pages
                more = {"Marker": require(answer.get("Marker"), "Marker", method.__name__)}
            else:
                return
            if more == last:
                message = f"a page of the answer to {method.__name__} names itself as the next one"
                raise Malformed(message, code="MalformedAnswer", operation=method.__name__)

    def entries(self, method: Callable[..., Any], key: str, **parameters: object) -> Iterator[Any]:
        """Yield what the pages of a list call have under a key. Raises Malformed where a page lacks it."""
        for answer in self.pages(method, **parameters):
            yield from require(answer.get(key), key, method.__name__)

    def repeat_while(self, *kinds: type[AwsError], seconds: float, wait: tenacity.wait.wait_base) -> tenacity.Retrying:
        """Return what repeats a call that raises one of these errors, for so many seconds and until cancellation."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(kinds),
            wait=wait,
            stop=tenacity.stop_after_delay(seconds) | tenacity.stop_when_event_set(self.cancellation.event),
            sleep=self._sleep,
            reraise=True,
        )

    def _try(self, retries: RetryBudget, method: Callable[[], R]) -> R:
        self.calls += 1
        with translated():
            answer = method()
        retries.give_back()
        return answer

    def _attempts(self, retries: RetryBudget) -> tenacity.Retrying:
        def may_pass(error: BaseException) -> bool:
            if isinstance(error, NoCredentials):
                return retries.renew is not None
            if isinstance(error, Throttled):
                self.throttles += 1
                retries.limit.on_throttle()
            return isinstance(error, Throttled | Unavailable)

        def is_over(state: tenacity.RetryCallState) -> bool:
            error = state.outcome and state.outcome.exception()
            is_second = state.attempt_number > 1
            silent = isinstance(error, Unreachable) and (state.seconds_since_start or 0.0) > UNREACHABLE_SECONDS
            hopeless = is_second and (silent or isinstance(error, NoCredentials))
            enough = (
                state.attempt_number >= MAX_ATTEMPTS or hopeless or self.cancellation.event.is_set() or not may_repeat()
            )
            return enough or not retries.take()

        def renew(state: tenacity.RetryCallState) -> None:
            error = state.outcome and state.outcome.exception()
            if isinstance(error, NoCredentials) and retries.renew is not None:
                retries.renew()

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_pass),
            stop=is_over,
            wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS),
            before_sleep=renew,
            sleep=self._sleep,
            reraise=True,
        )
