"""The same calls as orgmfa makes, without an SDK: what Python can do at best. `python -m benchmarks.no_sdk`.

Same calls in the same order in each account, same decisions on the bulk reads, 64 connections, one thread. It has no
archive, no report, no limits and no checks: what stands between it and orgmfa is the price of those and of botocore.
"""

import asyncio
import base64
import csv
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from types import MappingProxyType
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from benchmarks.calls import Calls
from benchmarks.connections import CallFailed, Connections
from benchmarks.organization import ROLE_NAME, policy_arn
from benchmarks.sigv4 import Signer
from orchestrator.domain.policy_document import render_enforcement_policy
from orchestrator.pipeline.precautions import WRITES_PER_LOOK

CONNECTIONS = 64
_READS = (
    "GenerateCredentialReport",
    "GetAccountAuthorizationDetails",
    "GetAccountSummary",
    "GetCredentialReport",
    "GetLoginProfile",
    "GetPolicy",
    "GetPolicyVersion",
    "ListAccountAliases",
    "ListMFADevices",
    "ListSSHPublicKeys",
    "ListServiceSpecificCredentials",
    "ListVirtualMFADevices",
    "SimulatePrincipalPolicy",
)
_READING = {"Effect": "Allow", "Action": [f"iam:{action}" for action in _READS], "Resource": "*"}
_SESSION_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [_READING]}, separators=(",", ":"))
_CONSOLE_COLUMN = "password_enabled"
_PROBES = ["s3:ListAllMyBuckets", "ec2:DescribeRegions", "iam:CreateAccessKey", "sts:AssumeRole"]
_ENROLMENT = (
    (
        "arn:aws:iam::{account}:user/{name}",
        ["iam:EnableMFADevice", "iam:ListMFADevices", "iam:GetUser", "iam:ChangePassword"],
    ),
    ("arn:aws:iam::{account}:mfa/*", ["iam:CreateVirtualMFADevice"]),
    (
        "arn:aws:signin:::console/*",
        ["signin:Authenticate", "signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token"],
    ),
)


