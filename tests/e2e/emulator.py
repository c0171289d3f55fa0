"""Starts ministack with what its authorisation lacks, for the end-to-end tests; runs in an environment of its own.

ministack checks who may call what, and knows trust policies and conditions, but not all of them. Added here, in its own
process, as AWS defines them (IAM User Guide, 'AWS global condition context keys'; Service Authorization Reference):

- `aws:PrincipalArn` of an assumed role is the role's ARN (ministack gives the session's);
- `aws:ResourceOrgID` is the organization of the resource's account, here the one there is;
- `iam:PolicyARN` of AttachUserPolicy and DetachUserPolicy is the policy in the request;
- the resource of DescribeAccount is the account (ministack knows none);
- ListServiceSpecificCredentials and ListSSHPublicKeys, which it does not know, answer that there are none;
- events of IAM may be put by a test, since ministack has no CloudTrail that would send them;
- what a rule sends to another account's bus, which ministack drops, gets there, with the account that it came from. No
  policy of a bus is asked: ministack has none.

`aws:MultiFactorAuthPresent` is false in sessions without MFA and absent with long-term keys, as it should be.
"""

import contextvars
import json
import os
import re
from pathlib import Path
from typing import Any

from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import eventbridge, iam

_ASSUMED_ROLE = re.compile(r"arn:(?P<partition>[\w-]+):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")


def add_condition_keys(organization_file: Path) -> None:
    """Wrap the functions of ministack that tell it of condition keys; the file is written once the organization is."""
    resolve, tag_context = iam_evaluator._resolve_condition_key, iam_actions.request_tag_context

    def resolve_key(key: str, context: Any) -> Any:
        session = _ASSUMED_ROLE.fullmatch(context.principal_arn or "")
        if key.lower() == "aws:principalarn" and session:
            return f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"
        if key.lower() in {"aws:resourceorgid", "aws:principalorgid"}:
            return organization_file.read_text(encoding="utf-8")
        return resolve(key, context)

    def add_policy_arn(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        context = dict(tag_context(service, action, body, params))
        if action.startswith("iam:") and (found := params.get("PolicyArn")):
            context["iam:policyarn"] = found[0] if isinstance(found, list) else found
        return context

    iam_evaluator._resolve_condition_key = resolve_key
    iam_actions.request_tag_context = add_policy_arn


_SUBJECTS = {
    "DescribeAccount": "AccountId",
    "DescribeOrganizationalUnit": "OrganizationalUnitId",
    "ListAccountsForParent": "ParentId",
    "ListOrganizationalUnitsForParent": "ParentId",
    "ListParents": "ChildId",
}
"""The parameters that say what calls to Organizations are about: root, OU or account."""


def name_accounts(organization_file: Path) -> None:
    """Wrap the function of ministack that tells what a call is about."""
    extract = iam_actions.extract_resource_arn

    def name_resource(service: str, *request: Any) -> Any:
        _, _, headers, body, _, _, account_id = request
        parameter = _SUBJECTS.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if parameter is None:
            return extract(service, *request)
        subject = json.loads(body)[parameter]
        kind = "root" if subject.startswith("r-") else "ou" if subject.startswith("ou-") else "account"
        organization = organization_file.read_text(encoding="utf-8")
        return f"arn:aws:organizations::{account_id}:{kind}/{organization}/{subject}"

    iam_actions.extract_resource_arn = name_resource


def add_empty_lists() -> None:
    """Have ministack answer what it does not know of IAM: nobody has a credential of these kinds."""
    for action, name in (
        ("ListServiceSpecificCredentials", "ServiceSpecificCredentials"),
        ("ListSSHPublicKeys", "SSHPublicKeys"),
    ):
        body = f"<{action}Result><{name}/><IsTruncated>false</IsTruncated></{action}Result>"
        iam._IAM_HANDLERS[action] = lambda _, action=action, body=body: iam._xml(200, f"{action}Response", body)


def stand_in_for_cloudtrail() -> None:
    """Let events of IAM be put by whoever may put events, as CloudTrail does."""
    put = eventbridge._put_events

    def put_events(data: dict[str, Any]) -> Any:
        return put(data, allow_aws_source=all(one.get("Source") == "aws.iam" for one in data["Entries"]))

    eventbridge._put_events = put_events


def deliver_to_other_accounts() -> None:
    """Hand what a rule sends to another account's bus to the rules there."""
    dispatch = eventbridge._dispatch_to_event_bus

    def deliver(target: Any, event: dict[str, Any], *rest: Any) -> None:
        if target.account_id == responses.get_account_id():
            dispatch(target, event, *rest)
            return

        def arrive() -> None:
            responses.set_request_account_id(target.account_id)
            responses.set_request_region(target.region)
            eventbridge._dispatch_event(event | {"EventBusName": target.resource.partition("/")[2]})

        contextvars.copy_context().run(arrive)

    eventbridge._dispatch_to_event_bus = deliver


if __name__ == "__main__":
    file = Path(os.environ["E2E_ORGANIZATION_FILE"])
    add_condition_keys(file)
    name_accounts(file)
    add_empty_lists()
    stand_in_for_cloudtrail()
    deliver_to_other_accounts()
    from ministack.app import main

    main()
