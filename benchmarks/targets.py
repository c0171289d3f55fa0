"""The five targets: which scenarios are run, what is compared, and what must hold."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.measuring import Measurement, Tool, measure
from benchmarks.organization import Scenario
from benchmarks.tools import NAIVE, NO_SDK, ORGMFA

MOST_STEADY_CALLS = 9
NOISE = 1.1
"""Two runs of one tool differ by a few percent; "as fast as" allows for that."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many accounts each target is measured with."""

    first_run: tuple[int, ...] = (500, 2000)
    steady: int = 500
    skewed: int = 100
    large_users: int = 5000
    memory: tuple[int, int] = (500, 10_000)
    throttled: int = 500
    others: int = 100
    most_naive: int = 1_000_000
    """On how many accounts the naive tools are tried at most; what they take grows with the accounts."""


QUICK = Sizes(first_run=(20, 60), steady=60, skewed=20, large_users=300, memory=(60, 300), throttled=60, others=40)


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that is wanted, the figure that was measured, and whether it is met."""

    wanted: str
    measured: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A target: its measurements, by what each is called in the table, and its claims."""

    title: str
    rows: tuple[tuple[str, Measurement], ...]
    claims: tuple[Claim, ...]


class Bench:
    """Measures; what was measured once is not measured again."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        """Take the folder of the certificates, and the sizes."""
        self._folder = folder
        self._known: dict[tuple[str, Scenario], Measurement] = {}
        self.sizes = sizes

    def measure(self, tool: Tool, scenario: Scenario) -> Measurement:
        """Return what a tool takes for a scenario, checked to have ended as it must.

        An account that is throttled more than the others may end otherwise, and have the tool report a failure.
        """
        key = (tool.name, scenario)
        if key not in self._known:
            print(f"{tool.name}: {scenario.accounts} accounts ...", file=sys.stderr, flush=True)
            spared = scenario.special_account_id if scenario.throttled_account_share else None
            measured = measure(tool, scenario, self._folder, may_fail=spared is not None)
            check_result(measured, but_for=spared)
            self._known[key] = measured
        return self._known[key]


def check_result(measured: Measurement, *, but_for: str | None = None) -> None:
    """Raise AssertionError unless every user without MFA was written to, and nobody else; one account may be left out.

    Where all of them have the policy from the start, nobody may be written to.
    """
    scenario = measured.scenario
    for account in scenario.account_ids():
        written = measured.books.attached.get(account, [])
        expected = [] if scenario.is_enforced else scenario.users_without_mfa(account)
        assert account == but_for or written == expected, (
            f"{measured.tool}: account {account}: {len(written)} users written to, not {len(expected)}"
        )


def run_targets(bench: Bench, numbers: frozenset[int]) -> Iterator[Section]:
    """Yield the targets of these numbers as they are measured."""
    targets: tuple[tuple[int, Callable[[Bench], Section]], ...] = (
        *((1, partial(first_run, accounts=accounts)) for accounts in bench.sizes.first_run),
        (2, steady_state),
        (3, skew),
        (4, memory),
        (5, throttling),
        (5, throttled_account),
    )
    for number, target in targets:
        if number in numbers:
            yield target(bench)


LEAST = {"thread pool": (9, 11), "botocove": (10, 12), "runacross": (10, 12)}
"""How many times less wall time and CPU than each naive tool."""


def first_run(bench: Bench, accounts: int) -> Section:
    """Target 1: the first run, in which every user without MFA is written to."""
    scenario = Scenario(accounts)
    ours, least = bench.measure(ORGMFA, scenario), bench.measure(NO_SDK, scenario)
    naive = [bench.measure(tool, scenario) for tool in NAIVE] if accounts <= bench.sizes.most_naive else []
    claims = [
        claim
        for other in naive
        for wall, cpu in [LEAST[other.tool]]
        for claim in (
            _at_least(f"{wall} times less wall time than {other.tool}", other.wall / ours.wall, wall),
            _at_least(f"{cpu} times less CPU than {other.tool}", other.cpu / ours.cpu, cpu),
        )
    ]
    return _section(f"1. First run, {accounts:,} accounts", [ours, least, *naive], [*claims, _against(ours, least, 3)])


def steady_state(bench: Bench) -> Section:
    """Target 2: nothing is left to write."""
    scenario = Scenario(bench.sizes.steady, is_enforced=True)
    ours, least = bench.measure(ORGMFA, scenario), bench.measure(NO_SDK, scenario)
    calls = ours.books.count_account_calls() / scenario.accounts
    claims = [_at_most(f"{MOST_STEADY_CALLS} calls an account", calls, MOST_STEADY_CALLS), _against(ours, least, 2.5)]
    return _section(f"2. Steady state, {scenario.accounts:,} accounts", [ours, least], claims)


def skew(bench: Bench) -> Section:
    """Target 3: one account is large."""
    sizes = bench.sizes
    scenario = Scenario(sizes.skewed, large_users=sizes.large_users)
    ours, least = bench.measure(ORGMFA, scenario), bench.measure(NO_SDK, scenario)
    title = f"3. First run, {sizes.skewed:,} accounts, one of them with {sizes.large_users:,} users"
    return _section(title, [ours, least], [_against(ours, least, 3)])


def memory(bench: Bench) -> Section:
    """Target 4: what a run holds in memory. Without latency: memory does not depend on it."""
    few, many = bench.sizes.memory
    small, large = (bench.measure(ORGMFA, Scenario(n, latency_ms=0, is_enforced=True)) for n in (few, many))
    writing = bench.measure(ORGMFA, Scenario(few))
    growth = (large.peak_mb - small.peak_mb) * 1000 / (many - few)
    claims = [
        _at_most(f"120 MB for {few:,} accounts, first run", writing.peak_mb, 120, unit="MB"),
        _at_most(f"120 MB for {few:,} accounts, steady state", small.peak_mb, 120, unit="MB"),
        _at_most(f"6 KB of growth an account, from {few:,} to {many:,}", growth, 6, unit="KB"),
    ]
    rows = ((f"first run, {few:,}", writing), (f"steady state, {few:,}", small), (f"steady state, {many:,}", large))
    return Section("4. Memory of orgmfa", rows, tuple(claims))


def throttling(bench: Bench) -> Section:
    """Target 5, first half: a share of all calls is throttled."""
    clean = Scenario(bench.sizes.throttled)
    usual, slowed = bench.measure(ORGMFA, clean), bench.measure(ORGMFA, replace(clean, throttled_share=0.05))
    rows = (("none throttled", usual), ("5 % throttled", slowed))
    claim = _at_most("1.5 times the time without", slowed.wall / usual.wall, 1.5)
    return Section(f"5. First run, {clean.accounts:,} accounts, 5 % of calls throttled", rows, (claim,))


def throttled_account(bench: Bench) -> Section:
    """Target 5, second half: one account is throttled, the others must not feel it."""
    rows: list[tuple[str, Measurement]] = []
    claims: list[Claim] = []
    for name, clean in (
        ("steady state", Scenario(bench.sizes.others, is_enforced=True)),
        ("first run", Scenario(bench.sizes.others)),
    ):
        usual = bench.measure(ORGMFA, clean)
        slowed = bench.measure(ORGMFA, replace(clean, throttled_account_share=0.6))
        before, after = (one.books.others_finished_after(clean.special_account_id) for one in (usual, slowed))
        rows += [(f"{name}, none throttled", usual), (f"{name}, one account throttled", slowed)]
        if clean.is_enforced:  # in a run that writes all wait at the gate for the slowest plan
            claims.append(
                Claim(
                    f"{name}: the others are done as early as without (10 % for noise)",
                    f"{before:.1f} s without, {after:.1f} s with",
                    after <= before * NOISE,
                )
            )
    title = f"5. {bench.sizes.others:,} accounts, one of them throttled at 60 %"
    return Section(title, tuple(rows), tuple(claims))


def _section(title: str, measured: list[Measurement], claims: list[Claim]) -> Section:
    return Section(title, tuple((one.tool, one) for one in measured), tuple(claims))


def _against(ours: Measurement, least: Measurement, most: float) -> Claim:
    return _at_most(f"{most:g} times the wall time of {least.tool}", ours.wall / least.wall, most)


def _at_most(what: str, measured: float, most: float, *, unit: str = "") -> Claim:
    return Claim(f"at most {what}", f"{measured:.1f} {unit}".strip(), measured <= most)


def _at_least(what: str, measured: float, least: float) -> Claim:
    return Claim(f"at least {what}", f"{measured:.1f}", measured >= least)
