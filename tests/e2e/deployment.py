"""An organization under ministack with orgmfa deployed in it, as an administrator would deploy it by hand."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

import boto3
from cfnlint.decode import decode

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".cache" / "e2e" / "bin" / "python"
HUB = "123456789012"
REGION = "us-east-1"
START_SECONDS = 60
STACK_SECONDS = 120
# CloudFormation API Reference, CreateStack: TemplateBody.
LONGEST_BODY = 51_200
TEMPLATES = "orgmfa-e2e-templates"

# What ministack's CloudFormation does not know, or knows as something else: left out of the templates.
UNKNOWN_TYPES = frozenset({"AWS::IAM::Group", "AWS::Events::EventBusPolicy"})


def _is_known(resource: dict[str, Any]) -> bool:
    """Return whether ministack makes a resource; alarms over metric math it refuses."""
    is_math = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    return resource["Type"] not in UNKNOWN_TYPES and not is_math


@dataclass
class Emulator:
    """A running ministack; every account's root user signs with the account ID as its access key."""

    url: str
    organization_file: Path
    stacks: dict[str, dict[str, str]] = field(default_factory=dict)

    def client(self, service: str, account_id: str = HUB, **credentials: str) -> Any:
        """Return a client of an account's root user, or of given credentials."""
        keys = credentials or {"aws_access_key_id": account_id, "aws_secret_access_key": "root"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)  # type: ignore[call-overload]

    def deploy(self, template: dict[str, Any], name: str, account_id: str = HUB, **parameters: str) -> dict[str, str]:
        """Make a stack and return its outputs. Raises RuntimeError with the reasons where that fails."""
        cloudformation = self.client("cloudformation", account_id)
        cloudformation.create_stack(
            StackName=name,
            **self._hand_over(json.dumps(template), name, account_id),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        ends_at = time.monotonic() + STACK_SECONDS
        while time.monotonic() < ends_at:
            stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            if stack["StackStatus"] == "CREATE_COMPLETE":
                return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
            if "ROLLBACK" in stack["StackStatus"] or "FAILED" in stack["StackStatus"]:
                break
            time.sleep(0.2)
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in events]
        raise RuntimeError(f"the stack {name} did not come up:\n" + "\n".join(reasons))

    def _hand_over(self, text: str, name: str, account_id: str) -> dict[str, str]:
        """Return a template as a parameter of CreateStack: its text, or where that is too long its address in S3."""
        if len(text) <= LONGEST_BODY:
            return {"TemplateBody": text}
        s3 = self.client("s3", account_id)
        s3.create_bucket(Bucket=TEMPLATES)
        s3.put_object(Bucket=TEMPLATES, Key=f"{name}.json", Body=text)
        return {"TemplateURL": f"https://s3.amazonaws.com/{TEMPLATES}/{name}.json"}


def load_template(path: str) -> dict[str, Any]:
    """Return a template of the project without the types that ministack does not know."""
    template, problems = decode(str(ROOT / path))
    if template is None:
        raise ValueError(problems)
    document: dict[str, Any] = json.loads(json.dumps(template))
    known = {name: resource for name, resource in document["Resources"].items() if _is_known(resource)}
    outputs = {
        name: output
        for name, output in document.get("Outputs", {}).items()
        if not any(f'"{gone}"' in json.dumps(output) for gone in document["Resources"].keys() - known.keys())
    }
    return document | {"Resources": known, "Outputs": outputs}


@contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """Start ministack with authorisation on, and stop it at the end."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    organization_file = folder / "organization"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "TMPDIR": str(folder),
        "E2E_ORGANIZATION_FILE": str(organization_file),
    }
    with (folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, Path(__file__).with_name("emulator.py")], env=environment, stdout=log, stderr=log
        )
    emulator = Emulator(f"http://127.0.0.1:{port}", organization_file)
    try:
        _wait_until_up(emulator.url, process)
        organization = emulator.client("organizations").describe_organization()["Organization"]
        organization_file.write_text(organization["Id"], encoding="utf-8")
        yield emulator
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=1):  # noqa: S310 - this machine
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("ministack did not come up; see ministack.log beside it")
