"""Defaults of the configuration, the file that is shipped and the document, durations and limits."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.config import Config, LimitsConfig, parse_duration
from orchestrator.domain.config_file import load_config
from orchestrator.domain.model import Mode
from tests.configuration_page import PAGE, place_table
from tests.domain.config_samples import ALL_KEYS, DEFAULTS, keys_in, parsed, refusal

ROOT = Path(__file__).parents[2]
ENTRIES = ("exemptions.", "protected_users.")


@pytest.mark.parametrize(("key", "default"), DEFAULTS.items())
def test_setting_has_its_default(key: str, default: object) -> None:
    value: Any = Config()
    for part in key.split("."):
        value = getattr(value, part)

    assert value == default


def test_every_setting_is_in_the_table_of_defaults() -> None:
    assert [key for key in ALL_KEYS if not key.startswith(ENTRIES)] == sorted(DEFAULTS)


# -- the file that is shipped, and the document ----------------------------------------------------------------------


def test_shipped_file_says_the_defaults() -> None:
    assert load_config(ROOT / "config.yaml", {}) == Config()


def test_shipped_file_has_every_setting_and_a_word_on_each() -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    examples = [block.replace("#   ", "") for block in re.findall(r"(?:^#   .*\n)+", text, re.MULTILINE)]
    entry = dict(zip(["exemptions", "protected_users"], map(yaml.safe_load, examples), strict=True))
    sections = {key.split(".")[0] for key in ALL_KEYS}
    found = {*keys_in(yaml.safe_load(text)), *keys_in(entry)}
    settings_lines = [line for line in text.splitlines() if re.match(r"\s*\w+:.", line)]

    assert found - sections == set(ALL_KEYS) - sections
    assert sections <= found
    assert [line for line in settings_lines if "  # " not in line] == []
    example = Config.model_validate(entry)
    assert [one.user for one in (*example.exemptions, *example.protected_users)] == [
        "ci-*",
        "break-glass-*",
        "ana.silva",
    ]


def test_document_has_a_row_for_every_setting() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert place_table(text) == text
    assert [key for key in ALL_KEYS if f"| `{key}` |" not in text and not key.startswith(ENTRIES)] == []


def test_document_explains_the_keys_of_entries() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

    explained = {key for block in blocks for key in keys_in(yaml.safe_load(block))}
    assert {key for key in ALL_KEYS if key.startswith(ENTRIES)} <= explained


# -- durations, limits -----------------------------------------------------------------------------------------------


@given(st.integers(0, 60) | st.none(), st.integers(0, 60 * 24))
def test_runs_are_kept_for_a_day_and_as_long_as_users_have_notice(keep: int | None, notice: int) -> None:
    text = f"archive: {{keep: {'null' if keep is None else f'{keep}d'}}}\nenforcement: {{notice: {notice}h}}"
    if keep is None or keep * 24 >= max(24, notice):
        assert parsed(text).archive.keep == (None if keep is None else timedelta(days=keep))
    else:
        assert refusal(text).startswith("config.yaml: archive.keep")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("0d", timedelta()),
        ("99999d", timedelta(days=99999)),
        ("007d", timedelta(days=7)),
        (timedelta(days=3), timedelta(days=3)),
    ],
)
def test_duration_is_a_whole_number_and_a_unit(text: object, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", "d", "1", "1.5d", "-1d", "+1d", "1w", "1D", "1 d", " 1d", "1d ", "1d\n", "1d12h", "100000d", 30, None, True],
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a whole number and d, h or m"):
        parse_duration(text)


@given(st.integers(0, 99999), st.sampled_from(["d", "h", "m"]))
def test_every_duration_is_what_it_says(count: int, unit: str) -> None:
    seconds = {"d": 86400, "h": 3600, "m": 60}[unit]

    assert parse_duration(f"{count}{unit}").total_seconds() == count * seconds


@pytest.mark.parametrize(("asked", "most"), [(None, 100), (0, 0), (5, 5), ("none", None)])
@pytest.mark.parametrize("name", ["max_changes_per_run", "max_changes_per_account"])
def test_limit_of_one_run_replaces_that_count_and_nothing_else(name: str, asked: Any, most: int | None) -> None:
    limits = LimitsConfig(max_share_per_account=0.5, hold_keys_used_within=timedelta(days=1))

    changed = limits.replaced(**{name: asked})

    assert changed == limits.model_copy(update={name: most})
    assert limits.max_changes_per_run == 100


LIMITS = st.none() | st.integers(0, 3)


@given(
    LIMITS, LIMITS, LIMITS | st.just("none"), st.sampled_from([Mode.PLAN, Mode.APPLY]), st.sampled_from([None, *Mode])
)
def test_configuration_is_only_ever_narrowed(
    account: int | None, run: int | None, asked: Any, mode: Mode, asked_mode: Mode | None
) -> None:
    limits = {"max_changes_per_account": account, "max_changes_per_run": run}
    config = Config.model_validate({"enforcement": {"mode": mode}, "limits": limits})

    narrowed = config.narrowed(asked_mode, asked)

    def at_most(limit: Any) -> float:
        return limit if isinstance(limit, int) else float("inf")

    assert at_most(narrowed.limits.max_changes_per_account) == min(at_most(account), at_most(asked))
    assert at_most(narrowed.limits.max_changes_per_run) == min(at_most(run), at_most(asked))
    assert (narrowed.enforcement.mode is Mode.APPLY) is (mode is Mode.APPLY and asked_mode is not Mode.PLAN)


def test_configuration_cannot_be_changed_behind_a_run() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().enforcement.mode = Config().enforcement.mode  # type: ignore[misc]  # the point of the test
