"""The SCP judged by iam-simulate, an evaluator of IAM that nobody here wrote. `make second-opinion` runs this.

It knows policy variables, all condition operators and SCPs. It judges documents, so it is told what a request carries.
It refuses a resource that an action does not know: those requests are left out. EnforceMFA is on users alone.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.policy_document import render_enforcement_policy
from tests.builders import make_config
from tests.domain.test_scp import ATTEMPTS, ENDED, MIXED, TOMORROW, entry, role, scp, user
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.permission_samples import FULL_ACCESS, SESSIONS
from tests.member_role.rendering import MEMBER, SIBLING

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / ".cache" / "second-opinion"
WORDS = {"Allowed": Decision.ALLOW, "ExplicitlyDenied": Decision.EXPLICIT_DENY}
PEOPLE = [
    user("ana"),
    user("ana", path="/engineering/eu/"),
    user("ana", path="/svc-a/"),
    user("svc-a"),
    user("svc-a", path="/teams/"),
    user("SVC-a"),
    user("svc-a", at=ENDED),
    user("old-a"),
    user("bot"),
    user("bot", account=SIBLING),
    user("deploy-a"),
    user("deploy-a", account=SIBLING),
    user("later-a", account=SIBLING, at=ENDED),
    role(f"arn:aws:iam::{MEMBER}:role/any"),
    role(f"arn:aws:iam::{MEMBER}:role/aws-service-role/x.amazonaws.com/X"),
    role(f"arn:aws:iam::{MEMBER}:root"),
]
REQUESTS = [
    Request(action, resource, SESSIONS[session] | who)
    for who in PEOPLE
    for session, action, resource in dict.fromkeys(ATTEMPTS)
    if action != "sts:GetFederationToken"
]


SMALL = make_config(exemptions=[entry("bot", None, (MEMBER,)), entry("svc-*", TOMORROW)])
KEYS_ALLOWED = make_config(policy={"access_keys": "allow"})


@pytest.mark.parametrize("has_enforcemfa", [False, True])
@pytest.mark.parametrize("config", [Config(), KEYS_ALLOWED, SMALL, MIXED], ids=["plain", "keys", "small", "mixed"])
def test_both_evaluators_decide_alike(config: Config, *, has_enforcemfa: bool) -> None:
    enforced = render_enforcement_policy(partition="aws", access_keys=config.policy.access_keys)
    identity = [FULL_ACCESS, enforced] if has_enforcemfa else [FULL_ACCESS]
    scps = [FULL_ACCESS, scp(config)]

    requests = [one for one in REQUESTS if "aws:username" in one.context or not has_enforcemfa]

    ours = [decide(request, identity, limits=[scps]) for request in requests]

    assert set(ours) == set(WORDS.values())
    assert judge(requests, identity, scps) == ours


def judge(requests: list[Request], identity: list[dict[str, Any]], scps: list[dict[str, Any]]) -> list[Decision]:
    """Return what iam-simulate decides about the requests; it says an error in words of its own."""
    shutil.copy(HERE / "judge.mjs", FOLDER)
    listed = [{"action": one.action, "resource": one.resource, "context": one.context} for one in requests]
    asked = json.dumps({"identity": identity, "scps": scps, "requests": listed})
    done = subprocess.run(
        ["node", str(FOLDER / "judge.mjs")],  # noqa: S607 - the node of the machine
        input=asked,
        capture_output=True,
        text=True,
        check=True,
    )
    return [WORDS.get(one, one) for one in json.loads(done.stdout)]
