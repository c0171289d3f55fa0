"""What IAM answers in a member account, as bytes that are made once and sent often. Keeps no state.

Source: the IAM API Reference; the columns of the credential report are those of the IAM User Guide.
"""

import base64
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from urllib.parse import quote

from benchmarks.organization import POLICY_NAME, has_mfa, has_virtual_device, policy_arn, user_name
from benchmarks.wire import PLACEHOLDER, xml
from orchestrator.domain.policy_document import render_enforcement_policy

_CREATED = "2024-03-01T09:00:00Z"
_COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


def get_policy() -> bytes:
    """Return EnforceMFA."""
    return xml(
        "GetPolicy",
        f"<Policy><PolicyName>{POLICY_NAME}</PolicyName><PolicyId>ANPAEXAMPLE</PolicyId>"
        f"<Arn>{policy_arn(PLACEHOLDER)}</Arn><Path>/</Path><DefaultVersionId>v1</DefaultVersionId>"
        f"<AttachmentCount>1</AttachmentCount><PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount>"
        f"<IsAttachable>true</IsAttachable><CreateDate>{_CREATED}</CreateDate><UpdateDate>{_CREATED}</UpdateDate>"
        "<Tags/></Policy>",
    )


def get_policy_version() -> bytes:
    """Return the text of EnforceMFA, URL-encoded as IAM returns it."""
    document = json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"), indent=2)
    return xml(
        "GetPolicyVersion",
        f"<PolicyVersion><Document>{quote(document, safe='')}</Document><VersionId>v1</VersionId>"
        f"<IsDefaultVersion>true</IsDefaultVersion><CreateDate>{_CREATED}</CreateDate></PolicyVersion>",
    )


def account_summary(users: int) -> bytes:
    """Return the summary of an account with so many users."""
    numbers = {
        "Users": users,
        "Groups": 3,
        "AccountMFAEnabled": 1,
        "AccountAccessKeysPresent": 0,
        "AccountPasswordPresent": 1,
        "AttachedPoliciesPerUserQuota": 10,
        "GroupsPerUserQuota": 10,
        "UsersQuota": 5000,
        "MFADevices": users,
        "MFADevicesInUse": users,
        "VersionsPerPolicyQuota": 5,
        "Roles": 12,
        "Policies": 4,
    }
    entries = "".join(f"<entry><key>{key}</key><value>{value}</value></entry>" for key, value in numbers.items())
    return xml("GetAccountSummary", f"<SummaryMap>{entries}</SummaryMap>")


def list_account_aliases() -> bytes:
    """Return the alias of an account."""
    return xml(
        "ListAccountAliases",
        f"<IsTruncated>false</IsTruncated><AccountAliases><member>acme-{PLACEHOLDER}</member></AccountAliases>",
    )


def generate_credential_report() -> bytes:
    """Return that the credential report is being made."""
    return xml("GenerateCredentialReport", "<State>STARTED</State>")


def credential_report(account: str, users: int, made_at: datetime) -> bytes:
    """Return the credential report of an account, made then."""
    content = base64.b64encode(_report_text(users).replace(PLACEHOLDER, account).encode()).decode()
    return xml(
        "GetCredentialReport",
        f"<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>"
        f"<GeneratedTime>{made_at:%Y-%m-%dT%H:%M:%S.%fZ}</GeneratedTime>",
    )


@cache
def _report_text(users: int) -> str:
    none = "false,N/A,N/A,N/A,N/A"
    root = f"<root_account>,arn:aws:iam::{PLACEHOLDER}:root,{_CREATED},not_supported,no_information,not_supported,"
    rows = [_COLUMNS, f"{root}not_supported,true,{none},{none},false,N/A,false,N/A"]
    for index in range(users):
        used = "2025-01-10T08:00:00+00:00"
        key = f"true,{_CREATED},{used},eu-central-1,s3" if index % 10 == 1 else none
        rows.append(
            f"{user_name(index)},{_user_arn(index)},{_CREATED},true,no_information,{_CREATED},N/A,"
            f"{str(has_mfa(index)).lower()},{key},{none},false,N/A,false,N/A"
        )
    return "\n".join(rows)


def _user_arn(index: int) -> str:
    return f"arn:aws:iam::{PLACEHOLDER}:user/{user_name(index)}"


def authorization_details(users: range, attached: Collection[str], *, more: bool) -> bytes:
    """Return a page of users, those of `attached` with EnforceMFA; the groups come with the first page."""
    details = "".join(_user_detail(index, is_enforced=user_name(index) in attached) for index in users)
    groups = "" if users.start else "".join(map(_group_detail, ("EnforceMFA", "developers", "operators")))
    return xml(
        "GetAccountAuthorizationDetails",
        f"{_truncation(users, more=more)}<UserDetailList>{details}</UserDetailList>"
        f"<GroupDetailList>{groups}</GroupDetailList><RoleDetailList/><Policies/>",
    )


def _truncation(indexes: range, *, more: bool) -> str:
    return (
        f"<IsTruncated>true</IsTruncated><Marker>{indexes.stop}</Marker>"
        if more
        else "<IsTruncated>false</IsTruncated>"
    )


