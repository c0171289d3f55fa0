"""The state of the made-up AWS and what it answers to a call. No sockets here: `endpoint` serves it.

Answers are made once per kind of account and sent often; only an account that was written to has answers of its own.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from random import Random
from urllib.parse import parse_qs

from benchmarks import hub_answers, iam_answers
from benchmarks.books import Books, Call
from benchmarks.organization import HUB_ACCOUNT_ID, POLICY_NAME, Scenario
from benchmarks.wire import PLACEHOLDER, throttling, xml, xml_error

_PLACEHOLDER = PLACEHOLDER.encode()


class Aws:
    """Answers calls and keeps what they change: who has the policy, and which credential reports exist."""

    def __init__(self, scenario: Scenario) -> None:
        """Take what to serve."""
        self._scenario = scenario
        self._random = Random(scenario.seed)  # noqa: S311 - a repeatable sequence is the point
        self._written: dict[str, set[str]] = {}
        self._reports: dict[str, datetime] = {}
        self._templates: dict[object, bytes] = {}
        self.books = Books()

    def answer(self, call: Call) -> bytes:
        """Return the answer to a call, in HTTP."""
        is_throttled = self._is_throttled(call)
        self.books.enter(call, is_throttled=is_throttled)
        if is_throttled:
            return self._made(("throttling", call.service), lambda: throttling(call.service))
        method = self._actions.get(call.action)
        if method is None or (call.service == "iam" and call.account == HUB_ACCOUNT_ID):
            return xml_error("InvalidAction", 400)
        return method(call)

    def to_json(self) -> dict[str, object]:
        """Return the books, and who has EnforceMFA where anybody was written to."""
        attached = {account: sorted(names) for account, names in self._written.items()}
        return {**self.books.to_json(), "attached": attached}

    def _is_throttled(self, call: Call) -> bool:
        scenario = self._scenario
        share = scenario.throttled_share
        if scenario.throttled_account_share and call.account == scenario.special_account_id:
            share = scenario.throttled_account_share
        return share > 0 and self._random.random() < share

    def _made(self, key: object, make: Callable[[], bytes]) -> bytes:
        """Return an answer that is the same for all, made at the first call."""
        found = self._templates.get(key)
        if found is None:
            found = self._templates[key] = make()
        return found

    def _named(self, key: object, make: Callable[[], bytes], account: str) -> bytes:
        """Return an answer that is the same for all but for the account it names."""
        return self._made(key, make).replace(_PLACEHOLDER, account.encode())

    def _is_enforced(self, account: str, name: str) -> bool:
        written = self._written.get(account)
        return self._scenario.is_enforced if written is None else name in written

    @cached_property
    def _open_from_the_start(self) -> frozenset[str]:
        """The users without MFA that have the policy from the start."""
        if not self._scenario.is_enforced:
            return frozenset()
        return frozenset(self._scenario.users_without_mfa(self._scenario.special_account_id))

    def _assume_role(self, call: Call) -> bytes:
        at = call.body.index(b"iam%3A%3A") + len(b"iam%3A%3A")
        return self._named("AssumeRole", hub_answers.assume_role, call.body[at : at + 12].decode())

    def _list_accounts(self, call: Call) -> bytes:
        start = int(json.loads(call.body or b"{}").get("NextToken", 0))
        return self._made(("ListAccounts", start), lambda: hub_answers.list_accounts(self._scenario, start))

    def _generate_report(self, call: Call) -> bytes:
        self._reports[call.account] = datetime.now(UTC)
        return self._made(call.action, iam_answers.generate_credential_report)

    def _get_report(self, call: Call) -> bytes:
        made_at = self._reports.get(call.account)
        if made_at is None:
            return xml_error("ReportNotPresent", 410)
        return iam_answers.credential_report(call.account, self._scenario.count_users(call.account), made_at)

    def _page(self, call: Call) -> tuple[range, bool]:
        """Return the places of a page of users, and whether more follow."""
        users = self._scenario.count_users(call.account)
        end = min(call.start + call.size, users)
        return range(call.start, end), end < users

    def _details(self, call: Call) -> bytes:
        users, more = self._page(call)
        written = self._written.get(call.account)
        if written is not None:
            page = iam_answers.authorization_details(users, written, more=more)
            return page.replace(_PLACEHOLDER, call.account.encode())
        return self._named(
            (call.action, users, more),
            lambda: iam_answers.authorization_details(users, self._open_from_the_start, more=more),
            call.account,
        )

    def _summary(self, call: Call) -> bytes:
        users = self._scenario.count_users(call.account)
        return self._made((call.action, users), lambda: iam_answers.account_summary(users))

    def _virtual_devices(self, call: Call) -> bytes:
        users, more = self._page(call)
        return self._named(
            (call.action, users, more), lambda: iam_answers.virtual_mfa_devices(users, more=more), call.account
        )

    def _users(self, call: Call) -> bytes:
        users, more = self._page(call)
        return self._named((call.action, users, more), lambda: iam_answers.list_users(users, more=more), call.account)

    def _devices(self, call: Call) -> bytes:
        index = _index(call)
        return self._named((call.action, index), lambda: iam_answers.list_mfa_devices(index), call.account)

    def _login_profile(self, call: Call) -> bytes:
        index = _index(call)
        return self._made((call.action, index), lambda: iam_answers.login_profile(index))

    def _attached_policies(self, call: Call) -> bytes:
        enforced = self._is_enforced(call.account, call.parameter("UserName"))
        return self._named(
            (call.action, enforced), lambda: iam_answers.attached_user_policies(is_enforced=enforced), call.account
        )

    def _attach(self, call: Call) -> bytes:
        name, arn = call.parameter("UserName"), call.parameter("PolicyArn")
        if not arn.endswith(f"{call.account}%3Apolicy%2F{POLICY_NAME}"):
            return xml_error("NoSuchEntity", 404)
        self._written.setdefault(call.account, set(self._open_from_the_start)).add(name)
        return self._made(call.action, lambda: xml(call.action))

    def _simulate(self, call: Call) -> bytes:
        given = parse_qs(call.body.decode())
        actions = [values[0] for name, values in given.items() if name.startswith("ActionNames.")]
        return iam_answers.simulation(actions, given["ResourceArns.member.1"][0])

    @cached_property
    def _actions(self) -> dict[str, Callable[[Call], bytes]]:
        return {
            "AssumeRole": self._assume_role,
            "AttachUserPolicy": self._attach,
            "DescribeOrganization": lambda call: self._made(call.action, hub_answers.describe_organization),
            "GenerateCredentialReport": self._generate_report,
            "GetAccountAuthorizationDetails": self._details,
            "GetAccountSummary": self._summary,
            "GetCallerIdentity": lambda call: self._made(call.action, hub_answers.caller_identity),
            "GetCredentialReport": self._get_report,
            "GetLoginProfile": self._login_profile,
            "GetPolicy": lambda call: self._named(call.action, iam_answers.get_policy, call.account),
            "GetPolicyVersion": lambda call: self._made(call.action, iam_answers.get_policy_version),
            "ListAccountAliases": lambda call: self._named(call.action, iam_answers.list_account_aliases, call.account),
            "ListAccounts": self._list_accounts,
            "ListAccountsForParent": self._list_accounts,
            "ListOrganizationalUnitsForParent": lambda call: self._made(call.action, hub_answers.list_units),
            "ListRoots": lambda call: self._made(call.action, hub_answers.list_roots),
            "ListAttachedUserPolicies": self._attached_policies,
            "ListMFADevices": self._devices,
            "ListServiceSpecificCredentials": lambda call: self._made(call.action, iam_answers.service_credentials),
            "ListSSHPublicKeys": lambda call: self._made(call.action, iam_answers.ssh_public_keys),
            "ListUsers": self._users,
            "ListVirtualMFADevices": self._virtual_devices,
            "SimulatePrincipalPolicy": self._simulate,
        }


def _index(call: Call) -> int:
    return int(call.parameter("UserName").removeprefix("user-"))
