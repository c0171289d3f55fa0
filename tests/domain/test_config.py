import json
import re
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.config import Config, Exemption, LimitsConfig, check_pattern, matches, parse_duration
from orchestrator.domain.config_file import load_config
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode
from tests.configuration_page import PAGE, place_table
from tests.domain.config_samples import ALL_KEYS, DEFAULTS, ROBOT, keys_in, parsed, refusal

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


# -- the file that is shipped, and the document ------------------------------------------------------------------------


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
        ("enforcement: {Mode: plan}", "enforcement.Mode", "check_enrolment, context, grace_period"),
        ("policy: {arn: x}", "policy.arn", "access_keys, group, managed_by, name, path"),
        ("limits: {max: 1}", "limits.max", "hold_keys_used_within, max_changes_per_account, max_changes_per_run"),
        ("concurrency: {threads: 1}", "concurrency.threads", "workers"),
        ("slack: {webhook: x}", "slack.webhook", "attach, channel, enrolments, mention, secret, users, when"),
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
        ("protected_users: ['']", "protected_users.0.user", "at least 1 character"),
        ("protected_users: [1]", "protected_users.0.user", "valid string"),
        ("protected_users: [{user: a, until: 2026-12-31}]", "protected_users.0.until", "known here: accounts, user"),
        ("protected_users: [{user: a, accounts: []}]", "protected_users.0.accounts", "at least 1 item"),
        ("protected_users: [{user: a, accounts: [acme]}]", "protected_users.0.accounts.0", "match pattern"),
        ("protected_users: [{accounts: ['111122223333']}]", "protected_users.0.user", "a value is needed"),
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
        ("slack: {secret: 'https://hooks.slack.com/services/T/B/X'}", "slack.secret", "never the webhook URL itself"),
        ("archive: {location: ''}", "archive.location", "at least 1 character"),
        ("archive: {location: 's3://'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 's3://my-bucket?versionId=1'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 's3://my-bucket/runs#a'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 'S3://bucket'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 's3:/bucket'}", "archive.location", "neither a folder nor s3://"),
        ("archive: {location: 's3:bucket'}", "archive.location", "neither a folder nor s3://"),
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


@pytest.mark.parametrize(
    "location", ["./runs", "/var/lib/orgmfa", "audit:2026", "runs-12:30", "s3://my-bucket", "s3://my.bucket/a/b c/"]
)
def test_archive_is_a_folder_or_a_bucket(location: str) -> None:
    assert Config.model_validate({"archive": {"location": location}}).archive.location == location


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{aws:SourceIp: 198.51.100.7}", {"aws:SourceIp": "198.51.100.7"}),
        ("{aws:SourceVpc: [vpc-1, vpc-2]}", {"aws:SourceVpc": ("vpc-1", "vpc-2")}),
        ("{custom:flag: true, custom:age: 7}", {"custom:flag": True, "custom:age": 7}),
        ("{aws:PrincipalOrgPaths: [o-a/r-b/]}", {"aws:PrincipalOrgPaths": ("o-a/r-b/",)}),
    ],
)
def test_context_takes_condition_keys_that_orgmfa_cannot_know(
    tmp_path: Path, text: str, value: dict[str, object]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"enforcement:\n  context: {text}\n", encoding="utf-8")

    assert load_config(file, {}).enforcement.context == value
    assert load_config(None, {"ORGMFA_ENFORCEMENT_CONTEXT": text}).enforcement.context == value


@pytest.mark.parametrize(
    "key",
    [
        "aws:MultiFactorAuthPresent",
        "aws:multifactorauthage",
        "aws:ViaAWSService",
        "aws:UserName",
        "aws:PrincipalArn",
        "aws:PrincipalAccount",
        "aws:PrincipalOrgID",
        "aws:PrincipalTag/team",
        "aws:PrincipalType",
        "aws:PrincipalIsAWSService",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:ResourceOrgID",
        "aws:SecureTransport",
        "AWS:CURRENTTIME",
    ],
)
def test_context_takes_no_key_that_is_known_for_each_user(key: str) -> None:
    with pytest.raises(ValidationError, match="must not be given"):
        Config.model_validate({"enforcement": {"context": {key: "x"}}})


