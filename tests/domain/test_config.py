import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from orchestrator.aws.retries import Retrier
from orchestrator.aws.stop_switch import look_at_switch
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import Config, Exemption, LimitsConfig, parse_duration
from orchestrator.domain.config_file import MAX_CONFIG_BYTES, load_config, load_file, parse_config
from orchestrator.domain.environment import SlackCredentials, parse_slack_secret, slack_credentials
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode
from tests.configuration_page import PAGE, place_table

ROOT = Path(__file__).parents[2]
ROBOT = {"user": "robot", "accounts": ["111122223333"], "reason": "moving to a role"}


def parsed(text: str) -> Config:
    return parse_config(text, source="config.yaml")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return str(caught.value)


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of every setting, those of an exemption included."""
    for name, field in model.model_fields.items():
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        section = next((one for one in inner if issubclass(one, BaseModel)), None)
        if section is None or field.annotation is not section:
            yield prefix + name
        if section is not None:
            yield from keys_of(section, f"{prefix}{name}.")


def keys_in(document: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a parsed YAML document; the items of a list share the key of the list."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield prefix + name
            yield from keys_in(value, f"{prefix}{name}.")
    elif isinstance(document, list):
        for item in document:
            yield from keys_in(item, prefix)


ALL_KEYS = sorted(keys_of(Config))


DEFAULTS = {
    "organization.id": None,
    "organization.include_ous": (),
    "organization.exclude_ous": (),
    "organization.exclude_accounts": (),
    "organization.include_management_account": True,
    "member_role.name": "orgmfa-member",
    "member_role.release_name": "orgmfa-release",
    "member_role.path": "/",
    "enforcement.mode": "plan",
    "enforcement.users": "console",
    "enforcement.grace_period": timedelta(),
    "enforcement.notice": timedelta(),
    "enforcement.check_enrolment": True,
    "enforcement.stop": None,
    "policy.name": "EnforceMFA",
    "policy.group": "EnforceMFA",
    "policy.path": "/",
    "policy.managed_by": "stackset",
    "policy.access_keys": "deny",
    "exemptions": (),
    "protected_users": (),
    "limits.max_changes_per_account": 100,
    "limits.max_changes_per_run": 100,
    "limits.max_share_per_account": 1.0,
    "limits.hold_keys_used_within": timedelta(days=90),
    "concurrency.workers": 80,
    "slack.channel": None,
    "slack.secret": None,
    "slack.when": "always",
    "slack.mention": None,
    "slack.users": "names",
    "slack.attach": False,
    "archive.location": "./orgmfa-runs",
    "archive.keep": timedelta(days=400),
    "archive.link": None,
    "securityhub.enabled": False,
}


@pytest.mark.parametrize(("key", "default"), DEFAULTS.items())
def test_setting_has_its_default(key: str, default: object) -> None:
    value: Any = Config()
    for part in key.split("."):
        value = getattr(value, part)

    assert value == default


def test_every_setting_is_in_the_table_of_defaults() -> None:
    assert [key for key in ALL_KEYS if not key.startswith("exemptions.")] == sorted(DEFAULTS)


# -- the file that is shipped, and the document ------------------------------------------------------------------------


def test_shipped_file_says_the_defaults() -> None:
    assert load_config(ROOT / "config.yaml", {}) == Config()


def test_shipped_file_has_every_setting_and_a_word_on_each() -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    example_entry = re.search(r"(?:^#   .*\n)+", text, re.MULTILINE)
    assert example_entry is not None
    entry = {"exemptions": yaml.safe_load(re.sub(r"^#   ", "", example_entry[0], flags=re.MULTILINE))}
    sections = {key.split(".")[0] for key in ALL_KEYS}
    found = {*keys_in(yaml.safe_load(text)), *keys_in(entry)}
    settings_lines = [line for line in text.splitlines() if re.match(r"\s*\w+:.", line)]

    assert found - sections == set(ALL_KEYS) - sections
    assert sections <= found
    assert [line for line in settings_lines if "  # " not in line] == []
    assert Config.model_validate(entry).exemptions[0].user == "ci-*"


def test_document_has_a_row_for_every_setting() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert place_table(text) == text
    assert [key for key in ALL_KEYS if f"| `{key}` |" not in text and not key.startswith("exemptions.")] == []


def test_document_explains_the_keys_of_an_exemption() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

    explained = {key for block in blocks for key in keys_in(yaml.safe_load(block))}
    assert {key for key in ALL_KEYS if key.startswith("exemptions.")} <= explained


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


# -- what it may say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "known"),
    [
        ("enforce: {}", "enforce", "archive, concurrency, enforcement, exemptions, limits"),
        (
            "organization: {ous: []}",
            "organization.ous",
            "exclude_accounts, exclude_ous, id, include_management_account",
        ),
        ("member_role: {arn: x}", "member_role.arn", "name, path, release_name"),
        ("enforcement: {Mode: plan}", "enforcement.Mode", "check_enrolment, grace_period"),
        ("policy: {arn: x}", "policy.arn", "access_keys, group, managed_by, name, path"),
        ("limits: {max: 1}", "limits.max", "hold_keys_used_within, max_changes_per_account, max_changes_per_run"),
        ("concurrency: {threads: 1}", "concurrency.threads", "workers"),
        ("slack: {webhook: x}", "slack.webhook", "attach, channel, mention, secret, users, when"),
        ("archive: {bucket: x}", "archive.bucket", "keep, link, location"),
        ("securityhub: {region: x}", "securityhub.region", "enabled"),
        (
            'exemptions: [{user: a, accounts: ["111122223333"], reason: r, users: b}]',
            "exemptions.0.users",
            "accounts, reason, until, user",
        ),
    ],
)
def test_unknown_key_is_named_with_the_known_ones(text: str, key: str, known: str) -> None:
    assert refusal(text).startswith(f"config.yaml: {key}: unknown key; known here: {known}")


def test_what_is_wrong_in_a_list_is_told_once() -> None:
    told = refusal("exemptions: [{user: a, accounts: ['123'], reason: r}]")

    assert told.startswith("config.yaml: exemptions.0.accounts.0: ")
    assert "found '123'" in told
    assert len(told.splitlines()) == 1


def test_key_that_is_missing_is_named_without_its_section() -> None:
    assert refusal("exemptions: [{user: a}]") == "config.yaml: exemptions.0.reason: a value is needed here"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("slack: always", "slack", "valid dictionary"),
        ("exemptions: {user: a}", "exemptions", "valid tuple"),
        ("exemptions: [alice]", "exemptions.0", "valid dictionary"),
        ("protected_users: alice", "protected_users", "valid tuple"),
        ("protected_users: ['']", "protected_users.0", "at least 1 character"),
        ("protected_users: [1]", "protected_users.0", "valid string"),
        ("organization: {id: exampleorg1}", "organization.id", "match pattern"),
        ("organization: {include_ous: [production]}", "organization.include_ous.0", "match pattern"),
        ("organization: {exclude_ous: [ou-1]}", "organization.exclude_ous.0", "match pattern"),
        ("organization: {include_management_account: 'no'}", "organization.include_management_account", "boolean"),
        ("organization: {exclude_accounts: ['1111']}", "organization.exclude_accounts.0", "match pattern"),
        ("organization: {exclude_accounts: ['*']}", "organization.exclude_accounts.0", "match pattern"),
        ("member_role: {name: a/b}", "member_role.name", "match pattern"),
        ("member_role: {name: rôle}", "member_role.name", "match pattern"),
        (f"member_role: {{release_name: {'x' * 65}}}", "member_role.release_name", "match pattern"),
        ("member_role: {path: security}", "member_role.path", "match pattern"),
        ("member_role: {path: /security}", "member_role.path", "match pattern"),
        ("enforcement: {mode: dry-run}", "enforcement.mode", "should be 'plan' or 'apply' (found 'dry-run')"),
        ("enforcement: {mode: [plan]}", "enforcement.mode", "'plan' or 'apply' (found ['plan'])"),
        ("enforcement: {mode: release}", "enforcement.mode", "'plan' or 'apply'; releasing is the command"),
        ("enforcement: {users: keys}", "enforcement.users", "'console' or 'all'"),
        ("enforcement: {grace_period: 3}", "enforcement.grace_period", "3 is not a duration"),
        ("enforcement: {grace_period: 3 days}", "enforcement.grace_period", "'3 days' is not a duration"),
        ("enforcement: {notice: soon}", "enforcement.notice", "'soon' is not a duration"),
        ("enforcement: {stop: 'ssm:name'}", "enforcement.stop", "write ssm:/name"),
        ("enforcement: {stop: true}", "enforcement.stop", "valid string"),
        ("policy: {name: Enforce MFA}", "policy.name", "match pattern"),
        ("policy: {managed_by: terraform}", "policy.managed_by", "'stackset' or 'orchestrator'"),
        ("policy: {access_keys: true}", "policy.access_keys", "'deny' or 'allow'"),
        ("limits: {max_changes_per_account: -1}", "limits.max_changes_per_account", "greater than or equal to 0"),
        ("limits: {max_changes_per_run: '5'}", "limits.max_changes_per_run", "valid integer"),
        ("limits: {max_changes_per_run: true}", "limits.max_changes_per_run", "valid integer"),
        ("limits: {max_share_per_account: 1.1}", "limits.max_share_per_account", "less than or equal to 1"),
        ("limits: {max_share_per_account: .nan}", "limits.max_share_per_account", "greater than or equal to 0"),
        ("concurrency: {workers: 0}", "concurrency.workers", "greater than or equal to 1"),
        ("concurrency: {workers: 257}", "concurrency.workers", "less than or equal to 256"),
        ("slack: {when: never}", "slack.when", "'always' or 'findings'"),
        ("slack: {mention: everyone}", "slack.mention", "match pattern"),
        ("slack: {attach: 1}", "slack.attach", "valid boolean"),
        ("slack: {attach: true, users: counts}", "slack", "the page of the run, which names users"),
        ("archive: {location: ''}", "archive.location", "at least 1 character"),
        ("archive: {location: 's3://'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 's3://my-bucket?versionId=1'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 's3://my-bucket/runs#a'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 'S3://bucket'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 'https://bucket.s3.amazonaws.com'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {link: 'runs/{run_id}'}", "archive.link", "match pattern"),
        ("archive: {keep: 1y}", "archive.keep", "'1y' is not a duration"),
        ("securityhub: {enabled: 1}", "securityhub.enabled", "valid boolean"),
    ],
)
def test_value_that_cannot_be_used_is_told_with_file_and_key(text: str, key: str, words: str) -> None:
    told = refusal(text)

    assert told.startswith(f"config.yaml: {key}: ")
    assert words in told


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("organization: {exclude_accounts: ['１１１１２２２２３３３３']}", "organization.exclude_accounts.0"),  # noqa: RUF001 - digits that are none to AWS
        ("exemptions: [{user: ci-*, reason: r, until: 86400}]", "exemptions.0.until"),
        ("exemptions: [{user: ci-*, reason: r, until: '86400'}]", "exemptions.0.until"),
        ("enforcement: {stop: ''}", "enforcement.stop"),
        ("limits: {max_share_per_account: true}", "limits.max_share_per_account"),
    ],
)
def test_value_that_only_looks_right_is_refused(text: str, key: str) -> None:
    assert f"config.yaml: {key}: " in refusal(text)


def test_date_that_does_not_exist_is_told_with_its_key() -> None:
    assert "exemptions.0.until: " in refusal("exemptions: [{user: ci-*, reason: r, until: 2026-02-30}]")


def test_every_problem_is_told_at_once() -> None:
    lines = refusal("concurrency: {workers: 0}\nslack: {when: never}\nnope: 1").splitlines()

    assert [line.split(": ")[1] for line in lines] == ["concurrency.workers", "slack.when", "nope"]


@pytest.mark.parametrize("text", ["[]", "- mode: plan", "plan", "1", "2026-03-02"])
def test_document_that_is_no_mapping_is_refused(text: str) -> None:
    assert "must be a mapping of sections" in refusal(text)


@pytest.mark.parametrize(
    ("text", "account_ids"),
    [
        ("organization: {exclude_accounts: ['011111111111', \"111122223333\"]}", ("011111111111", "111122223333")),
        ("organization: {exclude_accounts: [091111111111]}", ("091111111111",)),  # 9 is no octal digit: YAML keeps it
    ],
)
def test_account_id_keeps_its_leading_zero(text: str, account_ids: tuple[str, ...]) -> None:
    assert parsed(text).organization.exclude_accounts == account_ids


@pytest.mark.parametrize("written", ["011111111111", "111122223333", "0o11", "true"])
@pytest.mark.parametrize("key", ["organization.exclude_accounts.0", "exemptions.0.accounts.0"])
def test_account_id_without_quotes_is_refused(key: str, written: str) -> None:
    text = {
        "organization.exclude_accounts.0": f"organization: {{exclude_accounts: [{written}]}}",
        "exemptions.0.accounts.0": f"exemptions: [{{user: robot, reason: r, accounts: [{written}]}}]",
    }[key]
    told = refusal(text)

    assert told.startswith(f"config.yaml: {key}: ")
    assert ("must stand in quotes" in told) == (written != "0o11")  # YAML 1.1 reads 0o11 as a text


@pytest.mark.parametrize("location", ["./runs", "/var/lib/orgmfa", "runs", "s3://my-bucket", "s3://my.bucket/a/b c/"])
def test_archive_is_a_folder_or_a_bucket(location: str) -> None:
    assert Config.model_validate({"archive": {"location": location}}).archive.location == location


@pytest.mark.parametrize("stop", ["stop.txt", "/etc/orgmfa/stop", "ssm:/orgmfa/stop", None])
def test_stop_switch_is_a_file_or_a_parameter(stop: str | None) -> None:
    assert Config.model_validate({"enforcement": {"stop": stop}}).enforcement.stop == stop


# -- exemptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "is_accepted"),
    [
        ({}, True),
        ({"user": "ci-*"}, False),
        ({"user": "ci-?"}, False),
        ({"user": "ci-[0-9]"}, False),
        ({"accounts": ["*"]}, False),
        ({"accounts": ["111122223333", "*"]}, False),
        ({"user": "ci-*", "until": date(2026, 12, 31)}, True),
        ({"accounts": ["*"], "until": date(2026, 12, 31)}, True),
    ],
)
def test_exemption_for_a_pattern_or_every_account_needs_an_end(
    changes: dict[str, Any],
    is_accepted: bool,
) -> None:
    if is_accepted:
        assert Exemption.model_validate(ROBOT | changes).user
    else:
        with pytest.raises(ValidationError, match="needs an end: add until: YYYY-MM-DD"):
            Exemption.model_validate(ROBOT | changes)


def test_exemption_without_accounts_is_for_every_account_and_needs_an_end() -> None:
    assert refusal("exemptions: [{user: robot, reason: r}]").startswith("config.yaml: exemptions.0: an exemption")
    assert parsed("exemptions: [{user: robot, reason: r, until: 2026-12-31}]").exemptions[0].accounts == ("*",)


@pytest.mark.parametrize("written", ["2026-12-31", "'2026-12-31'"])
def test_end_of_an_exemption_is_a_date_quoted_or_not(written: str) -> None:
    exemption = parsed(f"exemptions: [{{user: ci-*, reason: r, until: {written}}}]").exemptions[0]

    assert exemption.until == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("{accounts: ['111122223333'], reason: r}", "user"),
        ("{user: robot, accounts: ['111122223333']}", "reason"),
        ("{user: robot, accounts: ['111122223333'], reason: '  '}", "reason"),
        ("{user: robot, accounts: [], reason: r}", "accounts"),
        ("{user: robot, accounts: [acme-payments], reason: r}", "accounts.0"),
        ("{user: robot, accounts: ['111122223333'], reason: r, until: tomorrow}", "until"),
        ("{user: robot, accounts: ['111122223333'], reason: r, until: 2026-12-31 10:00:00}", "until"),
        ("{user: robot, accounts: ['111122223333'], reason: r, until: 20261231}", "until"),
    ],
)
def test_exemption_that_lacks_something_is_refused(entry: str, key: str) -> None:
    assert f"config.yaml: exemptions.0.{key}: " in refusal(f"exemptions: [{entry}]")


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
        "enforcement.notice": st.from_regex(r"[0-9]{1,5}[dhm]", fullmatch=True),
        "limits.max_changes_per_account": count,
        "limits.max_changes_per_run": count,
        "limits.max_share_per_account": st.floats(0, 1),
        "concurrency.workers": st.integers(1, 256),
        "protected_users": st.lists(st.text("abc*?[]-", min_size=1), max_size=3),
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


# -- durations, limits -----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("most", [None, 0, 5])
def test_limits_of_one_run_replace_both_counts_and_nothing_else(most: int | None) -> None:
    limits = LimitsConfig(max_share_per_account=0.5, hold_keys_used_within=timedelta(days=1))

    changed = limits.with_max_changes(most)

    assert (changed.max_changes_per_account, changed.max_changes_per_run) == (most, most)
    assert changed.max_share_per_account == 0.5
    assert changed.hold_keys_used_within == timedelta(days=1)
    assert limits.max_changes_per_run == 100


def test_configuration_cannot_be_changed_behind_a_run() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().enforcement.mode = Config().enforcement.mode  # type: ignore[misc]  # the point of the test


# -- credentials of Slack --------------------------------------------------------------------------------------------

WEBHOOK = "https://hooks.slack.com/services/T000/B000/s3cret"
TOKEN = "xoxb-s3cret"


@pytest.mark.parametrize(
    ("environment", "credentials"),
    [
        ({}, None),
        ({"ORGMFA_SLACK_WEBHOOK_URL": "", "ORGMFA_SLACK_BOT_TOKEN": ""}, None),
        ({"ORGMFA_SLACK_WEBHOOK_URL": WEBHOOK}, SlackCredentials(webhook_url=WEBHOOK)),
        ({"ORGMFA_SLACK_BOT_TOKEN": TOKEN}, SlackCredentials(bot_token=TOKEN)),
        (
            {"ORGMFA_SLACK_WEBHOOK_URL": WEBHOOK, "ORGMFA_SLACK_BOT_TOKEN": TOKEN},
            SlackCredentials(webhook_url=WEBHOOK, bot_token=TOKEN),
        ),
    ],
)
def test_slack_credentials_come_from_the_environment(
    environment: dict[str, str], credentials: SlackCredentials | None
) -> None:
    assert slack_credentials(environment) == credentials


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        (WEBHOOK, SlackCredentials(webhook_url=WEBHOOK)),
        (f"  {WEBHOOK}\n", SlackCredentials(webhook_url=WEBHOOK)),
        ("http://127.0.0.1:8080/hook", SlackCredentials(webhook_url="http://127.0.0.1:8080/hook")),
        (f'{{"bot_token": "{TOKEN}"}}', SlackCredentials(bot_token=TOKEN)),
        (f'{{"bot_token": "{TOKEN}", "note": 1}}', SlackCredentials(bot_token=TOKEN)),
    ],
)
def test_secret_holds_a_webhook_or_a_bot_token(text: str, credentials: SlackCredentials) -> None:
    assert parse_slack_secret(text, name="orgmfa/slack") == credentials


@pytest.mark.parametrize(
    "text",
    ["", TOKEN, f'"{TOKEN}"', f'["{TOKEN}"]', '{"token": "xoxb-s3cret"}', '{"bot_token": ""}', '{"bot_token": 1}'],
)
def test_secret_that_is_neither_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_slack_secret(text, name="orgmfa/slack")

    assert str(caught.value).startswith("slack.secret: the secret orgmfa/slack holds neither")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"slack: {{webhook_url: '{WEBHOOK}'}}",
        f"slack: {{bot_token: {TOKEN}}}",
        f"slack: {{secret: {{bot_token: {TOKEN}}}}}",
        f"slack: {{secret: [{TOKEN}]}}",
        f"slack: {{mention: {TOKEN}}}",
        f"slack: {WEBHOOK}",
        f"slack: [{{bot_token: {TOKEN}}}]",
    ],
)
def test_secret_in_the_wrong_place_is_not_repeated(text: str) -> None:
    assert "s3cret" not in refusal(text)


def test_credentials_do_not_show_themselves() -> None:
    assert "s3cret" not in repr(SlackCredentials(webhook_url=WEBHOOK, bot_token=TOKEN))


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
