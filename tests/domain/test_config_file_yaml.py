"""YAML that is refused, and that any text gives a configuration or a refusal."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.domain.config import Config
from orchestrator.domain.config_file import MAX_CONFIG_BYTES, parse_config
from orchestrator.domain.errors import ConfigError
from tests.domain.config_samples import ALL_KEYS, DEFAULTS, parsed, refusal

# -- YAML that is not taken ------------------------------------------------------------------------------------------

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "line 2, column 8: aliases are not accepted"),
        ("slack: &s {when: always}\narchive: *s", "line 2, column 10: aliases are not accepted"),
        ("&all {slack: *all}", "aliases are not accepted"),
        ("slack: {when: always}\nslack: {when: findings}", "line 2, column 1: the key 'slack' is given twice"),
        ("slack: {when: always, when: findings}", "line 1, column 23: the key 'when' is given twice"),
        ("exemptions: [{user: a, user: b}]", "the key 'user' is given twice"),
        ("1: {}", "the key 1 is not a text"),
        ("slack: {~: x}", "the key None is not a text"),
        ("securityhub: {on: true}", "the key True is not a text"),
        ("slack: {when: always", "line 1, column 21"),
        ("slack:\n\twhen: always", "line 2, column 1"),
        ("<<: {slack: {}}", "line 1, column 1"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: !secret b", "could not determine a constructor"),
        ("---\n{}\n---\n{}", "another document"),
        ("%YAML 3.0\n---\n{}", "incompatible YAML"),
        ("slack: {when: \x07}", "unacceptable character #x0007"),
    ],
)
def test_broken_or_ambiguous_yaml_is_refused_with_its_place(text: str, words: str) -> None:
    told = refusal(text)

    assert told.startswith("config.yaml: not usable YAML: ")
    assert words in told


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("enforcement", "stop"),
        ("limits", "max_changes_per_account"),
        ("limits", "max_changes_per_run"),
    ],
)
@pytest.mark.parametrize("blank", ["", "  # ssm:/orgmfa/stop", "\n"])
def test_guard_that_is_left_blank_is_refused_and_not_taken_away(section: str, key: str, blank: str) -> None:
    words = f"line 2, column 3: the key {key!r} has no value: write null for none, or leave the key out"

    assert words in refusal(f"{section}:\n  {key}:{blank}")
    assert words in refusal(f"{section}:\n  {key}:{blank}\nslack:")
    assert getattr(getattr(parsed(f"{section}:\n  {key}: null"), section), key) is None


def test_exemption_whose_end_is_left_blank_is_refused_and_not_for_good() -> None:
    entry = 'exemptions: [{user: ci, accounts: ["111122223333"], reason: r, until: %s}]'

    assert "the key 'until' has no value" in refusal(entry % "")
    assert parsed(entry % "null").exemptions[0].until is None


@pytest.mark.parametrize("text", ["[" * 5000, "- " * 5000, "{a: " * 5000, "[" * (MAX_CONFIG_BYTES // 2)])
def test_yaml_nested_beyond_reason_is_refused(text: str) -> None:
    assert refusal(text) == "config.yaml: nested too deeply; this is no configuration of orgmfa"


UNREADABLE_VALUES = [
    "exemptions: [{user: ci-*, reason: r, until: 2026-02-30}]",
    "archive: {keep: 2026-03-02 25:00:00}",
    "archive: {keep: 2026-03-02T00:00:00+25:00}",
    "{[a]: b}",
    "? {a: b}\n: c",
    "concurrency: {workers: 0x_}",
    "concurrency: {workers: 0b_}",
    f"concurrency: {{workers: {'9' * 5000}}}",
    'slack: {channel: "\\U00110000"}',
    'slack: {channel: "\\UFFFFFFFF"}',
    "!!map x",
    "!!map [a]",
    "!!set x",
    "!!int x",
    "!!float x",
    "!!bool x",
    "!!timestamp x",
]


@pytest.mark.parametrize("text", UNREADABLE_VALUES)
def test_value_that_yaml_itself_stumbles_over_is_refused(text: str) -> None:
    assert refusal(text).startswith("config.yaml: ")


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = sorted({part for key in ALL_KEYS for part in key.split(".")})
KEYS = st.sampled_from(WORDS) | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN | st.sampled_from(["plan", "all", "90d", "*", "111122223333", "s3://bucket", "/"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SECTIONS = st.dictionaries(st.sampled_from(sorted(DEFAULTS)), VALUES, max_size=6)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, name = key.partition(".")
        if name:
            document.setdefault(section, {})[name] = value
        else:
            document[section] = value
    return document


def config_or_refusal(text: str) -> Config | None:
    try:
        return parse_config(text, source="config.yaml")
    except ConfigError as error:
        assert str(error).startswith("config.yaml: ")  # noqa: PT017 - the other way to leave is also right
        return None


@given(VALUES | SECTIONS.map(nested))
@settings(deadline=None)
def test_any_structure_gives_a_configuration_or_a_refusal(document: object) -> None:
    config = config_or_refusal(yaml.safe_dump(document, allow_unicode=True))

    if config is not None:
        said = document if isinstance(document, dict) else {}
        assert config == Config.model_validate({key: value for key, value in said.items() if value is not None})


@st.composite
def right_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a document that the program must take."""
    count = st.none() | st.integers(0, 10**6)
    choices: dict[str, st.SearchStrategy[Any]] = {
        "organization.exclude_accounts": st.lists(st.from_regex(r"[0-9]{12}", fullmatch=True), max_size=3),
        "enforcement.mode": st.sampled_from(["plan", "apply"]),
        "enforcement.grace_period": st.from_regex(r"[0-9]{1,5}[dhm]", fullmatch=True),
        "enforcement.notice": st.from_regex(r"[0-9]{1,3}[hm]|[0-9]{1,2}d", fullmatch=True),
        "limits.max_changes_per_account": count,
        "limits.max_changes_per_run": count,
        "limits.max_share_per_account": st.floats(0, 1),
        "concurrency.workers": st.integers(1, 256),
        "protected_users": st.lists(st.text("abc*?-", min_size=1), max_size=3),
        "slack.mention": st.none() | st.from_regex(r"[USW][A-Z0-9]{5,20}", fullmatch=True),
    }
    return nested(draw(st.fixed_dictionaries({}, optional=choices)))


@given(right_settings())
@settings(deadline=None)
def test_right_settings_are_taken_as_they_are_written(document: dict[str, Any]) -> None:
    config = parsed(yaml.safe_dump(document))

    assert config == Config.model_validate(document)
    if document:
        assert config.model_fields_set == set(document)


TOKENS = [
    *("enforcement", "exemptions", "mode", "until", ": ", ":", "\n", "\n  ", "- ", "? ", "[", "]", "{", "}", ", ", "#"),
    *("'", '"', "&a ", "*a", "!", "!!map ", "!!set ", "!!int ", "!!binary ", "!!timestamp ", "!!python/name:os ", "<<"),
    *("2026-02-30", "0x_", "0o1", "1_0", "1:60", ".inf", ".nan", "~", "=", "|", ">", "%YAML 1.1", "---", "...", "\\"),
    *('"\\U00110000"', '"\\ud800"', "\ufeff", "\x00", "\u2028", "é", "@", "`", "\t"),
]


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join) | st.text())
@example("!!map x")
@example("until: 2026-02-30")
@settings(deadline=None)
def test_any_text_gives_a_configuration_or_a_refusal(text: str) -> None:
    config_or_refusal(text)