@pytest.mark.parametrize(
    "context", ["{SourceIp: 1}", "{aws:SourceIp: null}", "{aws:SourceIp: ''}", "{aws:x: []}", "[]"]
)
def test_context_refuses_what_is_no_condition_key_with_a_value(tmp_path: Path, context: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"enforcement:\n  context: {context}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"enforcement\.context"):
        load_config(file, {})


@pytest.mark.parametrize("stop", ["stop.txt", "/etc/orgmfa/stop", "ssm:/orgmfa/stop", None])
def test_stop_switch_is_a_file_or_a_parameter(stop: str | None) -> None:
    assert Config.model_validate({"enforcement": {"stop": stop}}).enforcement.stop == stop


# -- how long runs are kept -------------------------------------------------------------------------------------------


@given(st.integers(0, 60) | st.none(), st.integers(0, 60 * 24))
def test_runs_are_kept_for_a_day_and_as_long_as_users_have_notice(keep: int | None, notice: int) -> None:
    text = f"archive: {{keep: {'null' if keep is None else f'{keep}d'}}}\nenforcement: {{notice: {notice}h}}"
    if keep is None or keep * 24 >= max(24, notice):
        assert parsed(text).archive.keep == (None if keep is None else timedelta(days=keep))
    else:
        assert refusal(text).startswith("config.yaml: archive.keep")


# -- names of users --------------------------------------------------------------------------------------------------

NO_NAMES = [
    "arn:aws:iam::111122223333:user/break-glass",
    "/admins/break-glass",
    "admins/break-*",
    "break-glass ",
    " break-glass",
    "break glass",
    "break-glass\n",
    "bre\u0430k-glass",  # a Cyrillic letter
    "\u212aim",  # the sign of kelvin, which is a k to those who ignore case
    "[\u0430-\u044f]*",
    "break-glass\u200b",
    "break-glass:1",
    "a" * 65,
    "?" * 65,
    "*" + "a?" * 32 + "[ab]",
    "break-[glass",
    "break-glass]",
    "!break-glass",
    "[b-a]*",
    "[]",
    "[*]",
    "",
]


@pytest.mark.parametrize(
    "entry",
    [
        "protected_users: [{name}]",
        "protected_users: [{{user: {name}}}]",
        "exemptions: [{{user: {name}, reason: r, until: 2026-12-31}}]",
    ],
)
@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_what_the_name_of_no_iam_user_can_match_is_refused(entry: str, name: str) -> None:
    told = refusal(entry.format(name=json.dumps(name)))

    assert told.startswith(f"config.yaml: {entry.split(':', maxsplit=1)[0]}.0.user: ")
    assert not name or ("a name, not an ARN" in told and ascii(name) in told)


@pytest.mark.parametrize(
    "name", ["a", "a" * 64, "*" + "?" * 64 + "*", "Ana.Silva+ops=1,2@acme_x-y", "[!a-c]*", "[]a]b", "[!]]", "*", "[!!]"]
)
def test_what_the_name_of_an_iam_user_can_match_is_taken(name: str) -> None:
    assert parsed(f"protected_users: [{json.dumps(name)}]").protected_users[0].user == name


@given(st.text("aB-*?[]!", min_size=1, max_size=6))
def test_pattern_is_taken_exactly_where_some_name_matches(pattern: str) -> None:
    names = ("".join(name) for size in range(1, 7) for name in product("ab-z", repeat=size))
    if any(matches(pattern, name) for name in names):
        assert check_pattern(pattern) == pattern
    else:
        with pytest.raises(ValueError, match="a name, not an ARN"):
            check_pattern(pattern)


@pytest.mark.parametrize(
    ("entry", "account_id", "is_covered"),
    [
        ("break-*", "111122223333", True),
        ("{user: break-*}", "444455556666", True),
        ("{user: break-*, accounts: ['111122223333']}", "111122223333", True),
        ("{user: break-*, accounts: ['111122223333']}", "444455556666", False),
        ("{user: break-*, accounts: ['111122223333', '*']}", "444455556666", True),
        ("{user: ana, accounts: ['111122223333']}", "111122223333", False),
    ],
)
def test_protected_user_is_covered_in_the_accounts_of_its_entry(entry: str, account_id: str, is_covered: bool) -> None:
    (protected,) = parsed(f"protected_users: [{entry}]").protected_users

    assert protected.covers("Break-Glass", account_id) == is_covered


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
