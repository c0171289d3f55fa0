"""IAM of the member account that the context has entered: bulk reads, live reads of one user, changes to one user.

Bulk reads take the same few calls for 5 users as for 100: GetAccountAuthorizationDetails for users and groups,
ListVirtualMFADevices, GetAccountSummary, and the credential report, which is requested first and read last.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, assert_never

from tenacity import wait_exponential

from orchestrator.aws import credential_report
from orchestrator.aws.enforcement import EnforcementPolicies
from orchestrator.aws.errors import confirmed, reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain import model
from orchestrator.domain.errors import AwsError, Malformed, NotFound, NotReady, QuotaExceeded

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import UserDetailTypeDef

PAGE_SIZE = 1000
REPORT_WAIT_SECONDS = 20.0
SERVICES = ("bedrock.amazonaws.com", "cassandra.amazonaws.com", "codecommit.amazonaws.com", "logs.amazonaws.com")
"""The services with such credentials (IAM User Guide), asked one by one where IAM takes no question about all."""
SSH = "codecommit.amazonaws.com (SSH key)"
_NEVER = datetime.min.replace(tzinfo=UTC)
_DEAD_KEYS = frozenset({"Inactive", "Expired"})
"""States of keys and credentials that cannot sign; one in any other counts as active."""


class MemberIam:
    """Reads and changes IAM in the entered account. Shared by all threads; keeps no state of an account."""

    def __init__(
        self,
        client: "IAMClient",
        retrier: Retrier,
        policies: EnforcementPolicies,
        *,
        report_wait_seconds: float = REPORT_WAIT_SECONDS,
    ) -> None:
        """Take the shared client; `report_wait_seconds` is the most to wait for the credential report."""
        self._client = client
        self._call = retrier.call
        self._pages = partial(retrier.pages, MaxItems=PAGE_SIZE)
        self._entries = partial(retrier.entries, MaxItems=PAGE_SIZE)
        self._policies = policies
        self._report_wait_seconds = report_wait_seconds
        self._repeat_while = retrier.repeat_while

    @reads_answers
    def inspect(self, account_id: str) -> model.AccountFacts:
        """Return the facts of the account; what the credential report does not tell is None. Raises AwsError."""
        is_report_coming, started_at = self._ask_for_report()
        details = list(self._pages(self._client.get_account_authorization_details, Filter=["User", "Group"]))
        users = [user for page in details for user in page["UserDetailList"]]
        groups = [group for page in details for group in page["GroupDetailList"]]
        summary = self._call(self._client.get_account_summary)["SummaryMap"]
        devices = self._virtual_devices()
        alias = next(self._entries(self._client.list_account_aliases, "AccountAliases"), None)
        enforcement = self._policies.compare(account_id, users, groups)
        rows, made_at = self._read_report() if is_report_coming else ({}, None)
        is_ours = started_at is not None and made_at is not None and made_at >= started_at
        if not is_ours:
            rows = {name: credential_report.without_exonerations(row) for name, row in rows.items()}
        return model.AccountFacts(
            alias=alias,
            root_user=_read_root(summary, rows.get(credential_report.ROOT_ROW)),
            users=tuple(_read_user(user, rows.get(user["UserName"]), devices) for user in users),
            quotas=_read_quotas(summary),
            enforcement=enforcement,
            is_report_ours=is_ours,
        )

    @reads_answers
    def describe(self, account_id: str) -> model.AccountFacts:
        """Return the facts of the account without users and root user, all read live. Raises AwsError."""
        summary = self._call(self._client.get_account_summary)["SummaryMap"]
        alias = next(self._entries(self._client.list_account_aliases, "AccountAliases"), None)
        return model.AccountFacts(
            alias=alias,
            root_user=None,
            users=(),
            quotas=_read_quotas(summary),
            enforcement=self._policies.look(account_id, group=True),
            is_report_ours=False,
            user_count=summary["Users"],
        )

    @reads_answers
    def read_user(self, user_name: str) -> model.IamUser:
        """Return one user with policies, groups and tags; MFA, password and keys are not known. Raises NotFound."""
        user: Any = self._call(self._client.get_user, UserName=user_name)["User"]
        policies = [{"PolicyArn": arn} for arn in self._attached_policy_arns(user["UserName"])]
        groups = self._group_names(user["UserName"])
        return _read_user(user | {"AttachedManagedPolicies": policies, "GroupList": groups}, None, {})

    @reads_answers
    def read_user_live(self, user_name: str, *, password: bool, keys: bool) -> model.LiveUser:
        """Return the live state of a user: MFA devices, and on demand console password and access keys.

        Raises NotFound where the user is gone, Malformed where all MFA devices are of kinds that are not known.
        """
        entries = self._entries(self._client.list_mfa_devices, "MFADevices", UserName=user_name)
        devices = [read_device(entry) for entry in entries]
        device = pick_newest(filter(None, devices))
        if devices and device is None:
            message = f"{user_name} has an MFA device of a kind that this version of orgmfa does not know"
            raise Malformed(message, code="UnknownDeviceKind", operation="ListMFADevices")
        has_password = self._has_console_password(user_name) if password else None
        active, last_used = self._look_at_keys(user_name) if keys else (None, None)
        return model.LiveUser(device is not None, has_password, active, last_used, device)

    @reads_answers
    def list_service_credentials(self, now: datetime) -> dict[str, tuple[str, ...]]:
        """Return the services of the active, unexpired service-specific credentials of each user who has one, by name.

        They are for CodeCommit over HTTPS and Keyspaces, and API keys of Bedrock and CloudWatch Logs; no credential
        report has them. A missing end counts as none. The API's description leaves open whether the service must be
        named with AllUsers. Raises AwsError.
        """
        try:
            found = list(self._service_credentials())
        except AwsError as error:
            if type(error) is not AwsError:
                raise
            found = list(self._service_credentials_one_by_one(error))
        services: defaultdict[str, list[str]] = defaultdict(list)
        for entry in found:
            end = entry.get("ExpirationDate")
            if entry.get("Status") not in _DEAD_KEYS and (end is None or end > now):
                services[entry["UserName"]].append(entry["ServiceName"])
        return {name: tuple(sorted(names)) for name, names in services.items()}

    @reads_answers
    def list_ssh_keys(self, user_name: str) -> tuple[str, ...]:
        """Return an entry for each active SSH key of CodeCommit of a user. Raises NotFound where the user is gone."""
        keys = self._entries(self._client.list_ssh_public_keys, "SSHPublicKeys", UserName=user_name)
        return tuple(SSH for key in keys if key.get("Status") not in _DEAD_KEYS)

    def apply_change(self, change: model.UserChange) -> None:
        """Make one change to one user, safe to repeat. Raises QuotaExceeded, and NotFound where something is gone."""
        client, call = self._client, self._call
        match change:
            case model.AttachPolicy(user_name, policy_arn):
                call(confirmed(client.attach_user_policy), UserName=user_name, PolicyArn=policy_arn)
            case model.AddToGroup(user_name, group_name):
                call(confirmed(client.add_user_to_group), UserName=user_name, GroupName=group_name)
            case model.DetachPolicy(user_name, policy_arn):
                call(confirmed(client.detach_user_policy), UserName=user_name, PolicyArn=policy_arn)
            case model.RemoveFromGroup(user_name, group_name):
                call(confirmed(client.remove_user_from_group), UserName=user_name, GroupName=group_name)
            case _:
                assert_never(change)

    @reads_answers
    def is_applied(self, change: model.AttachPolicy | model.AddToGroup) -> bool:
        """Return whether a change is in effect, for when the answer to the write itself was lost."""
        match change:
            case model.AttachPolicy(user_name, policy_arn):
                return policy_arn in self._attached_policy_arns(user_name)
            case model.AddToGroup(user_name, group_name):
                return group_name in self._group_names(user_name)
            case _:
                assert_never(change)

    def _ask_for_report(self) -> tuple[bool, datetime | None]:
        """Request the credential report; return whether IAM accepted, and when its making began if it is our own."""
        asked_at = monotonic()
        try:
            answer = self._call(self._client.generate_credential_report)
        except QuotaExceeded:
            return False, None
        return True, credential_report.read_start(answer, monotonic() - asked_at)

    def _read_report(self) -> tuple[dict[str, credential_report.ReportRow], datetime | None]:
        """Return the rows of the credential report and its time; no rows where it is not ready in time."""
        wait = wait_exponential(multiplier=0.25, max=4)
        attempts = self._repeat_while(NotReady, NotFound, seconds=self._report_wait_seconds, wait=wait)
        try:
            answer = attempts(self._call, self._client.get_credential_report)
        except (NotReady, NotFound):
            return {}, None
        return credential_report.read_credential_report(answer["Content"]), answer["GeneratedTime"]

    def _virtual_devices(self) -> dict[str, model.MfaDevice]:
        """Return the newest virtual MFA device of each user who has one, read live, by the user's ARN."""
        by_arn: dict[str, list[model.MfaDevice]] = {}
        method = self._client.list_virtual_mfa_devices
        for entry in self._entries(method, "VirtualMFADevices", AssignmentStatus="Assigned"):
            if (user := entry.get("User")) and (device := read_device(entry)):
                by_arn.setdefault(user["Arn"], []).append(device)
        return {arn: newest for arn, devices in by_arn.items() if (newest := pick_newest(devices)) is not None}

    def _attached_policy_arns(self, user_name: str) -> frozenset[str]:
        policies = self._entries(self._client.list_attached_user_policies, "AttachedPolicies", UserName=user_name)
        return frozenset(policy["PolicyArn"] for policy in policies)

    def _group_names(self, user_name: str) -> frozenset[str]:
        groups = self._entries(self._client.list_groups_for_user, "Groups", UserName=user_name)
        return frozenset(group["GroupName"] for group in groups)

    def _has_console_password(self, user_name: str) -> bool:
        try:
            return bool(self._call(self._client.get_login_profile, UserName=user_name)["LoginProfile"])
        except NotFound:
            return False

    def _look_at_keys(self, user_name: str) -> tuple[int, datetime | None]:
        """Return how many access keys of a user are active, and when one of them was last used."""
        keys = self._entries(self._client.list_access_keys, "AccessKeyMetadata", UserName=user_name)
        used_at: list[datetime | None] = []
        for key in [key for key in keys if key["Status"] not in _DEAD_KEYS]:
            with suppress(NotFound):  # a key that was deleted meanwhile; its user is still there
                answer = self._call(self._client.get_access_key_last_used, AccessKeyId=key["AccessKeyId"])
                used_at.append(answer["AccessKeyLastUsed"].get("LastUsedDate"))
        return len(used_at), max(filter(None, used_at), default=None)

    def _service_credentials(self, **service: str) -> Iterator[Any]:
        ask = self._client.list_service_specific_credentials
        return self._entries(ask, "ServiceSpecificCredentials", AllUsers=True, **service)

    def _service_credentials_one_by_one(self, refusal: AwsError) -> Iterator[Any]:
        """Yield the credentials of each service that the partition has. Raises the refusal where it has none."""
        unknown = 0
        for service in SERVICES:
            try:
                yield from self._service_credentials(ServiceName=service)
            except AwsError as error:
                if error.code != "NotSupportedService":
                    raise
                unknown += 1
        if unknown == len(SERVICES):
            raise refusal


