"""Profiles and settings that cannot be used: exit code 2, one line, the profile named, and what to do."""

import json
import stat
from pathlib import Path

import pytest

from orchestrator.aws.partitions import describe_partition
from tests.aws_server import AwsServer, error_for, json_error, xml_error
from tests.cli.calling import Cli, Sample, assert_refused

KEYS = "aws_access_key_id = AKIAEXAMPLEHUB000000\naws_secret_access_key = not-a-secret\n"
ROLE = "role_arn = arn:aws:iam::123456789012:role/orgmfa-operator\n"
SSO = "sso_account_id = 123456789012\nsso_role_name = Security\n"
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
EXPIRED = json.dumps(
    {
        "Version": 1,
        "AccessKeyId": "a",
        "SecretAccessKey": "b",
        "SessionToken": "c",
        "Expiration": "2001-01-01T00:00:00Z",
    }
)
MEND = "aws sts get-caller-identity --profile team"
BROKEN_PROFILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "credential_process that is missing": ("credential_process = /nowhere/keys\n", ("/nowhere/keys", MEND)),
    "credential_process that prints no JSON": ("credential_process = /bin/echo hello\n", ("by hand", "JSON")),
    "credential_process that prints another kind of JSON": ("credential_process = /bin/echo []\n", ("by hand", "JSON")),
    "credential_process that prints null": ("credential_process = /bin/echo null\n", ("by hand", "JSON")),
    "credential_process without a version": ("credential_process = /bin/echo {}\n", ("Version", MEND)),
    "credential_process without keys": ("credential_process = /bin/echo '{\"Version\": 1}'\n", ("AccessKeyId", MEND)),
    "credential_process that fails": ("credential_process = /bin/ls /nowhere-at-all\n", ("/nowhere-at-all", MEND)),
    "credential_process with an open quote": ("credential_process = /bin/echo 'x\n", ("quotation", MEND)),
    "credential_process that is a folder": ("credential_process = /usr\n", ("/usr", MEND)),
    "credential_process that may not be run": ("credential_process = /etc/hostname\n", ("/etc/hostname", MEND)),
    "expired keys of a credential_process": (f"credential_process = /bin/echo '{EXPIRED}'\n", ("expired", MEND)),
    "sso_session that is not defined": (f"{SSO}sso_session = nobody\n", ("nobody", MEND)),
    "sso_session without a Region": (f"{SSO}sso_session = half\n[sso-session half]\nsso_start_url = x\n", (MEND,)),
    "sso without a sign-in": (
        f"{SSO}sso_start_url = https://acme.awsapps.com/start\nsso_region = eu-central-1\n",
        ("aws sso login --profile team",),
    ),
    "sso session without a sign-in": (
        f"{SSO}sso_session = acme\n[sso-session acme]\nsso_start_url = https://a.b/start\nsso_region = eu-central-1\n",
        ("aws sso login --profile team",),
    ),
    "sso with a setting missing": ("sso_account_id = 123456789012\nsso_start_url = https://a.b/start\n", (MEND,)),
    "source_profile that is not there": (f"{ROLE}source_profile = nobody\n", ("nobody", MEND)),
    "source_profile without keys": (f"{ROLE}source_profile = empty\n[profile empty]\nregion = eu-west-1\n", (MEND,)),
    "source_profile loop": (
        f"{ROLE}source_profile = other\n[profile other]\n{ROLE}source_profile = team\n",
        ("source_profile of profile team", "has credentials"),
    ),
    "role without a source": (ROLE, (MEND,)),
    "credential_source that does not exist": (f"{ROLE}credential_source = Moon\n", ("Moon", MEND)),
    "credential_source and source_profile": (f"{ROLE}credential_source = Environment\nsource_profile = x\n", (MEND,)),
    "half a key pair": ("aws_access_key_id = AKIAEXAMPLEHUB000000\n", ("aws_secret_access_key", MEND)),
    "web identity without its file": (f"{ROLE}web_identity_token_file = /nowhere/token\n", ("/nowhere/token", MEND)),
    "Region that is none": (f"{KEYS}region = e u\n", ("--region", "AWS_REGION")),
    "defaults mode that is none": (f"{KEYS}defaults_mode = any\n", ("any", MEND)),
    "checksum setting that is none": (f"{KEYS}request_checksum_calculation = maybe\n", ("maybe", MEND)),
    "services of the endpoint that are not defined": (f"{KEYS}services = nobody\n", ("nobody", MEND)),
    "endpoint that is no URL": (f"{KEYS}ignore_configured_endpoint_urls = false\nendpoint_url = x\n", (MEND,)),
}


