"""What a configuration may say: an unknown key or a value that is no use is told with its place."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.domain.config import Config
from orchestrator.domain.config_file import load_config
from orchestrator.domain.errors import ConfigError
from tests.domain.config_samples import parsed, refusal


@pytest.mark.parametrize(
    ("text", "key", "known"),
    [
        ("enforce: {}", "enforce", "archive, concurrency, enforcement, events, exemptions"),
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
            "exemptions (entry 1).users",
            "accounts, reason, until, user",
        ),
    ],
)
def test_unknown_key_is_named_with_the_known_ones(text: str, key: str, known: str) -> None:
    assert refusal(text).startswith(f"config.yaml: {key}: unknown key; known here: {known}")


def test_what_is_wrong_in_a_list_is_told_once() -> None:
    told = refusal("exemptions: [{user: a, accounts: ['123'], reason: r}]")

    assert told.startswith("config.yaml: exemptions (entry 1).accounts (entry 1): ")
    assert "found '123'" in told
    assert len(told.splitlines()) == 1


def test_key_that_is_missing_is_named_without_its_section() -> None:
    assert refusal("exemptions: [{user: a}]") == "config.yaml: exemptions (entry 1).reason: a value is needed here"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("slack: always", "slack", "valid dictionary"),
        ("exemptions: {user: a}", "exemptions", "valid tuple"),
        ("exemptions: [alice]", "exemptions (entry 1)", "valid dictionary"),
        ("protected_users: alice", "protected_users", "valid tuple"),
        ("protected_users: ['']", "protected_users (entry 1).user", "at least 1 character"),
        ("protected_users: [1]", "protected_users (entry 1).user", "valid string"),
        (
            "protected_users: [{user: a, until: 2026-12-31}]",
            "protected_users (entry 1).until",
            "known here: accounts, user",
        ),
        ("protected_users: [{user: a, accounts: []}]", "protected_users (entry 1).accounts", "at least 1 item"),
        (
            "protected_users: [{user: a, accounts: [acme]}]",
            "protected_users (entry 1).accounts (entry 1)",
            "match pattern",
        ),
        ("protected_users: [{accounts: ['111122223333']}]", "protected_users (entry 1).user", "a value is needed"),
        ("organization: {id: exampleorg1}", "organization.id", "match pattern"),
        ("organization: {include_ous: [production]}", "organization.include_ous (entry 1)", "match pattern"),
        ("organization: {exclude_ous: [ou-1]}", "organization.exclude_ous (entry 1)", "match pattern"),
        ("organization: {include_management_account: 'no'}", "organization.include_management_account", "boolean"),
        ("organization: {exclude_accounts: ['1111']}", "organization.exclude_accounts (entry 1)", "match pattern"),
        ("organization: {exclude_accounts: ['*']}", "organization.exclude_accounts (entry 1)", "match pattern"),
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
        ("events: {bus: 'arn:aws:events:us-east-1:111122223333:event-bus/default'}", "events.bus", "match pattern"),
    ],
)
def test_value_that_cannot_be_used_is_told_with_file_and_key(text: str, key: str, words: str) -> None:
    told = refusal(text)

    assert told.startswith(f"config.yaml: {key}: ")
    assert words in told


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("organization: {exclude_accounts: ['１１１１２２２２３３３３']}", "organization.exclude_accounts (entry 1)"),  # noqa: RUF001 - digits that are none to AWS
        ("exemptions: [{user: ci-*, reason: r, until: 86400}]", "exemptions (entry 1).until"),
        ("exemptions: [{user: ci-*, reason: r, until: '86400'}]", "exemptions (entry 1).until"),
        ("enforcement: {stop: ''}", "enforcement.stop"),
        ("limits: {max_share_per_account: true}", "limits.max_share_per_account"),
    ],
)
def test_value_that_only_looks_right_is_refused(text: str, key: str) -> None:
    assert f"config.yaml: {key}: " in refusal(text)


def test_date_that_does_not_exist_is_told_with_its_key() -> None:
    assert "exemptions (entry 1).until: " in refusal("exemptions: [{user: ci-*, reason: r, until: 2026-02-30}]")


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
@pytest.mark.parametrize("key", ["organization.exclude_accounts (entry 1)", "exemptions (entry 1).accounts (entry 1)"])
def test_account_id_without_quotes_is_refused(key: str, written: str) -> None:
    text = {
        "organization.exclude_accounts (entry 1)": f"organization: {{exclude_accounts: [{written}]}}",
        "exemptions (entry 1).accounts (entry 1)": f"exemptions: [{{user: robot, reason: r, accounts: [{written}]}}]",
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