def _read_user(
    detail: "UserDetailTypeDef", row: credential_report.ReportRow | None, devices: Mapping[str, model.MfaDevice]
) -> model.IamUser:
    """Return a user from the bulk reads; a virtual device that was read live outweighs an older credential report.

    The row of somebody else of that name, deleted since the report was made, says nothing about this user.
    """
    arn = detail["Arn"]
    known = row if row is not None and row.belongs_to(arn, detail["CreateDate"]) else credential_report.UNKNOWN
    return model.IamUser(
        id=detail["UserId"],
        name=detail["UserName"],
        arn=arn,
        created_at=detail["CreateDate"],
        has_mfa=True if arn in devices else known.has_mfa,
        has_console_password=known.has_console_password,
        active_access_keys=known.active_access_keys,
        keys_last_used=known.keys_last_used,
        password_last_used=known.password_last_used,
        attached_policy_arns=frozenset(policy["PolicyArn"] for policy in detail["AttachedManagedPolicies"]),
        group_names=frozenset(detail["GroupList"]),
        mfa_device=devices.get(arn),
        tags=tuple((tag["Key"], tag["Value"]) for tag in detail.get("Tags", ())),
    )


def _read_quotas(summary: Mapping[Any, int]) -> model.Quotas:
    return model.Quotas(
        policies_per_user=summary["AttachedPoliciesPerUserQuota"], groups_per_user=summary["GroupsPerUserQuota"]
    )