@pytest.fixture
def profiles(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of profiles, which the tests write; no keys in the environment."""
    path = cli.folder / "aws-config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    for name in NO_KEYS:
        monkeypatch.delenv(name)
    return path


def assert_one_line(text: str) -> None:
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text
    assert lines[0].startswith("orgmfa: ")
    assert lines[0].endswith((".", ".)"))


@pytest.mark.parametrize("command", [["plan"], ["doctor"], ["apply", "--yes"]], ids=lambda words: words[0])
@pytest.mark.parametrize("case", list(BROKEN_PROFILES))
def test_profile_that_cannot_be_used_is_told_in_a_line(
    cli: Cli,
    sample: Sample,
    aws: AwsServer,
    profiles: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    command: list[str],
) -> None:
    text, words = BROKEN_PROFILES[case]
    profiles.write_text(f"[profile team]\n{text}")
    if "endpoint" in case:
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    if case.startswith("Region"):
        monkeypatch.delenv("AWS_DEFAULT_REGION")

    done = cli(*command, AWS_PROFILE="team")

    assert_refused(done, "profile team", *words)
    assert_one_line(done.stderr)
    assert aws.writes() == []


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize("content", [b"no section\n", b"[profile x\n", b"[default]\n[default]\nx\xff = \xff\n"])
def test_file_of_profiles_that_cannot_be_read_is_told(
    cli: Cli, sample: Sample, profiles: Path, variable: str, content: bytes
) -> None:
    broken = cli.folder / "broken"
    broken.write_bytes(content)

    done = cli("plan", **{variable: str(broken)})

    assert_refused(done, "broken", variable)
    assert_one_line(done.stderr)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/keys"}, ("example.com", "profile default")),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "nothing"}, ("profile default",)),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/keys",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere/token",
            },
            ("/nowhere/token", "profile default"),
        ),
        ({"AWS_METADATA_SERVICE_TIMEOUT": "soon", "AWS_EC2_METADATA_DISABLED": "false"}, ("soon", "profile default")),
        ({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEHUB000000"}, ("AWS_SECRET_ACCESS_KEY", "profile default")),
        (
            {"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"},
            ("/nowhere/token",),
        ),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "e u"}, ("--region",)),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "x"}, ("profile default",)),
    ],
)
def test_variable_that_cannot_be_used_is_told(
    cli: Cli, sample: Sample, profiles: Path, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    done = cli("plan", **variables)

    assert_refused(done, *words)
    assert_one_line(done.stderr)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            ("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y"),
            ("OperatorPrincipalArns",),
        ),
        (
            ("AccessDenied", "User: x is not authorized to perform: sts:TagSession on resource: y"),
            ("AllowSessionContext",),
        ),
        (("ExpiredToken", "The security token included in the request is expired"), ("session has ended",)),
        (("InvalidClientTokenId", "The security token included in the request is invalid"), ("does not know",)),
        (
            ("SignatureDoesNotMatch", "Signature expired: 2026 is now earlier than 2027"),
            ("clock of this machine is wrong",),
        ),
    ],
)
def test_role_of_the_profile_that_aws_refuses_is_told_as_the_profiles(
    cli: Cli, sample: Sample, aws: AwsServer, profiles: Path, fault: tuple[str, str], words: tuple[str, ...]
) -> None:
    profiles.write_text(f"[profile team]\n{ROLE}source_profile = me\n[profile me]\n{KEYS}")
    aws.faults.append(lambda call: xml_error(*fault, 403) if call.action == "AssumeRole" else None)

    done = cli("plan", "--profile", "team")

    assert_refused(done, "profile team", *words)
    assert_one_line(done.stderr)


def test_profile_and_region_of_the_command_line_go_before_the_environment(
    cli: Cli, sample: Sample, aws: AwsServer, profiles: Path
) -> None:
    profiles.write_text(f"[profile team]\n{KEYS}region = eu-west-1\n[profile other]\nca_bundle = /nowhere\n")
    environment = {"AWS_PROFILE": "nobody", "AWS_REGION": "eu-west-3", "AWS_ACCESS_KEY_ID": "a"}
    # moto fails on functions and schedules here, and doctor would ask until it gives up.
    missing, services = json_error("ResourceNotFoundException"), {"lambda", "scheduler"}
    aws.faults.append(lambda call: missing if call.service in services else None)
    describe_partition.cache_clear()

    for command in (["plan"], ["doctor"], ["apply", "--yes"], ["release", "--yes"], ["report"], ["report", "--list"]):
        done = cli(*command, "--profile", "team", "--region", "eu-south-1", **environment)
        assert done.returncode in {0, 1}, done.stderr
    assert {call.access_key for call in aws.calls if call.service != "iam"} == {"AKIAEXAMPLEHUB000000"}
    assert_refused(cli("report", "--profile", "another", **environment), "another", "--profile")
    assert_refused(cli("deploy", "--yes", "--profile", "another", **environment), "another", "--profile")
    assert_refused(cli("plan", "--profile", "team", "--region", "e u"), "--region", "e u")


def test_what_a_process_of_credentials_prints_is_not_passed_on_at_length(
    cli: Cli, sample: Sample, profiles: Path
) -> None:
    script = cli.folder / "keys.sh"
    script.write_text("#!/bin/sh\nprintf 'x%.0s' $(seq 5000) >&2\nexit 1\n")
    script.chmod(stat.S_IRWXU)
    profiles.write_text(f"[profile team]\ncredential_process = {script}\n")

    done = cli("plan", "--profile", "team")

    assert_refused(done, "profile team")
    assert len(done.stderr) < 1000


def test_service_that_is_down_while_credentials_are_loaded_is_no_fault_of_the_profile(
    cli: Cli, sample: Sample, aws: AwsServer, profiles: Path
) -> None:
    profiles.write_text(
        f"[profile team]\n{ROLE}source_profile = me\nretry_mode = standard\nmax_attempts = 1\n[profile me]\n{KEYS}"
    )
    aws.faults.append(
        lambda call: error_for(call, "ServiceUnavailable", status=503) if call.action == "AssumeRole" else None
    )

    done = cli("plan", "--profile", "team")

    assert_refused(done, "ServiceUnavailable")
    assert "Mend profile" not in done.stderr


@pytest.mark.parametrize("arguments", [["report"], ["report", "--list"]])
def test_archive_in_a_bucket_tells_of_the_profile_too(cli: Cli, profiles: Path, arguments: list[str]) -> None:
    cli.configure("archive: {location: 's3://acme-archive/orgmfa'}\n")
    profiles.write_text("[profile team]\ncredential_process = /nowhere/keys\n")

    done = cli(*arguments, "--profile", "team")

    assert_refused(done, "profile team", "/nowhere/keys", MEND)
    assert_one_line(done.stderr)
