"""The report of `orgmfa doctor`: grouped by finding, and as a table in the terminal."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich.console import Console

from orchestrator.cli.doctor_command import MAX_ACCOUNTS, print_examination
from orchestrator.doctor import Check, CheckName, DoctorRun
from orchestrator.doctor.report import DoctorReport, fine, group_checks, problem, unknown
from tests.doctor.command import OK, PROBLEM, UNKNOWN


def test_accounts_with_the_same_finding_stand_together() -> None:
    def denied(account_id: str, role: str = "orgmfa-member") -> Check:
        return problem(CheckName.MEMBER_ROLE, f"no role/{role} in {account_id}", f"see {account_id}").of(account_id)

    checks = [
        fine(CheckName.MEMBER_ROLE, "entered").of("000000000009"),
        denied("000000000001", "other"),
        denied("000000000002"),
        denied("000000000003"),
        unknown(CheckName.SCHEDULE, "none", "deploy"),
    ]

    found = [(one.name, one.status, one.message, one.remedy, one.account_ids) for one in group_checks(checks)]

    role = CheckName.MEMBER_ROLE
    assert found == [
        (CheckName.SCHEDULE, UNKNOWN, "none", "deploy", ()),
        (role, PROBLEM, "no role/orgmfa-member in ACCOUNT", "see ACCOUNT", ("000000000002", "000000000003")),
        (role, PROBLEM, "no role/other in 000000000001", "see 000000000001", ("000000000001",)),
        (role, OK, "entered", "", ("000000000009",)),
    ]


def printed(*checks: Check, titles: Mapping[str, str], **console: Any) -> str:
    out = StringIO()
    examination = DoctorRun(DoctorReport.of(checks), titles)
    print_examination(examination, Console(file=out, width=80, **console))
    return out.getvalue()


def test_table_names_accounts_up_to_a_cap_and_fits_80_columns() -> None:
    accounts = [f"{number:012}" for number in range(1, MAX_ACCOUNTS + 4)]
    checks = [problem(CheckName.READS, "denied", "allow it").of(account_id) for account_id in accounts]
    hostile = "[red]payments\x1b[31m\n\u202e"

    text = printed(*checks, titles=dict.fromkeys(accounts, hostile))

    assert all(len(one) <= 80 for one in text.splitlines())
    assert f"{len(accounts)} accounts: [red]payments" in text
    assert "and 3 more (--output json names all)" in " ".join(text.split())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.endswith("1 problem. Nothing was changed in any account.\n")


def test_colour_is_never_the_only_sign_and_no_color_is_honoured() -> None:
    checks = (problem(CheckName.ARCHIVE, "no", "yes"), unknown(CheckName.SCP, "maybe", "look"))

    coloured = printed(*checks, titles={}, force_terminal=True, color_system="standard")
    plain = printed(*checks, titles={}, force_terminal=True, no_color=True)

    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    assert "problem" in plain
    assert "unknown" in plain
