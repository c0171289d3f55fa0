"""`orgmfa config`: what is in force and where it comes from, with no AWS at all."""

import json
from pathlib import Path

import pytest
import yaml

from orchestrator.domain.config import Config
from tests.cli.calling import Cli

TEXT = """
enforcement: {mode: plan, notice: 36h, grace_period: 14d}
limits: {hold_keys_used_within: 90m}
exemptions:
  - {user: ci-deploy, accounts: ["111122223333"], reason: "a robot: it cannot enrol"}
archive: {location: runs}
"""


def test_each_value_is_printed_with_where_it_comes_from(cli: Cli) -> None:
    cli.configure(TEXT)

    done = cli("config", "--output", "json", ORGMFA_ENFORCEMENT_MODE="apply", ORGMFA_ENFORCEMENT_NOTICE=" ")

    rows = json.loads(done.stdout)
    assert done.returncode == 0
    assert rows["enforcement.mode"] == {"value": "apply", "source": "ORGMFA_ENFORCEMENT_MODE"}
    assert rows["enforcement.notice"] == {"value": "36h", "source": "config.yaml"}
    assert rows["enforcement.grace_period"] == {"value": "14d", "source": "config.yaml"}
    assert rows["limits.hold_keys_used_within"] == {"value": "90m", "source": "config.yaml"}
    assert rows["archive.location"] == {"value": str(cli.folder / "runs"), "source": "config.yaml"}
    assert rows["policy.name"] == {"value": "EnforceMFA", "source": "default"}
    assert rows["exemptions"]["value"][0]["user"] == "ci-deploy"
    assert rows["protected_users"] == {"value": [], "source": "default"}


@pytest.mark.parametrize("text", ["", TEXT], ids=["defaults", "file"])
def test_what_is_printed_is_a_configuration_that_says_the_same(cli: Cli, text: str) -> None:
    cli.configure(text)
    printed = cli("config").stdout
    cli.configure(printed)

    again = cli("config").stdout

    assert yaml.safe_load(again) == yaml.safe_load(printed)
    assert {section: set(value) for section, value in yaml.safe_load(printed).items() if isinstance(value, dict)} == {
        section: set(type(value).model_fields) for section, value in Config() if hasattr(value, "model_fields_set")
    }
    assert "# default" in printed


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 0, "config.yaml: valid"),
        (TEXT, 0, "config.yaml: valid"),
        ("enforcement: {mode: watch}", 2, "enforcement.mode"),
        ("enforcement: {stop: missing-folder/stop}", 2, "enforcement.stop"),
        ("enforcment: {mode: plan}", 2, "enforcment"),
    ],
)
def test_check_says_whether_the_configuration_can_be_used(cli: Cli, text: str, code: int, said: str) -> None:
    cli.configure(text)

    done = cli("config", "--check")

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_without_a_file_the_defaults_are_checked(cli: Cli) -> None:
    assert "defaults" in cli("config", "--check").stderr


def test_file_that_is_named_is_shown_as_the_source(cli: Cli) -> None:
    path = Path("other.yaml")
    (cli.folder / path).write_text("slack: {when: findings}", encoding="utf-8")

    rows = json.loads(cli("config", "--config", str(path), "--output", "json").stdout)

    assert rows["slack.when"] == {"value": "findings", "source": "other.yaml"}
