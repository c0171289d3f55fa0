"""Handlers of botocore's events that add to moto what AWS does and moto lacks, registered before a client is made.

- AssumeRole of a role that does not exist is refused (moto grants every role).
- A service control policy that denies everything does so (moto knows SCPs as texts alone).
- AttachUserPolicy and AddUserToGroup end at the quotas (moto has none).
- SimulatePrincipalPolicy answers (moto has none): allowed, but for users whose boundary leaves enrolling out, or whose
  own policy denies all else without MFA.
- ListServiceSpecificCredentials answers (moto has none): nobody has one.
- GetAccount of Amazon SES answers (moto has none): not in the sandbox of SES.
- GetAccountSummary tells of the root user and of a raised quota (moto: no password, no MFA, always 10).
- The credential report is two hours old and has a row of the root user (moto: made just now, dated 2015, no root).

Nothing is stored here: the handlers read the sample and moto's state, into which `fixtures` has written account IDs and
times. Not imitated: permissions of the roles, and what EnforceMFA denies.
"""

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.iam.models import get_account_id_from, iam_backends
from moto.sts.models import sts_backends

from orchestrator.sandbox.fixtures import PARTITION, naive_utc
from orchestrator.sandbox.sample_organization import SampleAccount, SampleUser

REPORT_AGE = timedelta(hours=2)
"""IAM reuses a credential report for four hours (IAM User Guide, 'Getting credential reports')."""
ROOT_ROW = "<root_account>"

Refusal = tuple[AWSResponse, dict[str, Any]]


def inject(clients: Any, accounts: Mapping[str, SampleAccount], now: datetime) -> None:  # noqa: ANN401 - see Sandbox.prepare
    """Register all handlers on the sessions of the hub and of the member accounts."""
    member = _Member(clients.member, accounts, now - REPORT_AGE)
    no_credentials = {"ServiceSpecificCredentials": [], "IsTruncated": False}
    handlers: tuple[tuple[boto3.Session, str, Callable[..., Any]], ...] = (
        (clients.hub, "before-call.sts.AssumeRole", partial(_refuse_missing_role, clients.hub)),
        (clients.hub, "before-call.signin", lambda **_: _answer(200, {"consoleAuthorizationEnabled": False})),
        (clients.hub, "before-call.sesv2.GetAccount", lambda **_: _answer(200, {"ProductionAccessEnabled": True})),
        (clients.member, "before-call.iam", member.refuse_by_scp),
        (clients.member, "before-call.iam.AttachUserPolicy", member.refuse_over_quota),
        (clients.member, "before-call.iam.AddUserToGroup", member.refuse_over_quota),
        (clients.member, "before-call.iam.SimulatePrincipalPolicy", member.simulate),
        (clients.member, "before-call.iam.ListServiceSpecificCredentials", lambda **_: _answer(200, no_credentials)),
        (clients.member, "after-call.iam.GetAccountSummary", member.complete_summary),
        (clients.member, "after-call.iam.GetCredentialReport", member.complete_report),
    )
    for session, event, handler in handlers:
        session.events.register(event, handler)


def _refuse_missing_role(session: boto3.Session, params: Mapping[str, Any], **_: object) -> Refusal | None:
    """Return the refusal of an AssumeRole whose role does not exist; None lets the call go on."""
    arn = params["body"]["RoleArn"]
    if arn in {role.arn for role in iam_backends[arn.split(":")[4]][PARTITION].roles.values()}:
        return None
    return _refuse_access(session, "sts:AssumeRole", arn)


