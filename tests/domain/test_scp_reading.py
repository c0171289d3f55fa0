"""What an attached SCP of orgmfa spares, and how it differs from the one that the configuration would print now."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.scp import is_ours, list_differences, read_scp, render_scp
from tests.builders import NOW, make_config
from tests.domain.test_scp import ENDED, MIXED, entry
from tests.member_role.rendering import FOLDER, MEMBER, SIBLING

OTHER = "000000000000"
DAY = timedelta(days=1)


def text_of(config: Config, now: datetime = NOW) -> str:
    return render_scp(config, "aws", now).text


def differences(attached: str, config: Config, now: datetime = NOW) -> list[str]:
    return list_differences(read_scp(attached), read_scp(text_of(config, now)), now)


@pytest.mark.parametrize(
    ("name", "account", "at", "is_spared"),
    [
        ("ana", MEMBER, NOW, False),
        ("svc-a", OTHER, NOW, True),
        ("SVC-a", OTHER, NOW, False),
        ("svc-a", OTHER, ENDED, False),
        ("bot", MEMBER, ENDED, True),
        ("robot", MEMBER, NOW, False),
        ("bot", SIBLING, NOW, False),
        ("deploy-a", MEMBER, NOW, True),
        ("later-a", SIBLING, ENDED, True),
        ("later-a", OTHER, NOW, False),
        ("break-glass-1", OTHER, ENDED, True),
    ],
)
def test_who_is_spared_is_read_as_it_was_rendered(name: str, account: str, at: datetime, *, is_spared: bool) -> None:
    assert read_scp(text_of(MIXED)).spares(name, account, at) is is_spared


def test_a_name_that_is_an_arn_is_read_too() -> None:
    scp = read_scp(text_of(make_config(exemptions=[entry("bot", None, (MEMBER,))])))

    spared = [scp.spares(name, account, NOW) for name, account in (("bot", MEMBER), ("bot", OTHER), ("ot", MEMBER))]
    assert spared == [True, False, False]


def test_ours_is_known_by_its_sid_and_others_are_not_ours() -> None:
    others = [(FOLDER / "protect.scp.json").read_text("utf-8"), '{"Statement": {"Effect": "Deny"}}', '{"a": 1}']

    assert is_ours(text_of(MIXED))
    assert not any(map(is_ours, others))


@pytest.mark.parametrize(
    ("attached", "config", "now", "told"),
    [
        pytest.param(MIXED, MIXED, NOW, [], id="the same"),
        pytest.param(MIXED, MIXED, ENDED, [], id="an exemption has ended in both"),
        pytest.param(
            Config(), MIXED.model_copy(update={"exemptions": ()}), NOW,
            [
                "it blocks break-glass-*, whom the configuration exempts",
                f"it blocks deploy-* in {MEMBER}, whom the configuration exempts",
            ],
            id="protected users were added",
        ),
        pytest.param(
            make_config(protected_users=["a", "b"]), make_config(protected_users=["a"]), NOW,
            ["it spares b, whom the configuration does not exempt"],
            id="a protected user was removed",
        ),
        pytest.param(
            make_config(exemptions=[entry("svc-*", "2026-04-01")]),
            make_config(exemptions=[entry("svc-*", "2026-05-01")]), NOW,
            ["it blocks svc-* from 2026-04-02 on, whom the configuration exempts"],
            id="an exemption was made longer",
        ),
        pytest.param(
            make_config(protected_users=["svc-*"]), make_config(exemptions=[entry("svc-*", "2026-05-01")]), NOW,
            ["it spares svc-* from 2026-05-02 on, whom the configuration does not exempt"],
            id="a protection became an exemption with an end",
        ),
        pytest.param(
            make_config(exemptions=[entry("bot", None, (MEMBER,))]),
            make_config(exemptions=[entry("bot", None, (MEMBER, SIBLING))]), NOW,
            [f"it blocks bot in {SIBLING}, whom the configuration exempts"],
            id="an account more",
        ),
        pytest.param(
            make_config(policy={"access_keys": "allow"}), Config(), NOW,
            ["its denies are not those that this version prints"],
            id="access keys",
        ),
    ],
)  # fmt: skip
def test_differences_are_told_in_words(attached: Config, config: Config, now: datetime, told: list[str]) -> None:
    assert differences(text_of(attached), config, now) == told


def changed(change: Callable[[list[dict[str, Any]]], object]) -> str:
    document = json.loads(text_of(MIXED))
    change(document["Statement"])
    return json.dumps(document)


def with_condition(**condition: dict[str, str]) -> str:
    return changed(lambda found: found[0]["Condition"].update(condition))


@pytest.mark.parametrize(
    "attached",
    [
        pytest.param(with_condition(StringLike={"aws:x": "y"}), id="a condition more"),
        pytest.param(changed(lambda found: found[0].update(Condition=["x"])), id="no condition at all"),
        pytest.param(with_condition(DateGreaterThanEquals={"aws:CurrentTime": "soon"}), id="no date"),
        pytest.param(changed(lambda found: found.clear()), id="no statement"),
        pytest.param("{", id="no JSON"),
    ],
)  # fmt: skip
def test_what_was_changed_beyond_understanding_is_an_error(attached: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_scp(attached)


def test_an_scp_that_was_laid_out_by_hand_is_the_same() -> None:
    laid_out = json.dumps(json.loads(text_of(MIXED)), indent=4).replace('"aws:username"', '"aws:UserName"')

    assert differences(laid_out, MIXED) == []
