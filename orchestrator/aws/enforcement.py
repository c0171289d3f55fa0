"""EnforceMFA policy and group in a member account: compare them with what they should be, create and update them.

They are created and updated only with `policy.managed_by: orchestrator`; with `stackset` the StackSet owns both.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain.config import PolicyConfig
from orchestrator.domain.errors import AlreadyExists, NotFound
from orchestrator.domain.model import Enforcement, PolicyChange, PolicyState
from orchestrator.domain.policy_document import digest_of, judge_text, render_enforcement_policy

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

OWNER_TAG = "orgmfa:managed-by"
OWNER_TAG_VALUE = "orgmfa"
VERSIONS_PER_POLICY = 5
"""IAM quota 'versions per managed policy'; it cannot be raised (IAM User Guide, 'IAM and STS quotas')."""


class EnforcementPolicies:
    """Compares and manages the policy and group in the entered account. `document` is the text the policy must have."""

    def __init__(self, client: "IAMClient", retrier: Retrier, config: PolicyConfig, *, partition: str) -> None:
        """Take the shared client, names and owner of policy and group, and the partition of the accounts."""
        self._client = client
        self._call = retrier.call
        self._entries = retrier.entries
        self._config = config
        self._partition = partition
        ours = render_enforcement_policy(partition=partition, access_keys=config.access_keys)
        self.document = json.dumps(ours, separators=(",", ":"))
        self._judge = partial(judge_text, partition=partition, ours=digest_of(self.document))
        self._judged: dict[tuple[str, str, str], tuple[PolicyState, bool]] = {}

    def policy_arn(self, account_id: str) -> str:
        """Return the ARN of EnforceMFA in an account."""
        return f"arn:{self._partition}:iam::{account_id}:policy{self._config.path}{self._config.name}"

    @reads_answers
    def compare(
        self, account_id: str, users: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]
    ) -> Enforcement:
        """Return the states of policy and group; the group's is judged by the bulk read."""
        name = self._config.group
        group = next((group for group in groups if group["GroupName"] == name), None)
        if group is None:
            state = PolicyState.MISSING
        else:
            state = self._judge_group(
                account_id,
                attached=[policy["PolicyArn"] for policy in group["AttachedManagedPolicies"]],
                has_inline=bool(group["GroupPolicyList"]),
                has_members=lambda: any(name in user["GroupList"] for user in users),
            )
        return self._enforcement(account_id, state)

    @reads_answers
    def look(self, account_id: str, *, group: bool) -> Enforcement:
        """Return the states of the policy and, on demand, the group, read live; a group not read counts as missing."""
        state = self._look_at_group(account_id) if group else PolicyState.MISSING
        return self._enforcement(account_id, state)

    @reads_answers
    def change(self, account_id: str, change: PolicyChange) -> None:
        """Make one change to the policy or the group; no error where AWS says that it exists already."""
        config, arn = self._config, self.policy_arn(account_id)
        try:
            match change:
                case PolicyChange.CREATE_POLICY:
                    self._call(
                        self._client.create_policy,
                        PolicyName=config.name,
                        Path=config.path,
                        PolicyDocument=self.document,
                        Description="Denies everything but setting up MFA until the user signs in with MFA.",
                        Tags=[{"Key": OWNER_TAG, "Value": OWNER_TAG_VALUE}],
                    )
                case PolicyChange.UPDATE_POLICY:
                    self._update_policy(arn)
                case PolicyChange.CREATE_GROUP:
                    self._call(self._client.create_group, GroupName=config.group, Path=config.path)
                case PolicyChange.ATTACH_GROUP_POLICY:
                    self._call(self._client.attach_group_policy, GroupName=config.group, PolicyArn=arn)
                case _:
                    assert_never(change)
        except AlreadyExists:
            return  # made by an earlier try whose answer was lost, or by someone else: the next `look` tells

    def _enforcement(self, account_id: str, group: PolicyState) -> Enforcement:
        """Return the state of the policy, read live, with that of the group.

        Judgements are kept for a run: the text of a version never changes, and a policy that is deleted and created
        again has another ID (IAM User Guide, 'IAM identifiers').
        """
        arn = self.policy_arn(account_id)
        try:
            policy = self._call(self._client.get_policy, PolicyArn=arn)["Policy"]
            policy_id, version = policy["PolicyId"], policy["DefaultVersionId"]
            if (arn, policy_id, version) not in self._judged:
                answer = self._call(self._client.get_policy_version, PolicyArn=arn, VersionId=version)
                self._judged[arn, policy_id, version] = self._judge(answer["PolicyVersion"]["Document"])
        except NotFound:
            return Enforcement(arn, self._config.group, PolicyState.MISSING, group)
        state, can_lock_out = self._judged[arn, policy_id, version]
        return Enforcement(arn, self._config.group, state, group, f"{policy_id} {version}", can_lock_out)

    def _look_at_group(self, account_id: str) -> PolicyState:
        name, client = self._config.group, self._client
        try:
            attached = self._entries(client.list_attached_group_policies, "AttachedPolicies", GroupName=name)
            return self._judge_group(
                account_id,
                attached=[policy["PolicyArn"] for policy in attached],
                has_inline=any(self._entries(client.list_group_policies, "PolicyNames", GroupName=name)),
                has_members=lambda: any(self._entries(client.get_group, "Users", GroupName=name)),
            )
        except NotFound:
            return PolicyState.MISSING

    def _judge_group(
        self, account_id: str, *, attached: Sequence[str], has_inline: bool, has_members: Callable[[], bool]
    ) -> PolicyState:
        """Return the state of a group by its policies and members.

        An empty group without policies is taken for one that an earlier run could not finish. One with members belongs
        to somebody else: a policy attached to it would reach users whom nobody inspected.
        """
        if list(attached) == [self.policy_arn(account_id)] and not has_inline:
            return PolicyState.OURS
        is_unfinished = (
            self._config.managed_by == "orchestrator" and not attached and not has_inline and not has_members()
        )
        return PolicyState.OUTDATED if is_unfinished else PolicyState.DRIFTED

    def _update_policy(self, arn: str) -> None:
        """Make our text the default version; at five versions, first delete the oldest that is not the default."""
        versions = list(self._entries(self._client.list_policy_versions, "Versions", PolicyArn=arn))
        if len(versions) >= VERSIONS_PER_POLICY:
            spare = [version for version in versions if not version["IsDefaultVersion"]]
            oldest = min(spare, key=lambda version: version["CreateDate"])
            self._call(self._client.delete_policy_version, PolicyArn=arn, VersionId=oldest["VersionId"])
        make = self._client.create_policy_version
        self._call(make, PolicyArn=arn, PolicyDocument=self.document, SetAsDefault=True)
