"""What the benchmarks compare does the same job: calls and results, never times. `python -m benchmarks.smoke`.

Few accounts and little latency. Raises AssertionError with the figure that is off.
"""

from collections import Counter
from pathlib import Path

from benchmarks.measuring import Measurement, certificates
from benchmarks.organization import PAGE_OF_ACCOUNTS, Scenario
from benchmarks.targets import MOST_STEADY_CALLS, QUICK, Bench
from benchmarks.tools import NAIVE, NO_SDK, ORGMFA
from orchestrator.pipeline.precautions import WRITES_PER_LOOK

FIRST_RUN = Scenario(25, latency_ms=1, large_users=40)
STEADY = Scenario(25, latency_ms=1, is_enforced=True)
START_UP = {
    "sts:GetCallerIdentity": 1,
    "organizations:DescribeOrganization": 1,
    "organizations:ListRoots": 1,
    "organizations:ListOrganizationalUnitsForParent": 1,
}
LISTINGS = ("organizations:ListAccounts", "organizations:ListAccountsForParent")
"""The accounts of the organization, and those of the root, which hold the OUs."""
INSPECTION = (
    "sts:AssumeRole",
    "iam:GenerateCredentialReport",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetAccountSummary",
    "iam:ListVirtualMFADevices",
    "iam:ListAccountAliases",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetCredentialReport",
)
"""What every account costs."""
APPLICATION = ("iam:ListServiceSpecificCredentials", "sts:AssumeRole", "iam:GetPolicy")
"""What an account costs more in which there is something to write; the policy is looked at again every few writes."""
LOOK_AND_WRITE = Counter(
    {
        "iam:ListMFADevices": 1,
        "iam:GetLoginProfile": 1,
        "iam:ListSSHPublicKeys": 1,
        "iam:SimulatePrincipalPolicy": 4,
        "iam:AttachUserPolicy": 1,
    }
)
"""What a user costs who is written to."""


def main() -> None:
    """Run each tool, and compare what it called and did with what it should have."""
    with certificates() as folder:
        check(folder)


def check(folder: Path) -> None:
    """Raise AssertionError unless all tools do the same, with the calls that are expected."""
    bench = Bench(folder, QUICK)
    ours, least = bench.measure(ORGMFA, FIRST_RUN), bench.measure(NO_SDK, FIRST_RUN)
    open_users = {account: FIRST_RUN.users_without_mfa(account) for account in FIRST_RUN.account_ids()}
    _expect("calls of a first run", ours.books.by_action(), _calls(FIRST_RUN))
    _expect("calls of the client without an SDK", least.books.by_action(), ours.books.by_action())
    for other in (ours, least, *(bench.measure(tool, FIRST_RUN) for tool in NAIVE)):
        _expect(f"users that {other.tool} wrote to", other.books.attached, open_users)
    ours, least = bench.measure(ORGMFA, STEADY), bench.measure(NO_SDK, STEADY)
    _expect("calls of a steady state", ours.books.by_action(), _calls(STEADY))
    _expect("calls of the client without an SDK", least.books.by_action(), ours.books.by_action())
    _expect_few_calls(ours)


def _calls(scenario: Scenario) -> Counter[str]:
    """Return the calls that a run must make for a scenario, no more and no fewer."""
    calls = Counter(START_UP)
    calls.update(dict.fromkeys(LISTINGS, -(-scenario.accounts // PAGE_OF_ACCOUNTS)))
    for account in scenario.account_ids():
        calls.update(INSPECTION)
        if not scenario.is_enforced:
            calls.update(APPLICATION)
            calls["iam:GetPolicy"] += -(-len(scenario.users_without_mfa(account)) // WRITES_PER_LOOK)
    if not scenario.is_enforced:
        for action, times in LOOK_AND_WRITE.items():
            calls[action] += times * scenario.count_users_without_mfa()
    return calls


def _expect_few_calls(steady: Measurement) -> None:
    calls = steady.books.count_account_calls() / steady.scenario.accounts
    assert calls <= MOST_STEADY_CALLS, (
        f"steady state: {calls} calls an account, at most {MOST_STEADY_CALLS} are allowed"
    )


def _expect(what: str, found: object, expected: object) -> None:
    assert found == expected, f"{what}:\n{found}\ninstead of\n{expected}"
    print(f"as expected: {what}")


if __name__ == "__main__":
    main()
