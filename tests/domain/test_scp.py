"""The SCP that says what EnforceMFA says: whom it denies what, beside EnforceMFA itself, and what it cannot say."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import parliament
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.assessment import find_exemption
from orchestrator.domain.config import Config
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.policy_document import PARTITIONS, read_template, render_enforcement_policy
from orchestrator.domain.scp import MAX_CHARACTERS, SID, render_scp
from tests.builders import NOW, make_config
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.permission_samples import ANA, BOB, FULL_ACCESS, SESSIONS
from tests.member_role.rendering import FOLDER, MEMBER, SIBLING
from tests.member_role.test_permissions_under_enforcement import ADMINISTRATOR_ROWS, USER_ROWS

YES, NO = Decision.ALLOW, Decision.EXPLICIT_DENY
TODAY = NOW.date()
TOMORROW, YESTERDAY = (str(TODAY + timedelta(days=days)) for days in (1, -1))
BASE = ("Version", "Statement")


def scp(config: Config | None = None, *, partition: str = "aws") -> dict[str, Any]:
    return dict(json.loads(render_scp(config or Config(), partition, NOW).text))


def user(name: str, *, account: str = MEMBER, path: str = "/", at: datetime = NOW) -> dict[str, str]:
    return {
        "aws:PrincipalArn": f"arn:aws:iam::{account}:user{path}{name}",
        "aws:PrincipalAccount": account,
        "aws:CurrentTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "aws:username": name,
    }


def role(arn: str) -> dict[str, str]:
    return {key: value for key, value in user("x").items() if key != "aws:username"} | {"aws:PrincipalArn": arn}


def is_denied(policy: dict[str, Any], who: dict[str, str], action: str, session: str, resource: str = "*") -> bool:
    request = Request(action, resource, SESSIONS[session] | who)
    return decide(request, [FULL_ACCESS], limits=[[FULL_ACCESS, policy]]) is NO


def entry(user: str, until: str | None = None, accounts: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    return {"user": user, "until": until, "accounts": accounts, "reason": "x"}


MIXED = make_config(
    protected_users=["break-glass-*", {"user": "deploy-*", "accounts": [MEMBER]}],
    exemptions=[
        entry("svc-*", TOMORROW),
        entry("bot", None, (MEMBER,)),
        entry("old-*", YESTERDAY),
        entry("later-*", "2026-09-30", (SIBLING,)),
    ],
)
ATTEMPTS = [(who, action, resource) for who, action, resource, *_ in (*USER_ROWS, *ADMINISTRATOR_ROWS)]


@pytest.mark.parametrize("access_keys", ["deny", "allow"])
def test_it_denies_a_user_what_enforcemfa_denies_and_nothing_else(access_keys: str) -> None:
    policy = scp(make_config(policy={"access_keys": access_keys}))
    enforced = render_enforcement_policy(partition="aws", access_keys=access_keys)

    for session, action, resource in ATTEMPTS:
        for path in ("/", "/engineering/eu/"):
            who = user("ana", path=path)
            by_policy = decide(Request(action, resource, SESSIONS[session] | who), [FULL_ACCESS, enforced])
            assert is_denied(policy, who, action, session, resource) == (by_policy is NO), (session, action, resource)


def test_with_enforcemfa_attached_it_changes_nothing() -> None:
    policy, enforced = scp(), render_enforcement_policy(partition="aws", access_keys="deny")

    for session, action, resource in ATTEMPTS:
        request = Request(action, resource, SESSIONS[session] | user("ana"))
        alone = decide(request, [enforced, FULL_ACCESS])
        assert decide(request, [enforced, FULL_ACCESS], limits=[[FULL_ACCESS, policy]]) == alone


def test_it_grants_nothing() -> None:
    assert {one["Effect"] for one in scp()["Statement"]} == {"Deny"}


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(role(f"arn:aws:iam::{MEMBER}:role/user/any"), id="role"),
        pytest.param(role(f"arn:aws:iam::{MEMBER}:role/aws-service-role/x.amazonaws.com/X"), id="service-linked role"),
        pytest.param(role(f"arn:aws:iam::{MEMBER}:root"), id="root"),
        pytest.param({}, id="service"),
    ],
)
@pytest.mark.parametrize("config", [Config(), MIXED], ids=["plain", "mixed"])
def test_it_hits_nobody_but_iam_users(who: dict[str, str], config: Config) -> None:
    policy = scp(config)

    assert not any(is_denied(policy, who, action, session, at) for session, action, at in ATTEMPTS)


ENDED = NOW + timedelta(days=1, hours=12)  # the first moment of the day after TOMORROW


@pytest.mark.parametrize(
    ("who", "is_spared"),
    [
        pytest.param(user("ana"), False, id="exempt nowhere"),
        pytest.param(user("svc-a"), True, id="glob"),
        pytest.param(user("svc-a", path="/teams/"), True, id="glob, user with a path"),
        pytest.param(user("ana", path="/svc-a/"), False, id="a path that looks like the glob"),
        pytest.param(user("SVC-a"), False, id="another case"),
        pytest.param(user("svc-a", at=ENDED - timedelta(seconds=1)), True, id="the last second"),
        pytest.param(user("svc-a", at=ENDED), False, id="ended"),
        pytest.param(user("svc-a", account=SIBLING, at=ENDED), False, id="ended, in an account of another group"),
        pytest.param(user("old-a"), False, id="ended yesterday"),
        pytest.param(user("bot"), True, id="name in an account"),
        pytest.param(user("bot", path="/a/b/"), True, id="name in an account, with a path"),
        pytest.param(user("bot", account=SIBLING), False, id="name in another account"),
        pytest.param(user("ana", path="/bot/"), False, id="a path that looks like the name"),
        pytest.param(user("bot", at=NOW + timedelta(days=3000)), True, id="exempt for good"),
        pytest.param(user("deploy-a"), True, id="protected in an account"),
        pytest.param(user("deploy-a", account=SIBLING), False, id="protected in another account"),
        pytest.param(user("break-glass-1", account="000000000000", at=ENDED), True, id="protected everywhere"),
        pytest.param(user("later-a", account=SIBLING, at=ENDED), True, id="glob in an account, past another's end"),
        pytest.param(user("later-a", account=SIBLING, at=datetime(2026, 10, 1, tzinfo=UTC)), False, id="its own end"),
        pytest.param(user("later-a"), False, id="glob in another account"),
    ],
)
def test_exemptions_are_its_conditions(who: dict[str, str], is_spared: bool) -> None:
    assert is_denied(scp(MIXED), who, "s3:ListAllMyBuckets", "console") is not is_spared


@pytest.mark.parametrize(
    "config",
    [
        make_config(exemptions=[entry("svc-*", TOMORROW)]),
        make_config(protected_users=[{"user": "svc-*", "accounts": [MEMBER]}]),
        make_config(exemptions=[entry("svc-a", None, (MEMBER,))]),
    ],
)
def test_it_denies_an_exempt_user_nothing_at_all_where_there_is_room(config: Config) -> None:
    policy, plain = scp(config), scp()
    spared, ended = user("svc-a"), user("svc-a", account=SIBLING, at=ENDED)

    assert "in part" not in " ".join(render_scp(config, "aws", NOW).remarks)
    for attempt in ATTEMPTS:
        session, action, at = attempt
        assert not is_denied(policy, spared, action, session, at), attempt
        assert is_denied(policy, ended, action, session, at) == is_denied(plain, ended, action, session, at), attempt


def test_where_there_is_no_room_entries_spare_in_part_and_are_counted() -> None:
    config = make_config(
        protected_users=["break-glass-*"],
        exemptions=[entry(f"team-{number}-*", str(TODAY + timedelta(days=number))) for number in range(8)],
    )
    found = render_scp(config, "aws", NOW)
    policy, timed, lasting = json.loads(found.text), user("team-7-a"), user("break-glass-1")

    assert any("8 of 9 entries spare their users in part" in remark for remark in found.remarks)
    assert not is_denied(policy, timed, "s3:ListAllMyBuckets", "key")
    assert is_denied(policy, timed, "iam:EnableMFADevice", "key", ANA)
    assert not is_denied(policy, timed, "iam:EnableMFADevice", "console", timed["aws:PrincipalArn"])
    assert not is_denied(policy, lasting, "iam:EnableMFADevice", "key", BOB)


NAMES = st.sampled_from(["ana", "svc-a", "svc-b", "deploy-a", "x"])
GLOBS = st.sampled_from(["*", "svc-*", "*-a", "???", "ana", "svc-a", "deploy-?"])
ACCOUNTS = st.sampled_from([MEMBER, SIBLING, "000000000000"])
DAYS = st.integers(min_value=0, max_value=3)
PLACES = st.one_of(st.just(("*",)), st.lists(ACCOUNTS, min_size=1, max_size=2, unique=True).map(tuple))


@given(
    st.lists(st.builds(entry, GLOBS, DAYS.map(lambda days: str(TODAY + timedelta(days=days))), PLACES), max_size=3),
    st.lists(st.builds(lambda user, accounts: {"user": user, "accounts": accounts}, GLOBS, PLACES), max_size=2),
    st.lists(st.tuples(NAMES, ACCOUNTS, st.sampled_from(["/", "/svc-a/"]), DAYS), min_size=5, max_size=5),
)
def test_it_spares_whom_the_rules_of_a_run_exempt(
    exemptions: list[dict[str, Any]], protected: list[dict[str, Any]], people: list[tuple[str, str, str, int]]
) -> None:
    config = make_config(exemptions=exemptions, protected_users=protected)
    policy = scp(config)

    for name, account, path, days in people:
        at = NOW + timedelta(days=days)
        is_exempt = any(one.covers(name, account) for one in config.protected_users)
        is_exempt = is_exempt or find_exemption(name, account, config.exemptions, now=at) is not None
        who = user(name, account=account, path=path, at=at)
        assert is_denied(policy, who, "s3:ListAllMyBuckets", "key") is not is_exempt


@pytest.fixture
def template() -> Iterator[dict[str, Any]]:
    """The parsed template of the program, put back after the test."""
    read = read_template()["Resources"]["EnforcementPolicy"]["Properties"]["PolicyDocument"]
    before = copy.deepcopy(read)
    yield read
    read.update(before)


def test_a_change_of_enforcemfa_changes_both(template: dict[str, Any]) -> None:
    [deny] = [one for one in template["Statement"] if "NotAction" in one]
    deny["NotAction"].append("iam:GetRole")
    template["Statement"].append({"Sid": "New", "Effect": "Deny", "Action": "ec2:*", "Resource": "*"})

    assert "iam:GetRole" in json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"))
    assert "iam:GetRole" in json.dumps(scp())
    assert scp()["Statement"][-1]["Action"] == "ec2:*"


@pytest.mark.parametrize("access_keys", ["deny", "allow"])
@pytest.mark.parametrize("partition", PARTITIONS)
def test_it_is_the_denies_of_enforcemfa_for_users_alone(partition: str, access_keys: str) -> None:
    config = make_config(policy={"access_keys": access_keys})
    found = scp(config, partition=partition)["Statement"]
    enforced = render_enforcement_policy(partition=partition, access_keys=access_keys)["Statement"]

    users = {"ArnLike": {"aws:PrincipalArn": f"arn:{partition}:iam::*:user/*"}}
    assert [one.get("Sid") for one in found] == [SID, None, None, None, None]
    assert [{key: value for key, value in one.items() if key != "Sid"} for one in found] == [
        {key: value for key, value in one.items() if key != "Sid"} | {"Condition": one["Condition"] | users}
        for one in enforced
        if one["Effect"] == "Deny"
    ]


@pytest.mark.parametrize("config", [Config(), MIXED], ids=["plain", "mixed"])
def test_it_keeps_to_the_grammar_of_scps(config: Config) -> None:
    text = render_scp(config, "aws", NOW).text
    elements = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
    findings = parliament.analyze_policy_string(text).findings

    assert text.count('"Statement"') == 1
    assert set(json.loads(text)) == set(BASE)
    assert all(elements.issuperset(one) for one in json.loads(text)["Statement"])
    assert text == json.dumps(json.loads(text), separators=(",", ":"))
    # Newer than parliament's lists of global keys and of services.
    unexplained = [one for one in findings if "aws:ViaAWSService" not in str(one) and "signin:" not in str(one)]
    assert unexplained == []


def remarks_of(**sections: Any) -> str:
    return " ".join(render_scp(make_config(**sections), "aws", NOW).remarks)


def test_users_with_keys_alone_are_told_of_where_their_keys_are_blocked() -> None:
    assert "access keys alone" in remarks_of(policy={"access_keys": "deny"})
    assert "access keys alone" not in remarks_of(policy={"access_keys": "allow"})


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, "enforcement.users: console cannot be said"),
        ({"enforcement": {"grace_period": "7d"}}, "enforcement.grace_period cannot be said"),
        ({"enforcement": {"notice": "14d"}, "archive": {"keep": "90d"}}, "enforcement.notice cannot be said"),
        ({"organization": {"exclude_accounts": [MEMBER]}}, "exclude_accounts cannot be said"),
        ({"protected_users": ["svc-[ab]"]}, "svc-[ab] cannot be said"),
        ({"protected_users": ["svc-*"]}, "Upper and lower case count"),
        ({"exemptions": [entry("svc-*", YESTERDAY)]}, "1 of 1 exemptions have ended"),
    ],
)
def test_what_it_cannot_say_is_said_once(sections: dict[str, Any], words: str) -> None:
    assert remarks_of(**sections).count(words) == 1
    assert words == "enforcement.users: console cannot be said" or words not in remarks_of(enforcement={"users": "all"})


def test_a_glob_with_brackets_spares_nobody() -> None:
    policy = scp(make_config(protected_users=["svc-[ab]", "x-*"]))

    assert is_denied(policy, user("svc-a"), "s3:ListAllMyBuckets", "console")
    assert "svc-" not in json.dumps(policy)


def test_an_exemption_to_the_end_of_time_has_no_end() -> None:
    policy = scp(make_config(exemptions=[entry("svc-*", str(date.max))]))

    assert "aws:CurrentTime" not in json.dumps(policy)
    assert not is_denied(policy, user("svc-a"), "s3:ListAllMyBuckets", "console")


@pytest.mark.parametrize(("count", "is_warned"), [(10, False), (100, True)])
def test_the_size_is_told_and_the_former_limit(count: int, is_warned: bool) -> None:
    config = make_config(protected_users=[f"user-{number:03}" for number in range(count)])
    found = render_scp(config, "aws", NOW)

    assert f"{len(found.text):,} of 10,240 characters" in found.remarks[-1]
    assert ("more than the 5,120" in found.remarks[-1]) is is_warned is (len(found.text) > 5_120)


def test_what_does_not_fit_is_refused_with_the_ends_and_groups_of_accounts() -> None:
    ends = [str(TODAY + timedelta(days=number)) for number in range(30)]
    exemptions = [entry(f"svc-{end[-2:]}-*", end) for end in ends] + [entry("x-*", TOMORROW, (MEMBER, SIBLING))]

    with pytest.raises(ConfigError) as refused:
        render_scp(make_config(exemptions=exemptions), "aws", NOW)

    assert f"may have {MAX_CHARACTERS:,}" in str(refused.value)
    assert all(end in str(refused.value) for end in ends)
    assert f"groups of accounts: 1 ({MEMBER}, {SIBLING})" in str(refused.value)


@pytest.mark.parametrize(
    "exemptions",
    [
        [entry(f"user-{number}", None, (f"{number:012}",)) for number in range(40)],
        [entry("bot", None, tuple(f"{number:012}" for number in range(200)))],
    ],
    ids=["a name in each of many accounts", "a name in very many accounts"],
)
def test_names_in_many_accounts_fit(exemptions: list[dict[str, Any]]) -> None:
    policy = scp(make_config(exemptions=exemptions))
    name = exemptions[0]["user"]

    for path in ("/", "/a/b/"):
        people = [user(name, account=f"{number:012}", path=path) for number in (0, 999)]
        assert [is_denied(policy, who, "s3:ListBucket", "key") for who in people] == [False, True]
    assert is_denied(policy, user("ana", account="000000000000", path=f"/{name}/"), "s3:ListBucket", "key")


def test_the_guide_names_the_sizes_that_are_measured() -> None:
    guide = (FOLDER.parent / "docs" / "scp.md").read_text("utf-8")
    sizes = [len(render_scp(make_config(policy={"access_keys": keys}), "aws", NOW).text) for keys in ("deny", "allow")]

    assert f"{sizes[0]:,} characters with `access_keys: deny`, {sizes[1]:,} with `allow`" in guide
    assert SID in guide
