"""The state of the made-up AWS and what it answers to a call. No sockets here: `endpoint` serves it.

Answers are made once per kind of account and sent often; only an account that was written to has answers of its own.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from random import Random
from time import monotonic
from urllib.parse import parse_qs

from benchmarks import answers
from benchmarks.organization import HUB_ACCOUNT_ID, POLICY_NAME, Scenario, has_mfa, user_name

_PLACEHOLDER = answers.PLACEHOLDER.encode()
_DEFAULT_PAGE = 100
"""Entries of a page where a call names no MaxItems (IAM API Reference)."""
_HUB_SERVICES = frozenset({"organizations", "sts"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in: `account` is the one whose credentials signed it, `body` its parameters."""

    service: str
    action: str
    account: str
    body: bytes

    def parameter(self, name: str) -> str:
        """Return a parameter of the query protocol that needs no decoding, or nothing where it is not given."""
        start = self.body.find(f"&{name}=".encode())
        if start < 0:
            return ""
        start += len(name) + 2
        end = self.body.find(b"&", start)
        return self.body[start : end if end > 0 else len(self.body)].decode()

    @property
    def start(self) -> int:
        """The place that a Marker leads to."""
        return int(self.parameter("Marker") or 0)

    @property
    def size(self) -> int:
        """How many entries a page may have."""
        return int(self.parameter("MaxItems") or _DEFAULT_PAGE)


@dataclass
class Books:
    """What was called: the fake's own account of it, in which a throttled call is a call too.

    `last_call_at` is when an account was answered last, in seconds after the first call of all.
    """

    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    last_call_at: dict[str, float] = field(default_factory=dict)
    _began_at: float | None = None

    def enter(self, call: Call, *, is_throttled: bool) -> None:
        """Write a call down."""
        now = monotonic()
        if self._began_at is None:
            self._began_at = now
        self.calls[call.service, call.action, call.account] += 1
        self.throttled[call.account] += is_throttled
        self.last_call_at[call.account] = now - self._began_at

    def to_json(self) -> dict[str, object]:
        """Return the books as the control path shows them; calls by account, then by `service:Action`."""
        by_account: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (service, action, account), count in self.calls.items():
            by_account[account][f"{service}:{action}"] = count
        return {"calls": by_account, "throttled": self.throttled, "last_call_at": self.last_call_at}


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
            return self._made(("throttling", call.service), lambda: answers.throttling(call.service))
        method = self._actions.get(call.action)
        if method is None or (call.service == "iam" and call.account == HUB_ACCOUNT_ID):
            return answers.xml_error("InvalidAction", 400)
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
        most = max(self._scenario.users, self._scenario.large_users)
        names = (user_name(index) for index in range(most) if not has_mfa(index))
        return frozenset(names) if self._scenario.is_enforced else frozenset()

    def _assume_role(self, call: Call) -> bytes:
        at = call.body.index(b"iam%3A%3A") + len(b"iam%3A%3A")
        return self._named("AssumeRole", answers.assume_role, call.body[at : at + 12].decode())

    def _list_accounts(self, call: Call) -> bytes:
        start = int(json.loads(call.body or b"{}").get("NextToken", 0))
        return self._made(("ListAccounts", start), lambda: answers.list_accounts(self._scenario, start))

    def _generate_report(self, call: Call) -> bytes:
        self._reports.setdefault(call.account, datetime.now(UTC))
        return self._made(call.action, answers.generate_credential_report)

    def _get_report(self, call: Call) -> bytes:
        made_at = self._reports.get(call.account)
        if made_at is None:
            return answers.xml_error("ReportNotPresent", 410)
        return answers.credential_report(call.account, self._scenario.count_users(call.account), made_at)

    def _page(self, call: Call) -> tuple[range, bool]:
        """Return the places of a page of users, and whether more follow."""
        users = self._scenario.count_users(call.account)
        end = min(call.start + call.size, users)
        return range(call.start, end), end < users

    def _details(self, call: Call) -> bytes:
        users, more = self._page(call)
        written = self._written.get(call.account)
        if written is not None:
            page = answers.authorization_details(users, written, more=more)
            return page.replace(_PLACEHOLDER, call.account.encode())
        return self._named(
            (call.action, users, more),
            lambda: answers.authorization_details(users, self._open_from_the_start, more=more),
            call.account,
        )

    def _summary(self, call: Call) -> bytes:
        users = self._scenario.count_users(call.account)
        return self._made((call.action, users), lambda: answers.account_summary(users))

    def _virtual_devices(self, call: Call) -> bytes:
        users, more = self._page(call)
        return self._named(
            (call.action, users, more), lambda: answers.virtual_mfa_devices(users, more=more), call.account
        )

    def _users(self, call: Call) -> bytes:
        users, more = self._page(call)
        return self._named((call.action, users, more), lambda: answers.list_users(users, more=more), call.account)

    def _devices(self, call: Call) -> bytes:
        index = _index(call)
        return self._named((call.action, index), lambda: answers.list_mfa_devices(index), call.account)

    def _login_profile(self, call: Call) -> bytes:
        index = _index(call)
        return self._made((call.action, index), lambda: answers.login_profile(index))

    def _attached_policies(self, call: Call) -> bytes:
        enforced = self._is_enforced(call.account, call.parameter("UserName"))
        return self._named(
            (call.action, enforced), lambda: answers.attached_user_policies(is_enforced=enforced), call.account
        )

    def _attach(self, call: Call) -> bytes:
        name, arn = call.parameter("UserName"), call.parameter("PolicyArn")
        if not arn.endswith(f"{call.account}%3Apolicy%2F{POLICY_NAME}"):
            return answers.xml_error("NoSuchEntity", 404)
        self._written.setdefault(call.account, set(self._open_from_the_start)).add(name)
        return self._made(call.action, lambda: answers.xml(call.action))

    def _simulate(self, call: Call) -> bytes:
        given = parse_qs(call.body.decode())
        actions = [values[0] for name, values in given.items() if name.startswith("ActionNames.")]
        resources = [values[0] for name, values in given.items() if name.startswith("ResourceArns.")]
        return answers.simulation(actions, resources)

    @cached_property
    def _actions(self) -> dict[str, Callable[[Call], bytes]]:
        return {
            "AssumeRole": self._assume_role,
            "AttachUserPolicy": self._attach,
            "DescribeOrganization": lambda call: self._made(call.action, answers.describe_organization),
            "GenerateCredentialReport": self._generate_report,
            "GetAccountAuthorizationDetails": self._details,
            "GetAccountSummary": self._summary,
            "GetCallerIdentity": lambda call: self._made(call.action, answers.caller_identity),
            "GetCredentialReport": self._get_report,
            "GetLoginProfile": self._login_profile,
            "GetPolicy": lambda call: self._named(call.action, answers.get_policy, call.account),
            "GetPolicyVersion": lambda call: self._made(call.action, answers.get_policy_version),
            "ListAccountAliases": lambda call: self._named(call.action, answers.list_account_aliases, call.account),
            "ListAccounts": self._list_accounts,
            "ListAttachedUserPolicies": self._attached_policies,
            "ListMFADevices": self._devices,
            "ListUsers": self._users,
            "ListVirtualMFADevices": self._virtual_devices,
            "SimulatePrincipalPolicy": self._simulate,
        }


def _index(call: Call) -> int:
    return int(call.parameter("UserName").removeprefix("user-"))