@dataclass(frozen=True, slots=True)
class User:
    """A user: name, account and ARN."""

    name: str
    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run; `document` is the text of EnforceMFA."""

    calls: Calls
    document: str
    known_versions: set[tuple[str, str]] = field(default_factory=set)

    async def carry_out(self) -> int:
        """Inspect every account, then write, and return how many users were written to."""
        await self.calls.sts("GetCallerIdentity", {})
        await self.calls.organizations("DescribeOrganization", {})
        survey = asyncio.create_task(self._lookup())
        tasks = [asyncio.create_task(self._inspect(account)) async for account in self._accounts("ListAccounts")]
        plans = await asyncio.gather(*tasks)
        written = sum(await asyncio.gather(*(self._apply(users) for users in plans if users)))
        await survey
        return written

    async def _lookup(self) -> None:
        """Read the tree of OUs beside all else."""
        for root in (await self.calls.organizations("ListRoots", {}))["Roots"]:
            parent = {"ParentId": root["Id"]}
            await self.calls.organizations("ListOrganizationalUnitsForParent", parent)
            async for _ in self._accounts("ListAccountsForParent", parent):
                pass

    async def _accounts(self, action: str, parameters: Mapping[str, str] = MappingProxyType({})) -> AsyncIterator[str]:
        token: dict[str, str] = {}
        while True:
            page = await self.calls.organizations(action, {**parameters, **token})
            for account in page["Accounts"]:
                yield account["Id"]
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}

    async def _inspect(self, account: str) -> list[User]:
        """Return the users of an account to write to."""
        iam, signer = self.calls.iam, await self.calls.assume(_role_arn(account), _SESSION_POLICY)
        await iam(signer, "GenerateCredentialReport")
        details = await self.calls.pages(signer, "GetAccountAuthorizationDetails", Filter=["User", "Group"])
        await iam(signer, "GetAccountSummary")
        devices = await self.calls.pages(signer, "ListVirtualMFADevices", AssignmentStatus="Assigned")
        await iam(signer, "ListAccountAliases")
        await self._look_at_policy(signer, account)
        report = await iam(signer, "GetCredentialReport")
        users = list(_open_users(account, details=details, devices=devices, report=report))
        if users:
            await iam(signer, "ListServiceSpecificCredentials", AllUsers="true", MaxItems=1000)
        wanted = await asyncio.gather(*(self._is_to_be_enforced(signer, user) for user in users))
        return [user for user, is_wanted in zip(users, wanted, strict=True) if is_wanted]

    async def _is_to_be_enforced(self, signer: Signer, user: User) -> bool:
        """Return whether a user could enrol under EnforceMFA; the credential report is of this run."""
        await self.calls.iam(signer, "ListSSHPublicKeys", UserName=user.name)
        decisions: set[str | None] = set()
        for resource, actions in _ENROLMENT:
            answer = await self.calls.iam(
                signer,
                "SimulatePrincipalPolicy",
                PolicySourceArn=user.arn,
                PolicyInputList=[self.document],
                ActionNames=actions,
                ResourceArns=[resource.format(account=user.account, name=user.name)],
                ContextEntries=_session(user),
            )
            decisions |= {decision.text for decision in answer.iter("EvalResourceDecision")}
        await self.calls.iam(  # is the user denied without MFA already? Here nobody is, so it is not asked again
            signer,
            "SimulatePrincipalPolicy",
            PolicySourceArn=user.arn,
            ActionNames=_PROBES,
            ResourceArns=["*"],
            ContextEntries=_session(user),
        )
        return decisions == {"allowed"}

    async def _is_open(self, signer: Signer, user: User) -> bool:
        """Return whether a user has no MFA device and a console password right now."""
        devices = await self.calls.pages(signer, "ListMFADevices", UserName=user.name)
        if any(page.find(".//MFADevices/member") is not None for page in devices):
            return False
        try:
            await self.calls.iam(signer, "GetLoginProfile", UserName=user.name)
        except CallFailed:
            return False
        return True

    async def _apply(self, users: Sequence[User]) -> int:
        """Write to the users of one account, and return to how many."""
        account = users[0].account
        signer = await self.calls.assume(_role_arn(account), None)
        await self._look_at_policy(signer, account)
        written = sum(await asyncio.gather(*(self._enforce(signer, user) for user in users)))
        for _ in range(0, len(users), WRITES_PER_LOOK):
            await self._look_at_policy(signer, account)
        return written

    async def _enforce(self, signer: Signer, user: User) -> bool:
        if not await self._is_open(signer, user):
            return False
        await self.calls.iam(signer, "AttachUserPolicy", UserName=user.name, PolicyArn=policy_arn(user.account))
        return True

    async def _look_at_policy(self, signer: Signer, account: str) -> None:
        arn = policy_arn(account)
        policy = await self.calls.iam(signer, "GetPolicy", PolicyArn=arn)
        version = policy.findtext(".//DefaultVersionId") or ""
        if (arn, version) in self.known_versions:  # the text of a version never changes
            return
        self.known_versions.add((arn, version))
        await self.calls.iam(signer, "GetPolicyVersion", PolicyArn=arn, VersionId=version)


def _open_users(
    account: str, *, details: Iterable[ET.Element], devices: Iterable[ET.Element], report: ET.Element
) -> Iterator[User]:
    """Yield the users who, by the bulk reads, have a console password and neither MFA nor EnforceMFA."""
    content = base64.b64decode(report.findtext(".//Content") or "").decode()
    row_by_user = {row["user"]: row for row in csv.DictReader(StringIO(content))}
    owners = {owner.findtext("Arn") for page in devices for owner in page.iter("User")}
    for member in (member for page in details for member in page.iterfind(".//UserDetailList/member")):
        user = User(member.findtext("UserName") or "", account, member.findtext("Arn") or "")
        row = row_by_user[user.name]
        is_enforced = any(attached.text == policy_arn(account) for attached in member.iter("PolicyArn"))
        has_mfa = row["mfa_active"] == "true" or user.arn in owners
        if row[_CONSOLE_COLUMN] == "true" and not has_mfa and not is_enforced:
            yield user


def _role_arn(account: str) -> str:
    return f"arn:aws:iam::{account}:role/{ROLE_NAME}"


def _session(user: User) -> list[dict[str, object]]:
    """Return the condition keys of a user's console session, as many as orgmfa sends."""
    texts = {
        "username": user.name,
        "PrincipalArn": user.arn,
        "PrincipalAccount": user.account,
        "PrincipalType": "User",
        "PrincipalOrgID": "o-benchmark01",
        "ResourceAccount": user.account,
        "ResourceOrgID": "o-benchmark01",
        "RequestedRegion": "us-east-1",
        "PrincipalTag/team": "payments",
    }
    flags = {
        "MultiFactorAuthPresent": "false",
        "ViaAWSService": "false",
        "PrincipalIsAWSService": "false",
        "SecureTransport": "true",
    }
    return [
        *(_context(f"aws:{key}", "boolean", value) for key, value in flags.items()),
        _context("aws:CurrentTime", "date", "2026-03-02T12:00:00Z"),
        *(_context(f"aws:{key}", "string", value) for key, value in texts.items()),
    ]


def _context(key: str, kind: str, value: str) -> dict[str, object]:
    return {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": [value]}


async def main() -> None:
    """Carry out a run against AWS_ENDPOINT_URL, and print what was done."""
    where = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    connections = Connections(where.hostname or "", where.port or 443, context=context, most=CONNECTIONS)
    keys = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    document = json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"), separators=(",", ":"))
    enforced = await Run(Calls(connections, where.netloc, keys), document).carry_out()
    connections.close()
    print(json.dumps({"enforced": enforced}))


if __name__ == "__main__":
    asyncio.run(main())
