"""A digest stays within Slack's limits at any size, and counts what it leaves out."""

import re
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage, Status, Trigger, Verdict
from orchestrator.output.slack.client import SlackClient
from orchestrator.output.slack.digest import Digest, render_text
from orchestrator.reports.report import (
    AccountReport,
    ProblemReport,
    ReasonReport,
    RootUserReport,
    RunReport,
    UserReport,
)
from tests.fake_slack import FakeSlack, find_fault
from tests.output.slack.digest_samples import (
    LINK,
    MANY_USERS,
    ROOT_WITHOUT_MFA,
    TEXT,
    assert_safe,
    cells,
    count_lines,
    enforced,
    make_account_report,
    make_failed,
    make_odd,
    make_organization,
    make_problem,
    make_run,
    make_skipped,
    make_user_report,
    render,
    texts,
)

pytestmark = pytest.mark.thorough


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


def make_plain(number: int) -> AccountReport:
    return make_account_report(number, *MANY_USERS[:1])


@cache
def render_organization(make: Callable[[int], AccountReport], count: int) -> Digest:
    return render(make_organization(make, count), link=LINK, mention="here", notes=("a note",) * count)


def send(digest: Digest, slack: FakeSlack, kind: str) -> None:
    """Send a digest as a run does."""
    is_webhook = kind == "webhook"
    credentials = SlackCredentials(
        webhook_url=slack.webhook_url if is_webhook else None, bot_token=None if is_webhook else slack.bot_token
    )
    client = SlackClient(credentials, channel=slack.channel, base_url=slack.api_url)
    client.send(digest.text, digest.blocks)
    for reply in digest.thread if client.has_thread else ():
        client.reply(reply.text, reply.blocks, reply.otherwise)


@pytest.mark.parametrize("kind", ["webhook", "table", "sections"])
@pytest.mark.parametrize("count", [0, 1, 14, 60, 2_000, 10_000])
@pytest.mark.parametrize("make", [make_odd, make_plain, make_account_report])
def test_slack_takes_the_digest_of_an_organization_of_any_size(
    slack: FakeSlack, kind: str, count: int, make: Callable[[int], AccountReport]
) -> None:
    digest = render_organization(make, count)
    slack.refuses_tables = "invalid_blocks" if kind == "sections" else ""

    send(digest, slack, kind)

    [message] = slack.messages
    assert message.blocks == list(digest.blocks)
    assert message.text == digest.text
    assert set(message.mentions) <= {"<!here>"}
    assert count_lines(digest) <= 15
    assert [reply.thread_ts for reply in slack.replies] == [message.ts] * (kind != "webhook") * len(digest.thread)
    assert [reply.blocks for reply in slack.replies] == [
        list(reply.blocks if kind == "table" else reply.otherwise) for reply in digest.thread if kind != "webhook"
    ]


@pytest.mark.parametrize(("link", "count"), [(None, 1_000), (LINK, 10_000)])
def test_what_does_not_fit_is_counted_to_the_last_account_and_linked(link: str | None, count: int) -> None:
    digest, rows_in_all = render(make_organization(make_odd, count), link=link), count * 2 // 5

    assert [reply.text for reply in digest.thread] == ["By OU", *["Accounts, the worst first"] * 2]
    tail = f": <{LINK.replace('&', '&amp;')}|open the report>" if link else ""
    in_tables = sum(len(cells(reply.blocks)) - 1 for reply in digest.thread[1:])
    assert texts(digest.thread[-1].blocks)[-1] == f"and {rows_in_all - in_tables:,} more accounts{tail}"
    left = 0
    for reply in digest.thread[1:]:
        *rows, more = "\n".join(texts(reply.otherwise)).splitlines()
        assert more.endswith(f"more accounts{tail}")
        left += len([row for row in rows if row.startswith("• ")]) + int(more.split()[1].replace(",", ""))
    assert left == rows_in_all
    assert f"*{count // 5:,} accounts* (20 %) - unread: deploy the StackSet" in texts(digest.blocks)[2]
    assert f"{count // 5:,} accounts clean" in texts(digest.thread[0].blocks)[0]