@cache
def _user_detail(index: int, *, is_enforced: bool) -> str:
    policies = ["arn:aws:iam::aws:policy/ReadOnlyAccess", *([policy_arn(PLACEHOLDER)] if is_enforced else [])]
    attached = "".join(map(_attached_policy, policies))
    return (
        f"<member><Path>/</Path>{_user_head(index)}"
        f"<GroupList><member>developers</member></GroupList><AttachedManagedPolicies>{attached}"
        f"</AttachedManagedPolicies><Tags><member><Key>team</Key><Value>payments</Value></member></Tags></member>"
    )


def _user_head(index: int) -> str:
    return (
        f"<UserName>{user_name(index)}</UserName><UserId>AIDAEXAMPLE{index:010d}</UserId>"
        f"<Arn>{_user_arn(index)}</Arn><CreateDate>{_CREATED}</CreateDate>"
    )


def _group_detail(name: str) -> str:
    arn = policy_arn(PLACEHOLDER) if name == "EnforceMFA" else "arn:aws:iam::aws:policy/PowerUserAccess"
    return (
        f"<member><Path>/</Path><GroupName>{name}</GroupName><GroupId>AGPAEXAMPLE{name}</GroupId>"
        f"<Arn>arn:aws:iam::{PLACEHOLDER}:group/{name}</Arn><CreateDate>{_CREATED}</CreateDate><GroupPolicyList/>"
        f"<AttachedManagedPolicies>{_attached_policy(arn)}</AttachedManagedPolicies></member>"
    )


def _attached_policy(arn: str) -> str:
    name = arn.rpartition("/")[2]
    return f"<member><PolicyName>{name}</PolicyName><PolicyArn>{arn}</PolicyArn></member>"


def attached_user_policies(*, is_enforced: bool) -> bytes:
    """Return the policies of a user."""
    arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess", *([policy_arn(PLACEHOLDER)] if is_enforced else [])]
    attached = "".join(map(_attached_policy, arns))
    return xml(
        "ListAttachedUserPolicies",
        f"<AttachedPolicies>{attached}</AttachedPolicies><IsTruncated>false</IsTruncated>",
    )


def list_users(users: range, *, more: bool) -> bytes:
    """Return a page of users."""
    members = "".join(f"<member><Path>/</Path>{_user_head(index)}</member>" for index in users)
    return xml("ListUsers", f"{_truncation(users, more=more)}<Users>{members}</Users>")


def virtual_mfa_devices(devices: range, *, more: bool) -> bytes:
    """Return a page of the virtual devices of the users at these places."""
    members = "".join(
        f"<member><SerialNumber>arn:aws:iam::{PLACEHOLDER}:mfa/{user_name(index)}</SerialNumber>"
        f"<User><Path>/</Path>{_user_head(index)}</User><EnableDate>{_CREATED}</EnableDate></member>"
        for index in devices
        if has_virtual_device(index)
    )
    return xml(
        "ListVirtualMFADevices",
        f"{_truncation(devices, more=more)}<VirtualMFADevices>{members}</VirtualMFADevices>",
    )


def list_mfa_devices(index: int) -> bytes:
    """Return the MFA devices of a user."""
    kind = "mfa" if has_virtual_device(index) else "u2f/user"
    serial = f"arn:aws:iam::{PLACEHOLDER}:{kind}/{user_name(index)}"
    member = (
        f"<member><UserName>{user_name(index)}</UserName><SerialNumber>{serial}</SerialNumber>"
        f"<EnableDate>{_CREATED}</EnableDate></member>"
    )
    devices = member if has_mfa(index) else ""
    return xml("ListMFADevices", f"<IsTruncated>false</IsTruncated><MFADevices>{devices}</MFADevices>")


def login_profile(index: int) -> bytes:
    """Return the console password's metadata of a user."""
    return xml(
        "GetLoginProfile",
        f"<LoginProfile><UserName>{user_name(index)}</UserName><CreateDate>{_CREATED}</CreateDate>"
        "<PasswordResetRequired>false</PasswordResetRequired></LoginProfile>",
    )


def simulation(actions: Sequence[str], resource: str) -> bytes:
    """Return that every action on a resource is allowed, in the shape of botocore 1.44."""
    keys = "<MatchedStatements/><MissingContextValues/>"
    specific = (
        f"<member><EvalResourceName>{resource}</EvalResourceName><EvalResourceDecision>allowed</EvalResourceDecision>"
        f"{keys}</member>"
    )
    results = "".join(
        f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName>"
        f"<EvalDecision>allowed</EvalDecision>{keys}"
        "<OrganizationsDecisionDetail><AllowedByOrganizations>true</AllowedByOrganizations>"
        f"</OrganizationsDecisionDetail><ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
        for action in actions
    )
    return xml(
        "SimulatePrincipalPolicy",
        f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>",
    )


def service_credentials() -> bytes:
    """Return that no user of an account has a service-specific credential."""
    return xml("ListServiceSpecificCredentials", "<ServiceSpecificCredentials/><IsTruncated>false</IsTruncated>")


def ssh_public_keys() -> bytes:
    """Return that a user has no SSH key."""
    return xml("ListSSHPublicKeys", "<SSHPublicKeys/><IsTruncated>false</IsTruncated>")