def _read_root(summary: Mapping[Any, int], row: credential_report.ReportRow | None) -> model.RootUser:
    """Return the root user from GetAccountSummary, which is live.

    Centralised root access can remove a member's root credentials. Where the summary does not say whether there is a
    password, the credential report does; where neither does, the root user counts as having one.
    """
    has_keys = bool(summary["AccountAccessKeysPresent"])
    has_password = summary.get("AccountPasswordPresent")
    if has_password is None:
        has_password = not (row is not None and row.has_console_password is False)
    return model.RootUser(has_credentials=bool(has_password) or has_keys, has_mfa=bool(summary["AccountMFAEnabled"]))


def read_device(entry: Mapping[str, Any]) -> model.MfaDevice | None:
    """Return the MFA device of an entry of ListMFADevices or ListVirtualMFADevices; None: of a kind not known.

    The serial number tells the kind: `arn:...:mfa/name` is a virtual device, `arn:...:u2f/...` a passkey or security
    key; a hardware token has the number printed on it (IAM User Guide, 'MFA in IAM').
    """
    serial = str(entry["SerialNumber"])
    kind: model.DeviceKind = "hardware"
    if ":mfa/" in serial:
        kind = "virtual"
    elif ":u2f/" in serial or "fido" in serial.casefold():
        kind = "fido"
    elif serial.startswith("arn:") and ":sms-mfa/" not in serial:
        return None
    return model.MfaDevice(kind, entry.get("EnableDate"))


def pick_newest(devices: Iterable[model.MfaDevice]) -> model.MfaDevice | None:
    """Return the MFA device that was enrolled last, or None where there is no device."""
    return max(devices, key=lambda device: device.enrolled_at or _NEVER, default=None)