@dataclass(frozen=True, slots=True)
class _Member:
    """The handlers of calls into member accounts; the credentials in use tell which account it is."""

    session: boto3.Session
    accounts: Mapping[str, SampleAccount]
    report_made_at: datetime

    def refuse_by_scp(self, model: Any, **_: object) -> Refusal | None:  # noqa: ANN401 - botocore's model of the operation
        """Return the refusal of any call in an account where an SCP denies everything."""
        if not self._account().is_denied_by_scp:
            return None
        return _refuse_access(self.session, f"iam:{model.name}", "* with an explicit deny in a service control policy")

    def refuse_over_quota(self, params: Mapping[str, Any], **_: object) -> Refusal | None:
        """Return the refusal of one managed policy or group too many; what a user has may be added again."""
        account, body = self._account(), params["body"]
        user = iam_backends[account.id][PARTITION].users.get(body["UserName"])
        held: Collection[str] = user.managed_policies if user else ()
        added, quota, size = body.get("PolicyArn"), "PoliciesPerUser", account.policies_per_user
        if "GroupName" in body:
            held = user.group_list if user else ()
            added, quota, size = body["GroupName"], "GroupsPerUser", account.groups_per_user
        if len(held) < size or added in held:
            return None
        return _refuse(409, "LimitExceeded", f"Cannot exceed quota for {quota}: {size}")

    def simulate(self, params: Mapping[str, Any], **_: object) -> Refusal:
        """Return the simulator's answer: a boundary of the sample denies enrolling, a guard other calls without MFA."""
        body = params["body"]
        user = self._sample(body["PolicySourceArn"].rpartition("/")[2])
        is_bound = user is not None and user.is_bound
        details: dict[str, Any] = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": not is_bound}}
        decision = "implicitDeny" if is_bound else "allowed"
        if user is not None and user.is_guarded and body["ResourceArns.member.1"] == "*" and not _has_mfa(body):
            decision, details["MatchedStatements"] = "explicitDeny", [{"SourcePolicyId": "Force_MFA"}]
        specific = {"EvalResourceName": body["ResourceArns.member.1"], "EvalResourceDecision": decision, **details}
        results = [
            {"EvalActionName": body[name], "EvalDecision": decision, "ResourceSpecificResults": [specific], **details}
            for name in body
            if name.startswith("ActionNames.member.")
        ]
        return _answer(200, {"EvaluationResults": results, "IsTruncated": False})

    def complete_summary(self, parsed: dict[str, Any], **_: object) -> None:
        """Add the root user and the quotas to an account summary."""
        account = self._account()
        if "SummaryMap" in parsed:
            parsed["SummaryMap"] |= {
                "AccountMFAEnabled": int(account.root == "with_mfa"),
                "AccountPasswordPresent": int(account.root != "impossible"),
                "AttachedPoliciesPerUserQuota": account.policies_per_user,
                "GroupsPerUserQuota": account.groups_per_user,
            }

    def complete_report(self, parsed: dict[str, Any], **_: object) -> None:
        """Add the root user to a credential report, and take out what happened after the report was made."""
        if "Content" in parsed:
            text = StringIO()
            rows = csv.DictReader(StringIO(parsed["Content"].decode()))
            writer = csv.DictWriter(text, rows.fieldnames or (), restval="N/A", lineterminator="\n")
            writer.writeheader()
            writer.writerow(self._root_row())
            writer.writerows(self._rows_then(rows))
            parsed |= {"Content": text.getvalue().encode(), "GeneratedTime": self.report_made_at}

    def _root_row(self) -> dict[str, str]:
        account = self._account()
        return {
            "user": ROOT_ROW,
            "arn": f"arn:{PARTITION}:iam::{account.id}:root",
            "user_creation_time": "2019-03-04T09:00:00+00:00",
            "password_enabled": str(account.root != "impossible").lower(),
            "mfa_active": str(account.root == "with_mfa").lower(),
            **dict.fromkeys(("access_key_1_active", "access_key_2_active", "cert_1_active", "cert_2_active"), "false"),
        }

    def _rows_then(self, rows: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
        """Yield the rows of the users that existed when the report was made, with the devices that they had then."""
        then, users = naive_utc(self.report_made_at), iam_backends[self._account().id][PARTITION].users
        for row in rows:
            user = users[row["user"]]
            if user.create_date <= then:
                had_mfa = any(device.enable_date <= then for device in user.mfa_devices.values())
                mfa_active = str(had_mfa).lower()
                yield row | {"mfa_active": mfa_active, "password_last_used": self._last_sign_in(user.name, row)}

    def _last_sign_in(self, name: str, row: Mapping[str, str]) -> str:
        sample = self._sample(name)
        if sample is None or sample.signed_in_ago is None or not sample.has_console_password:
            return row["password_last_used"]
        return f"{self.report_made_at - sample.signed_in_ago:%Y-%m-%dT%H:%M:%S+00:00}"

    def _sample(self, name: str) -> SampleUser | None:
        return next((user for user in self._account().users if user.name == name), None)

    def _account(self) -> SampleAccount:
        return self.accounts[get_account_id_from(_access_key(self.session))]


def _has_mfa(body: Mapping[str, str]) -> bool:
    """Return whether a question to the simulator is about a session with MFA."""
    keys = [name for name, key in body.items() if key == "aws:MultiFactorAuthPresent"]
    return any(body[name.replace("ContextKeyName", "ContextKeyValues.member.1")] == "true" for name in keys)


def _access_key(session: boto3.Session) -> str:
    """Return the ID of the access key that a session signs with at this moment."""
    credentials = session.get_credentials()
    return (credentials and credentials.get_frozen_credentials().access_key) or ""


def _refuse_access(session: boto3.Session, action: str, resource: str) -> Refusal:
    key = _access_key(session)
    caller = sts_backends[get_account_id_from(key)][PARTITION].get_assumed_role_from_access_key(key)
    name = caller.arn if caller else key
    return _refuse(403, "AccessDenied", f"User: {name} is not authorized to perform: {action} on resource: {resource}")


def _refuse(status: int, code: str, message: str) -> Refusal:
    return _answer(status, {"Error": {"Type": "Sender", "Code": code, "Message": message}})


def _answer(status: int, fields: dict[str, Any]) -> Refusal:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}
    return AWSResponse("", status, HTTPHeaders(), None), fields | {"ResponseMetadata": metadata}
