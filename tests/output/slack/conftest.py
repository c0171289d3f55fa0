"""What the tests of Slack share: a fake Slack, and a notifier of each kind that posts to it."""

from collections.abc import Iterator

import pytest

from tests.fake_slack import FakeSlack
from tests.output.slack.sending import Sender

KINDS = ["webhook", "bot token"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


@pytest.fixture(params=KINDS)
def sender(slack: FakeSlack, request: pytest.FixtureRequest) -> Sender:
    return Sender(slack, request.param)
