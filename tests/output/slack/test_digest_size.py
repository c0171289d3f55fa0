"""A digest stays within Slack's limits at any size, and counts what it leaves out."""

import re
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage, Status, Trigger, Verdict
from orchestrator.output.slack import Digest, render_text
from orchestrator.output.slack.client import SlackClient
from orchestrator.output.slack.limits import BUDGET, fair_shares, size_of_blocks
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
    show,
    texts,
)

pytestmark = pytest.mark.thorough


@given(room=st.integers(0, 10_000), wants=st.lists(st.integers(0, 20_000), max_size=20))
def test_room_is_shared_so_that_none_is_crowded_out(room: int, wants: list[int]) -> None:
    shares = fair_shares(room, wants)

    assert sum(shares) <= room
    assert all(share <= want for share, want in zip(shares, wants, strict=True))
    assert all(share == want for share, want in zip(shares, wants, strict=True) if want * len(wants) <= room)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


def make_plain(number: int) -> AccountReport:
    return make_account_report(number, *MANY_USERS[:1])


@cache
def render_organization(make: Callable[[int], AccountReport], count: int) -> Digest:
    return render(make_organization(make, count), link=LINK, mention="here", notes=("a note",) * count)


@pytest.mark.parametrize("kind", ["webhook", "bot token"])
@pytest.mark.parametrize("count", [0, 1, 60, 10_000])
@pytest.mark.parametrize("make", [make_odd, make_plain, make_account_report])
def test_slack_takes_the_digest_of_an_organization_of_any_size(
    slack: FakeSlack, kind: str, count: int, make: Callable[[int], AccountReport]
) -> None:
    digest = render_organization(make, count)
    is_webhook = kind == "webhook"
    credentials = SlackCredentials(
        webhook_url=slack.webhook_url if is_webhook else None, bot_token=None if is_webhook else slack.bot_token
    )

    SlackClient(credentials, channel=slack.channel, base_url=slack.api_url).send(digest.text, digest.blocks)

    [message] = slack.messages
    assert message.blocks == list(digest.blocks)
    assert message.text == digest.text
    assert set(message.mentions) <= {"<!here>"}


@pytest.mark.parametrize("link", [None, LINK])
def test_what_does_not_fit_is_counted_to_the_last_account_and_linked(link: str | None) -> None:
    shown = show(make_organization(make_odd, 10_000), link=link)

    for title, total in (
        ("failed, assuming", 2_000),
        ("Held (active_key)", 2_000),
        ("Root user", 2_000),
        ("Changes", 2_000),
    ):
        _, _, group = shown.partition(title)
        [(more, tail)] = re.findall(r"and ([\d,]+) more accounts(.*)", group)[:1]
        listed = len(re.findall(r"\(0{7}\d{5}\)", group[: group.index(f"and {more} more accounts")]))
        assert listed + int(more.replace(",", "")) == total
        assert listed >= 3
        assert tail == (f": whole report: {LINK}" if link else "")
    assert "10,000 accounts: 6,000 inspected, 2,000 failed, 2,000 skipped." in shown
    assert "2,000 accounts clean" in shown


def test_no_group_is_crowded_out_when_everything_is_at_its_longest() -> None:
    long = "&<>" * 400
    name = "&<>" * 120  # longer than is looked at, and 12,000 of them are quickly read
    stages = [Stage.SELECT, Stage.ASSUME_ROLE, Stage.INSPECT, Stage.APPLY]
    problems = [
        make_problem(stage, code=f"{index}{long}", message=long, remedy=long) for index in range(3) for stage in stages
    ]
    reasons = [ReasonReport(code=f"{index}{long}", message=long) for index in range(12)]
    outcomes = [Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED]
    accounts = [make_failed(number, error=problems[number % 12], name=name, alias=name) for number in range(600)]
    accounts += [
        make_account_report(
            number,
            make_user_report(name, outcomes[number % 3], error=reasons[number % 12]),
            *enforced(*[f"{index}{name}" for index in range(20)]),
            root_user=ROOT_WITHOUT_MFA,
            alias=name,
        )
        for number in range(600, 1200)
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
        assert find_fault({"text": digest.text, "blocks": list(digest.blocks)}) is None
        assert size_of_blocks(digest.blocks) <= BUDGET
        titles = [text.splitlines()[0] for text in texts(digest)]
        assert len([title for title in titles if re.match(r"\*50 accounts failed, ", title)]) == 4
        assert len([title for title in titles if re.match(r"\*(Failed|Over quota|Held) \(", title)]) == 6
        for words in ("not finished for other reasons", "Other reasons: ", "Root user", "Please note", "Changes and"):
            assert any(words in title for title in titles)


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
    assert render_text(digest).startswith("orgmfa ")
    is_quiet = all(account.status in {Status.INSPECTED, Status.SKIPPED} for account in report.accounts)
    assert digest.has_findings or (is_quiet and report.complete and not report.errors)
