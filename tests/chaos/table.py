"""The table of a matrix: a row a scenario, for the terminal and for a document."""

from collections import defaultdict
from collections.abc import Iterable

from tests.chaos.playing import Played
from tests.chaos.plays import ALL

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


def make_table(played: Iterable[Played]) -> str:
    """Return the table: a row a scenario, in their order, then all of them."""
    runs: dict[str, int] = defaultdict(int)
    violations: dict[str, int] = defaultdict(int)
    for one in played:
        runs[one.scenario] += one.runs
        violations[one.scenario] += len(one.violations)
    names = [scenario.name for scenario in ALL if scenario.name in runs]
    rows = [f"| {name} | {runs[name]} | {violations[name]} |" for name in names]
    total = f"| **all** | **{sum(runs.values())}** | **{sum(violations.values())}** |"
    return "\n".join(["| scenario | runs | violations |", "|---|--:|--:|", *rows, total])


def put_between_marks(text: str, content: str, *, begin: str = BEGIN, end: str = END) -> str:
    """Return a document with this content between its marks. Raises ValueError where it lacks them."""
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        message = f"the document has no {begin} with an {end} behind it"
        raise ValueError(message)
    return f"{before}{begin}\n{content}\n{end}{after}"