def test_nothing_is_refused_when_everything_is_at_its_longest() -> None:
    long = "&<>" * 400
    name = "&<>" * 120  # longer than is looked at, and 12,000 of them are quickly read
    stages = [Stage.SELECT, Stage.ASSUME_ROLE, Stage.INSPECT, Stage.APPLY]
    problems = [
        make_problem(stage, code=f"{index}{long}", message=long, remedy=long) for index in range(3) for stage in stages
    ]
    reasons = [ReasonReport(code=f"{index}{long}", message=long) for index in range(12)]
    outcomes = [Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED]
    accounts = [make_failed(number, error=problems[number % 12], name=name, alias=name) for number in range(36)]
    accounts += [
        make_account_report(
            number,
            make_user_report(name, outcomes[number % 3], error=reasons[number % 12]),
            *enforced(*[f"{index}{name}" for index in range(8)]),
            root_user=ROOT_WITHOUT_MFA,
            alias=name,
            ou=f"Root/{number}{long}",
        )
        for number in range(36, 240)
    ]
    accounts += [make_skipped(number, f"{number % 9}{long}") for number in range(1200, 1300)]
    report = make_run(*accounts, errors=tuple(problems), complete=False, run_id=long)

    for link in (
        None,
        "https://x.example/" + "&" * 50,
        "https://x.example/" + "&" * 480,
        "https://x.example/" + "y" * 600,
    ):
        digest = render(report, link=link, notes=(long,) * 100, mention="S0123456789ABCDEFGHIJ")
        for blocks in (digest.blocks, *(blocks for one in digest.thread for blocks in (one.blocks, one.otherwise))):
            assert find_fault({"text": digest.text, "blocks": list(blocks)}) is None
        assert count_lines(digest) == 15
        assert re.search(r"and \d+ more causes", "".join(texts(digest.blocks)))
        assert re.search(r"and 9\d more remarks", "".join(texts(digest.blocks)))


PROBLEMS = st.builds(ProblemReport, stage=st.sampled_from(Stage), code=TEXT, message=TEXT, remedy=TEXT)
USERS = st.builds(
    UserReport,
    name=TEXT,
    arn=st.just("arn"),
    verdict=st.sampled_from(Verdict),
    console_password=st.none() | st.booleans(),
    active_access_keys=st.none() | st.integers(0, 2),
    keys_last_used=st.none(),
    outcome=st.sampled_from(Outcome),
    via=st.none(),
    error=st.none() | st.builds(ReasonReport, code=TEXT, message=TEXT),
    reason=st.none() | TEXT,
)
ACCOUNTS = st.builds(
    AccountReport,
    id=st.from_regex(r"\A[0-9]{12}\Z") | TEXT,
    name=TEXT,
    alias=st.none() | TEXT,
    status=st.sampled_from(Status),
    error=st.none() | PROBLEMS,
    root_user=st.none() | st.builds(RootUserReport, has_credentials=st.booleans(), has_mfa=st.booleans()),
    users=st.lists(USERS, max_size=4).flatmap(lambda users: st.sampled_from([tuple(users), tuple(users) * 10])),
    policy_changes=st.lists(st.sampled_from(PolicyChange), max_size=4).map(tuple),
)
RUNS = st.builds(
    lambda accounts, times, **fields: make_run(*accounts * times, **fields),
    st.lists(ACCOUNTS, max_size=8),
    st.sampled_from([1, 1, 40]),
    mode=st.sampled_from(Mode),
    trigger=st.sampled_from(Trigger),
    run_id=TEXT,
    complete=st.booleans(),
    errors=st.lists(PROBLEMS, max_size=5).map(tuple),
)


@given(
    report=RUNS,
    link=st.none() | st.sampled_from(["", LINK, "https://x.example/" + "&" * 300, "https://x.example/" + "y" * 600]),
    notes=st.lists(TEXT, max_size=30).map(tuple),
    users=st.sampled_from(["names", "counts"]),
    blocks_access_keys=st.booleans(),
)
def test_every_report_renders_within_slacks_limits(
    report: RunReport, link: str | None, notes: tuple[str, ...], users: str, *, blocks_access_keys: bool
) -> None:
    digest = render(report, link=link, notes=notes, users=users, blocks_access_keys=blocks_access_keys, mention="here")

    assert_safe(digest)
    assert render_text(digest).partition(":")[0] == report.mode.capitalize()
    is_quiet = all(account.status in {Status.INSPECTED, Status.SKIPPED} for account in report.accounts)
    assert digest.has_findings or (is_quiet and report.complete and not report.errors)
