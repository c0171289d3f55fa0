"""Renews the pictures of page and digest in docs/pictures, from a run over the sandbox organization.

    python -m tests.browser.pictures

The sandbox has no past, so the trend, and what changed since the last run, are made up here.
"""

import subprocess
import sys
import tempfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.model import Gate, Mode, Outcome, Status
from orchestrator.domain.outcomes import ENFORCED
from orchestrator.output.html import render_page
from orchestrator.output.slack.digest import Digest, render_digest
from orchestrator.output.slack.layout import Blocks
from orchestrator.reports.report import ChangedUser, Changes, EnrolledUser, RunReport, pack_accounts
from tests.browser.block_kit import draw_messages
from tests.browser.driver import PHONE, chromium, write_page
from tests.browser.samples import make_clean_report, make_earlier, make_rollout

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
VIEW = {"width": 1280, "height": 900}
RUNS = 60
OPENED = "larkspur-payments"
LINK = "https://reports.example.com/latest"
THREAD_WIDTH = 1000
GATE = "Read the plan, then `orgmfa apply --max-changes 1442` over the same accounts, or OU by OU."


def main() -> None:
    """Take the pictures."""
    report = with_a_past(run_sandbox("apply", "--yes"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        url = write_page(
            Path(folder) / "page.html", render_page(report, trend=make_past(report), blocks_access_keys=True)
        )
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport=VIEW, color_scheme=scheme)
            page.goto(url)
            page.get_by_role("button", name=OPENED, exact=True).click()
            save(page.screenshot(full_page=True), f"page-{scheme}.png")
        for name, (messages, width) in list_digests().items():
            page = browser.new_page(viewport=PHONE | {"width": width})
            page.goto(write_page(Path(folder) / f"{name}.html", draw_messages(messages, sender="orgmfa", time="12:00")))
            save(page.locator("body").screenshot(), f"{name}.png")


def list_digests() -> dict[str, tuple[list[Blocks], int]]:
    """Return the messages of each picture of a digest, and its width: of a phone, or of a thread on a larger screen."""
    report, gate = (
        run_sandbox("apply", "--yes"),
        Gate(code="over_limit", planned=1442, limit=100, message="", remedy=GATE),
    )
    small, large = _digest(with_a_past(report)), _digest(make_rollout(Mode.APPLY))
    phone = PHONE["width"]
    return {
        "digest": ([small.blocks], phone),
        "digest-thread": ([reply.blocks for reply in small.thread], THREAD_WIDTH),
        "digest-2000": ([large.blocks], phone),
        "digest-2000-thread": ([large.thread[0].blocks], THREAD_WIDTH),
        "digest-held": ([_digest(make_rollout(Mode.APPLY, gate=gate)).blocks], phone),
        "digest-first": ([_digest(run_sandbox("plan")).blocks], phone),
        "digest-clean": ([_digest(make_clean_report()).blocks], phone),
    }


def _digest(report: RunReport) -> Digest:
    return render_digest(report, SlackConfig(), blocks_access_keys=True, link=LINK)


def save(picture: bytes, name: str) -> None:
    """Write a picture with 256 colours: enough for text and lines, and a third of the size."""
    taken = Image.open(BytesIO(picture)).convert("RGB")
    small = taken.quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(FOLDER / name, optimize=True)


def run_sandbox(*command: str) -> RunReport:
    """Return the report of a first run over the sandbox organization."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "orchestrator", *command, "--sandbox", "--output", "json"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return RunReport.model_validate_json(done.stdout)


def with_a_past(report: RunReport) -> RunReport:
    """Return the report as if there had been runs before it."""
    finished_at = report.finished_at
    accounts = pack_accounts(
        account.model_copy(
            update={
                "failing_runs": 3 if account.status is Status.FAILED else 0,
                "users": tuple(
                    user
                    if user.outcome is Outcome.NONE
                    else user.model_copy(update={"open_since": finished_at - timedelta(days=7 * place % 41 + index)})
                    for index, user in enumerate(account.users)
                ),
            }
        )
        for place, account in enumerate(report.accounts)
    )
    by_outcome = {
        outcome: [
            ChangedUser(account_id=account.id, account_alias=account.alias, account_name=account.name, name=user.name)
            for account in accounts
            for user in account.users
            if user.outcome is outcome
        ]
        for outcome in Outcome
    }
    enrolled = EnrolledUser(
        **by_outcome[Outcome.NONE][0].model_dump(), device="virtual", enrolled_at=finished_at - timedelta(hours=19)
    )
    changes = Changes(
        since_run_id=f"{finished_at - timedelta(days=1):%Y%m%dT%H%M%SZ}-5e0c1a7d",
        since=finished_at - timedelta(days=1),
        newly_without_mfa=tuple(by_outcome[Outcome.IN_GRACE]),
        enrolled=(enrolled,),
        newly_enforced=tuple(by_outcome[Outcome.ENFORCED][:4]),
    )
    return report.model_copy(update={"accounts": accounts, "changes": changes})


def make_past(report: RunReport) -> list[RunReport]:
    """Return earlier runs that lead up to this one, a day apart."""
    last = report.totals
    return [
        make_earlier(
            f"day-{age}",
            report.finished_at - timedelta(days=age),
            non_compliant=last.non_compliant + (age * age) // 260 + age % 3 % 2,
            enforced=max(0, last.of(*ENFORCED) - age // 5),
            compliant=max(0, last.compliant - age // 8),
            failed=last.failed if age < last.failed else 0,
        )
        for age in range(RUNS, 0, -1)
    ]


if __name__ == "__main__":
    main()
