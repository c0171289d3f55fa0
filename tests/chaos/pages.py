"""What becomes of AWS's answers although nothing is wrong: IAM's own pages, empty ones among them, and old reports."""

import base64
import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from random import Random
from xml.etree import ElementTree as ET

from tests.aws_server import Answer, Call
from tests.chaos.wire import Disturbance, Instead, Trouble
from tests.chaos.world import World, backend

Edit = Callable[[Call, bytes], bytes]

_LISTS = {
    "GetAccountAuthorizationDetails": ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"),
    "ListMFADevices": ("MFADevices",),
    "ListVirtualMFADevices": ("VirtualMFADevices",),
    "ListAttachedUserPolicies": ("AttachedPolicies",),
    "ListGroupsForUser": ("Groups",),
    "ListAccessKeys": ("AccessKeyMetadata",),
    "ListSSHPublicKeys": ("SSHPublicKeys",),
    "ListServiceSpecificCredentials": ("ServiceSpecificCredentials",),
    "SimulatePrincipalPolicy": ("EvaluationResults",),
}


def empty_first_pages(share: float) -> Trouble:
    """Give a share of IAM's listings an empty first page with the promise of more."""

    def trouble(call: Call, chance: Random) -> Disturbance | None:
        lists = _LISTS.get(call.action)
        if lists is None or "Marker" in call.parameters or chance.random() > share:
            return None
        empty = "".join(f"<{name}/>" for name in lists)
        result = f"{empty}<IsTruncated>true</IsTruncated><Marker>0</Marker>"
        body = f"<{call.action}Response><{call.action}Result>{result}</{call.action}Result>{_METADATA}"
        return Instead(Answer(200, f"{body}</{call.action}Response>"))

    return trouble


_METADATA = "<ResponseMetadata><RequestId>7a62c49f-347e-4fc4-9331-6e8eEXAMPLE</RequestId></ResponseMetadata>"


def paged_users(most: int) -> Edit:
    """Page the users of GetAccountAuthorizationDetails, which moto gives in one answer."""

    def edit(call: Call, content: bytes) -> bytes:
        if call.action != "GetAccountAuthorizationDetails":
            return content
        root = ET.fromstring(content)  # noqa: S314 - the fake's own answer
        users, groups = root.find(".//{*}UserDetailList"), root.find(".//{*}GroupDetailList")
        if users is None or groups is None:
            return content
        size = min(most, int(call.parameters.get("MaxItems", "100")))
        start = int(call.parameters.get("Marker") or 0)
        members = list(users)
        users[:] = members[start : start + size]
        if start:
            groups[:] = []
        if start + size < len(members):
            result = root.find(".//{*}GetAccountAuthorizationDetailsResult")
            assert result is not None
            for old in result.findall("{*}IsTruncated"):
                result.remove(old)
            namespace = users.tag.partition("}")[0] + "}" if users.tag.startswith("{") else ""
            ET.SubElement(result, f"{namespace}IsTruncated").text = "true"
            ET.SubElement(result, f"{namespace}Marker").text = str(start + size)
        return ET.tostring(root)

    return edit


def old_reports(world: World, age: timedelta = timedelta(hours=3)) -> Edit:
    """Give the credential reports as they were before the run, as IAM does for four hours."""
    before = {}
    for account_id in world.places:
        iam = backend(account_id)
        iam.generate_report()
        before[account_id] = base64.b64encode(iam.get_credential_report().encode())
    made_at = f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%SZ}".encode()

    def edit(call: Call, content: bytes) -> bytes:
        if call.action != "GetCredentialReport" or call.account_id not in before:
            return content
        content = re.sub(rb"(?<=<Content>)[^<]*", before[call.account_id], content)
        return re.sub(rb"(?<=<GeneratedTime>)[^<]*", made_at, content)

    return edit


def timed_reports(*, reborn: bool) -> Edit:
    """Have the credential reports say that everybody has MFA.

    As somebody in the account had them made at a moment of their choice; or, with `reborn`, of users who had the names
    before those of today.
    """

    def edit(call: Call, content: bytes) -> bytes:
        if call.action == "GenerateCredentialReport" and not reborn:
            return re.sub(rb"(?<=<State>)[^<]*", b"COMPLETE", content)
        if call.action != "GetCredentialReport":
            return content
        found = re.search(rb"(?<=<Content>)[^<]*", content)
        assert found is not None
        return content.replace(found[0], base64.b64encode(_with_mfa(base64.b64decode(found[0]), reborn=reborn)))

    return edit


def _with_mfa(report: bytes, *, reborn: bool) -> bytes:
    reader = csv.DictReader(StringIO(report.decode()))
    text = StringIO()
    writer = csv.DictWriter(text, reader.fieldnames or (), lineterminator="\n")
    writer.writeheader()
    for row in reader:
        born = {"user_creation_time": "2019-01-01T00:00:00+00:00"} if reborn else {}
        writer.writerow(row | {"mfa_active": "true"} | born)
    return text.getvalue().encode()
