"""Where the configuration is read from, the variables that override it, and its paths."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.aws.retries import Retrier
from orchestrator.aws.stop_switch import look_at_switch
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import MAX_CONFIG_BYTES, load_config, load_file
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode
from tests.domain.config_samples import parsed, refusal

# -- where it is found -----------------------------------------------------------------------------------------------


def write_config(path: Path, workers: int) -> Path:
    path.write_text(f"concurrency: {{workers: {workers}}}", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("there", "workers"),
    [
        ({"option", "variable", "fallback"}, 1),
        ({"option", "fallback"}, 1),
        ({"option"}, 1),
        ({"variable", "fallback"}, 2),
        ({"variable"}, 2),
        ({"fallback"}, 3),
        (set(), 80),
    ],
)
def test_first_of_option_variable_and_fallback_is_read(tmp_path: Path, there: set[str], workers: int) -> None:
    option = write_config(tmp_path / "option.yaml", 1)
    variable = {"ORGMFA_CONFIG": str(write_config(tmp_path / "variable.yaml", 2))}
    fallback = write_config(tmp_path / "config.yaml", 3)

    config = load_config(
        option if "option" in there else None,
        variable if "variable" in there else {},
        fallback=fallback if "fallback" in there else None,
    )

    assert config.concurrency.workers == workers


def test_fallback_that_is_not_there_gives_the_defaults(tmp_path: Path) -> None:
    assert load_config(None, {}, fallback=tmp_path / "config.yaml") == Config()


def test_empty_variable_counts_as_none(tmp_path: Path) -> None:
    beside = write_config(tmp_path / "config.yaml", 3)

    assert load_config(None, {"ORGMFA_CONFIG": ""}, fallback=beside).concurrency.workers == 3


@pytest.mark.parametrize("by_variable", [True, False])
def test_named_file_that_is_missing_is_an_error_and_not_the_defaults(tmp_path: Path, *, by_variable: bool) -> None:
    missing = tmp_path / "nowhere.yaml"
    beside = write_config(tmp_path / "config.yaml", 3)

    with pytest.raises(ConfigError) as caught:
        load_config(
            None if by_variable else missing,
            {"ORGMFA_CONFIG": str(missing)} if by_variable else {},
            fallback=beside,
        )

    assert str(caught.value) == f"{missing}: cannot read the configuration: No such file or directory"


def test_what_cannot_be_read_is_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory") as caught:
        load_config(tmp_path, {})

    assert str(caught.value).startswith(f"{tmp_path}: cannot read the configuration")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# \xff\xfe", "not UTF-8"),
        ("enforcement: {mode: plan}".encode("utf-16"), "not UTF-8"),
        (b"#" * (MAX_CONFIG_BYTES + 1), "larger than 256 KiB"),
        (b"enforcement: {mode: plann}", "enforcement.mode: Input should be"),
        (b"\x00", "not usable YAML"),
    ],
)
def test_file_that_is_no_configuration_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load_config(path, {})

    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"#" * MAX_CONFIG_BYTES)

    assert load_config(path, {}) == Config()


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing yet\n", "---\n", "{}", "null", "\ufeff", "slack:\narchive:\n", "exemptions:"]
)
def test_file_that_says_nothing_gives_the_defaults(text: str) -> None:
    assert parsed(text) == Config()


def test_byte_order_mark_does_not_hide_the_first_key() -> None:
    assert parsed("\ufeffconcurrency: {workers: 4}").concurrency.workers == 4


def test_entries_are_counted_from_one_and_their_variable_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("organization: {exclude_ous: [ou-ab12-11112222]}\n", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_config(path, {"ORGMFA_ORGANIZATION_EXCLUDE_OUS": "[ou-ab12-11112222, ou-1]"})

    told = "ORGMFA_ORGANIZATION_EXCLUDE_OUS: organization.exclude_ous (entry 2): "
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("ORGMFA_ENFORCEMENT_MODE", "apply", "enforcement", "mode", Mode.APPLY),
        ("ORGMFA_CONCURRENCY_WORKERS", "8", "concurrency", "workers", 8),
        ("ORGMFA_ENFORCEMENT_STOP", "ssm:/orgmfa/stop", "enforcement", "stop", "ssm:/orgmfa/stop"),
        (
            "ORGMFA_ORGANIZATION_EXCLUDE_ACCOUNTS",
            "['011111111111']",
            "organization",
            "exclude_accounts",
            ("011111111111",),
        ),
        ("ORGMFA_LIMITS_MAX_CHANGES_PER_RUN", "null", "limits", "max_changes_per_run", None),
        ("ORGMFA_ENFORCEMENT_MODE", "", "enforcement", "mode", Mode.PLAN),
        ("ORGMFA_ARCHIVE_LOCATION", "[runs", "archive", "location", "[runs"),
        ("ORGMFA_ARCHIVE_LOCATION", "2026-02-30", "archive", "location", "2026-02-30"),
    ],
)
def test_variable_wins_over_its_key(
    tmp_path: Path, variable: str, text: str, section: str, key: str, value: object
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("enforcement: {mode: plan, users: all}\nlimits: {max_changes_per_run: 5}\n", encoding="utf-8")

    config = load_config(path, {variable: text})

    assert getattr(getattr(config, section), key) == value
    assert config.enforcement.users == "all"


def test_variable_that_cannot_be_used_is_told() -> None:
    with pytest.raises(ConfigError, match=r"ORGMFA_ENFORCEMENT_MODE: enforcement\.mode"):
        load_config(None, {"ORGMFA_ENFORCEMENT_MODE": "aply"})


def test_variable_does_not_mend_a_section_that_is_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("enforcement: apply", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"config\.yaml: enforcement: Input should be a valid dictionary"):
        load_config(path, {"ORGMFA_ENFORCEMENT_MODE": "plan"})


def test_variable_that_cannot_be_used_is_named_and_not_the_file(tmp_path: Path) -> None:
    path = write_config(tmp_path / "config.yaml", 3)

    with pytest.raises(ConfigError, match="ORGMFA_ENFORCEMENT_MODE"):
        load_config(path, {"ORGMFA_ENFORCEMENT_MODE": "aply"})


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("limits: {max_changes_per_run: -1}", "ORGMFA_LIMITS_MAX_CHANGES_PER_RUN"),
        ("archive: {location: $NOWHERE/x}", "ORGMFA_ARCHIVE_LOCATION"),
        ("nudge: {text: $NOWHERE/x}", "ORGMFA_NUDGE_TEXT"),
    ],
)
def test_blank_variable_is_not_named_for_what_the_file_says(tmp_path: Path, text: str, variable: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"config\.yaml: \w+\.\w+: "):
        load_config(path, {variable: " "})


def test_unquoted_account_id_in_a_variable_is_a_text() -> None:
    with pytest.raises(ConfigError, match=r"organization\.id"):
        load_config(None, {"ORGMFA_ORGANIZATION_ID": "011111111111"})


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("ORGMFA_SLACK_CHANNEL", "#alerts", "#alerts"),
        ("ORGMFA_ARCHIVE_LOCATION", " /srv/runs #1\n", "/srv/runs #1"),
        ("ORGMFA_ARCHIVE_LOCATION", "'/srv/runs'", "/srv/runs"),
    ],
)
def test_variable_that_is_a_text_is_taken_whole(variable: str, text: str, value: str) -> None:
    config = load_config(None, {variable: text})

    assert value in {config.slack.channel, config.archive.location}


# -- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_variable", [True, False])
def test_paths_are_expanded(tmp_path: Path, *, by_variable: bool) -> None:
    path = tmp_path / "config.yaml"
    variables = {"HOME": str(tmp_path), "DIR": str(tmp_path), "ORGMFA_CONFIG": "$DIR/config.yaml"}
    if by_variable:
        variables |= {"ORGMFA_ENFORCEMENT_STOP": "${DIR}/stop", "ORGMFA_ARCHIVE_LOCATION": "~/runs"}
        path.write_text("", encoding="utf-8")
    else:
        path.write_text("{enforcement: {stop: '${DIR}/stop'}, archive: {location: ~/runs}}", encoding="utf-8")

    config = load_config(None, variables)

    assert config.enforcement.stop == f"{tmp_path}/stop"
    assert config.archive.location == f"{tmp_path}/runs"


def test_parameter_and_bucket_are_never_expanded() -> None:
    config = load_config(
        None, {"ORGMFA_ENFORCEMENT_STOP": "ssm:/$A/~", "ORGMFA_ARCHIVE_LOCATION": "s3://bucket/$A/~", "A": "x"}
    )

    assert (config.enforcement.stop, config.archive.location) == ("ssm:/$A/~", "s3://bucket/$A/~")


def test_variable_may_hold_a_parameter_or_a_bucket() -> None:
    config = load_config(
        None,
        {
            "ORGMFA_ENFORCEMENT_STOP": "$SWITCH",
            "SWITCH": "ssm:/orgmfa/stop",
            "ORGMFA_ARCHIVE_LOCATION": "$RUNS",
            "RUNS": "s3://bucket/runs",
        },
    )

    assert (config.enforcement.stop, config.archive.location) == ("ssm:/orgmfa/stop", "s3://bucket/runs")


BAD_PATHS = [
    ("$NOT_SET/x", "the variable NOT_SET is not set"),
    ("$NOT_SET", "the variable NOT_SET is not set"),
    ("$EMPTY/x", "the variable EMPTY is not set, or empty"),
    ("~nobody-of-this-name/x", "no such user"),
    ("${NOT_SET", "a variable is written"),
]
BAD_SWITCHES = [
    ("/nowhere/at/all/stop", "no folder /nowhere/at/all is there"),
    ("/dev/null/stop", "no folder /dev/null is there"),
    ("$SPOILT", "'stop' is what a switch holds"),
]


@pytest.mark.parametrize(("text", "words"), BAD_PATHS)
@pytest.mark.parametrize("key", ["ENFORCEMENT_STOP", "ARCHIVE_LOCATION", "CONFIG"])
def test_path_that_cannot_be_expanded_is_told_with_key_and_value(key: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {f"ORGMFA_{key}": text, "EMPTY": ""})

    told = str(caught.value)
    assert told.startswith(f"ORGMFA_{key}: ")
    assert repr(text) in told
    assert words in told


def test_path_of_the_file_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("enforcement: {stop: $NOT_SET/stop}", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_config(path, {})

    assert str(caught.value).startswith(f"{path}: enforcement.stop: '$NOT_SET/stop': the variable NOT_SET is not set")


@pytest.mark.parametrize(("text", "words"), BAD_SWITCHES)
def test_switch_that_nobody_could_set_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^ORGMFA_ENFORCEMENT_STOP: enforcement\.stop: ") as caught:
        load_config(None, {"ORGMFA_ENFORCEMENT_STOP": text, "SPOILT": "stop"})

    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_variable_of_the_switch_that_is_empty_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="ORGMFA_ENFORCEMENT_STOP is empty"):
        load_config(None, {"ORGMFA_ENFORCEMENT_STOP": text})


NO_SWITCHES = [
    *("false", "no", "off", "0", "2026", "[]", "{}", "go", "'stop'", "'No'", "stop", "''", "'null'", "!!str"),
    *("ssm:stop", "SSM:/stop", "arn:aws:ssm:x", "C:\\stop", "unusable:x", "file:///stop", '" x"', '"a\\0"', "x/"),
]


@pytest.mark.parametrize("text", [*NO_SWITCHES, "# x", "x # y", "null # y", "---", "!!null"])
def test_variable_that_names_no_switch_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"ORGMFA_ENFORCEMENT_STOP: enforcement\.stop"):
        load_config(None, {"ORGMFA_ENFORCEMENT_STOP": text})


@pytest.mark.parametrize("text", NO_SWITCHES)
def test_key_that_names_no_switch_is_refused(text: str) -> None:
    assert refusal(f"enforcement:\n  stop: {text}\n").startswith("config.yaml: enforcement.stop: ")


@given(st.sampled_from(BAD_PATHS + BAD_SWITCHES[2:]) | st.just(("", "is empty")))
def test_switch_that_cannot_be_used_always_reads_as_stop_where_it_is_tolerated(bad: tuple[str, str]) -> None:
    text, words = bad

    config = load_config(None, {"ORGMFA_ENFORCEMENT_STOP": text, "EMPTY": "", "SPOILT": "stop"}, tolerates_switch=True)

    reading = look_at_switch(config.enforcement.stop, pytest.fail, Retrier(Cancellation()))
    assert reading.is_stopped
    assert words in reading.words


def test_folder_that_is_not_there_reads_as_stop_only_as_long_as_it_is_tolerated_and_missing(tmp_path: Path) -> None:
    folder = tmp_path / "share"
    config = load_config(None, {"ORGMFA_ENFORCEMENT_STOP": f"{folder}/stop"}, tolerates_switch=True)
    before = look_at_switch(config.enforcement.stop, pytest.fail, Retrier(Cancellation()))
    folder.mkdir()

    after = look_at_switch(config.enforcement.stop, pytest.fail, Retrier(Cancellation()))

    assert (before.is_stopped, after.is_stopped) == (True, False)


def test_file_alone_keeps_its_paths_for_the_machine_that_will_read_them(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("{enforcement: {stop: $EFS/stop}, archive: {location: ~/runs}}", encoding="utf-8")

    config = load_file(path)

    assert (config.enforcement.stop, config.archive.location) == ("$EFS/stop", "~/runs")
