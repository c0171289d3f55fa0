import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage, Status, Trigger, Verdict, Via
from orchestrator.output.terminal import ProgressView, print_notes, print_report, print_runs
from orchestrator.reports.build import count_totals
from orchestrator.reports.report import (
    AccountReport,
    ProblemReport,
    ReasonReport,
    RootUserReport,
    RunReport,
    UserReport,
    pack_accounts,
)

NOON = datetime(2025, 11, 24, 12, 0, tzinfo=UTC)
ESCAPE_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROLE_MISSING = (
    "The role orgmfa-member is missing in the account, or does not trust this caller (AWS answers both alike): "
    "check that the StackSet has reached the account, then the role's trust policy."
)
REFUSED = (
    "User: arn:aws:sts::999988887777:assumed-role/orgmfa-operator/orgmfa-20251124 is not authorized to perform: "
    "sts:AssumeRole on resource: arn:aws:iam::{}:role/orgmfa-member"
)
NO_PASSWORD = "no console password; enforcement.users is console"

_ids = count(100000000001)


def make_user(
    name: str = "ana",
    outcome: Outcome = Outcome.NONE,
    *,
    verdict: Verdict | None = None,
    keys: int | None = 0,
    via: Via | None = None,
    error: tuple[str, str] | None = None,
    reason: str | None = None,
) -> UserReport:
    by_outcome = Verdict.COMPLIANT if outcome is Outcome.NONE else Verdict.NON_COMPLIANT
    return UserReport(
        name=name,
        arn=f"arn:aws:iam::111122223333:user/{name}",
        verdict=verdict or by_outcome,
        console_password=True,
        active_access_keys=keys,
        keys_last_used=None,
        outcome=outcome,
        via=via,
        error=error and ReasonReport(code=error[0], message=error[1]),
        reason=reason,
    )


def make_users(number: int, outcome: Outcome) -> list[UserReport]:
    return [make_user(f"user-{index:03}", outcome) for index in range(number)]


def make_problem(
    stage: Stage = Stage.ASSUME_ROLE,
    *,
    code: str = "AccessDenied",
    message: str = "the role refused",
    remedy: str = ROLE_MISSING,
) -> ProblemReport:
    return ProblemReport(stage=stage, code=code, message=message, remedy=remedy)


def make_account(
    alias: str | None = None,
    users: Iterable[UserReport] = (),
    *,
    name: str = "",
    account_id: str | None = None,
    ou: str | None = None,
    status: Status = Status.INSPECTED,
    error: ProblemReport | None = None,
    root: tuple[bool, bool] | None = (False, False),
    policy_changes: tuple[PolicyChange, ...] = (),
) -> AccountReport:
    return AccountReport(
        id=account_id or str(next(_ids)),
        name=name,
        alias=alias,
        ou=ou,
        status=status,
        error=error,
        root_user=root and RootUserReport(has_credentials=root[0], has_mfa=root[1]),
        users=tuple(users),
        policy_changes=policy_changes,
    )


def make_failed(alias: str, **problem: Any) -> AccountReport:
    return make_account(alias, status=Status.FAILED, error=make_problem(**problem))


def make_report(
    *accounts: AccountReport,
    mode: Mode = Mode.PLAN,
    is_complete: bool = True,
    errors: Iterable[ProblemReport] = (),
) -> RunReport:
    return RunReport(
        run_id="20251124T120000Z-4f2a",
        mode=mode,
        trigger=Trigger.CLI,
        organization_id="o-exampleorg1",
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=74),
        complete=is_complete,
        errors=tuple(errors),
        totals=count_totals(accounts),
        accounts=pack_accounts(accounts),
    )


def show(report: RunReport, *, width: int = 80, **options: Any) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    print_report(report, console, **options)
    return written(console)


def written(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


def column_of(text: str, marker: str) -> str:
    """Return, without any blank, the column of the table in which the marker stands, from the marker on."""
    lines = text[text.rindex("\n", 0, text.index(marker)) + 1 :].splitlines()
    start = lines[0].index(marker)
    return "".join("".join(line[start:].split()) for line in lines)


def assert_in_order(text: str, *parts: str) -> None:
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)


def all_situations() -> RunReport:
    return make_report(
        make_account("clean", [make_user()]),
        make_account("suspended", status=Status.SKIPPED, error=make_problem(message="the account is suspended")),
        make_account("service", [make_user("robot", Outcome.OUT_OF_SCOPE, reason=NO_PASSWORD)]),
        make_account("rooted", [make_user()], root=(True, False)),
        make_account("changing", [make_user("bo", Outcome.PLANNED, keys=2, via=Via.USER)]),
        make_account("holding", [make_user("dora", Outcome.HELD, error=("active_key", "a key was used yesterday"))]),
        make_account("late", status=Status.NOT_REACHED, error=make_problem(Stage.INSPECT, code="interrupted")),
        make_failed("broken"),
        is_complete=False,
        errors=[make_problem(Stage.SELECT, code="TooManyRequestsException", message="listing broke off")],
    )


def test_report_goes_from_the_worst_to_the_summary() -> None:
    text = show(all_situations(), address="./orgmfa-runs/run.json.gz")

    assert_in_order(
        text,
        "INCOMPLETE",
        "listing broke off",
        "ACCOUNTS THAT FAILED OR WERE NOT REACHED (2)",
        "broken",
        "late",
        "ACCOUNTS WITH USERS THAT NEED A HAND (1)",
        "holding",
        "ACCOUNTS WITH CHANGES PLANNED OR MADE (1)",
        "changing",
        "ACCOUNTS WITH USERS LEFT AS THEY ARE (1)",
        "service",
        "ROOT USERS WITH CREDENTIALS BUT NO MFA (1)",
        "rooted",
        "1 account: clean, every user has MFA.",
        "1 account skipped: suspended",
        "8 accounts: ",
        "Report: ./orgmfa-runs/run.json.gz",
    )


def test_summary_counts_everything_in_one_sentence() -> None:
    text = flat(show(all_situations()))

    assert (
        "8 accounts: 5 inspected, 1 failed, 1 not reached, 1 skipped; "
        "5 users: 2 with MFA, 3 without; 1 held, 1 planned, 1 out of scope. "
        "Nothing was written. 2 access keys will stop working without MFA."
    ) in text


@pytest.mark.parametrize(
    ("alias", "name", "title"),
    [("shop-prod", "Shop", "shop-prod"), (None, "Shop", "Shop"), ("", "Shop", "Shop"), (" ", "\n", None)],
)
def test_account_bears_its_alias_else_its_name_and_always_its_id(
    alias: str | None, name: str, title: str | None
) -> None:
    made = {"alias": alias, "name": name, "account_id": "111122223333"}
    planned = make_account(users=[make_user("bo", Outcome.PLANNED)], **made)  # type: ignore[arg-type] # str or None each
    rooted = make_account(root=(True, False), **made)  # type: ignore[arg-type] # str or None each
    skipped = make_account(status=Status.SKIPPED, **made)  # type: ignore[arg-type] # str or None each

    in_table, in_roots, in_skipped = (show(make_report(account)) for account in (planned, rooted, skipped))

    listed = f"{title} (111122223333)" if title else "111122223333"
    assert re.search(
        rf"^  {title}  +1 planned: bo\n  111122223333$" if title else r"^  111122223333  1", in_table, re.MULTILINE
    )
    assert f"\n  {listed}\n" in in_roots
    assert f"1 account skipped: {listed} - no reason given." in in_skipped


@pytest.mark.parametrize(("width", "shown"), [(99, False), (100, True)])
def test_ou_stands_below_the_id_where_there_is_room(width: int, *, shown: bool) -> None:
    ou = "Root/Workloads/Production/[red]"
    account = make_account("acme", make_users(1, Outcome.PLANNED), ou=ou)

    text = show(make_report(account), width=width)

    assert (ou in text) == shown


def test_every_account_that_is_not_clean_is_shown_with_its_id() -> None:
    report = all_situations()

    text = show(report)

    assert [account.alias for account in report.accounts if account.id not in text] == ["clean"]


def test_reason_and_remedy_are_complete_however_long() -> None:
    message, remedy = REFUSED.format("1" * 200), ROLE_MISSING * 3

    text = show(make_report(make_failed("shop-prod", message=message, remedy=remedy)))

    whole = column_of(text, "failed at assume_role (AccessDenied)")
    assert f"{message}Remedy:{remedy}".replace(" ", "") in whole


def test_reason_of_a_held_user_is_complete_with_its_code() -> None:
    message = "an access key was used on 2025-11-23 and would stop working: " + "move the caller to a role, " * 9

    text = show(make_report(make_account("shop", [make_user("ci", Outcome.HELD, error=("active_key", message))])))

    assert message.replace(" ", "") in column_of(text, "1 held (active_key): ci")


def test_accounts_that_failed_alike_share_one_remedy_and_keep_their_own_messages() -> None:
    accounts = [make_failed(f"shop-{n}", message=REFUSED.format(f"{n}" * 12)) for n in (3, 1, 2)]

    text = show(make_report(*accounts), width=120)

    assert text.count("Remedy:") == 1
    assert "3 accounts" in text
    assert_in_order(flat(text), "shop-1 (", "111111111111", "shop-2 (", "222222222222", "shop-3 (", "333333333333")


def test_accounts_that_were_not_reached_for_one_reason_make_one_row() -> None:
    error = make_problem(Stage.INSPECT, code="interrupted", message="the run was interrupted", remedy="Run again.")
    accounts = [make_account(f"dev-{n:02}", status=Status.NOT_REACHED, error=error) for n in range(30)]

    text = show(make_report(*accounts))

    assert text.count("not reached at inspect (interrupted)") == 1
    assert text.count("the run was interrupted") == 1
    assert all(account.id in text for account in accounts)


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_REACHED])
def test_account_that_failed_without_a_word_is_still_shown(status: Status) -> None:
    accounts = [make_account(alias, status=status) for alias in ("dev-1", "dev-2")]

    alone, together = show(make_report(accounts[0])), show(make_report(*accounts))

    words = status.value.replace("_", " ")
    assert re.search(rf"^  dev-1 +{words}\n  {accounts[0].id}$", alone, re.MULTILINE)
    assert re.search(rf"^  2 accounts +{words}\n +dev-1 \(\d+\), dev-2 \(\d+\)$", together, re.MULTILINE)
    assert "Remedy" not in alone + together


def test_account_that_failed_while_writing_shows_what_was_written() -> None:
    users = [make_user("ana", Outcome.ENFORCED), make_user("bo", Outcome.FAILED, error=("Throttling", "slow down"))]
    accounts = [
        make_account(alias, users, status=Status.FAILED, error=make_problem(Stage.APPLY)) for alias in ("a", "b")
    ]

    text = show(make_report(*accounts, mode=Mode.APPLY))

    assert text.count("failed at apply (AccessDenied)") == 2
    assert text.count("1 failed (Throttling): bo") == 2
    assert text.count("1 enforced: ana") == 2


def test_accounts_of_one_section_are_listed_worst_first() -> None:
    held = make_users(3, Outcome.HELD)
    accounts = [
        make_account("unread", [make_user("x", verdict=Verdict.UNKNOWN)]),
        make_account("full", [make_user("x", Outcome.QUOTA_EXCEEDED)]),
        make_account("held-1", held[:1]),
        make_account("held-3", held),
        make_account("broken", [make_user("x", Outcome.FAILED)]),
    ]

    text = show(make_report(*accounts))

    assert_in_order(text, "broken", "held-3", "held-1", "full", "unread")


def test_users_of_an_account_are_listed_worst_first_and_by_name() -> None:
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.NONE]
    users = [make_user(f"{outcome.value}-user", outcome) for outcome in outcomes]
    users += [make_user("Zoe", Outcome.HELD), make_user("adam", Outcome.HELD), make_user("with-mfa")]

    text = show(make_report(make_account("shop", users)))

    expected = ["1 failed: failed-user", "3 held: adam, held-user, Zoe", "1 quota exceeded: quota_exceeded-user"]
    expected += ["1 planned: planned-user", "1 enforced: enforced-user", "1 released: released-user"]
    expected += ["1 exempt: exempt-user", "1 in grace: in_grace-user", "1 out of scope: out_of_scope-user"]
    assert_in_order(text, *expected, "1 already enforced: already_enforced-user")
    assert "with-mfa" not in text


def test_user_whose_mfa_is_unknown_needs_a_hand_and_is_never_clean() -> None:
    unread = make_user("eve", verdict=Verdict.UNKNOWN, error=("AccessDenied", "iam:ListMFADevices is refused"))
    freed = make_user("fay", Outcome.RELEASED, verdict=Verdict.UNKNOWN)

    text = show(make_report(make_account("shop", [unread, freed]), mode=Mode.RELEASE))

    assert "ACCOUNTS WITH USERS THAT NEED A HAND (1)" in text
    assert_in_order(text, "1 MFA unknown (AccessDenied): eve", "iam:ListMFADevices is refused")
    assert "1 released, MFA unknown: fay" in text
    assert "2 unknown" in text
    assert "clean" not in text


def test_user_without_mfa_and_without_outcome_does_not_make_an_account_clean() -> None:
    idle = make_account("shop", [make_user(verdict=Verdict.NON_COMPLIANT)])

    text = show(make_report(idle, make_account("lab", [make_user()]), mode=Mode.RELEASE))

    assert "1 account: clean, every user has MFA.\n1 account: nothing to do.\n" in text


def test_reason_of_a_user_left_alone_stands_on_the_same_line() -> None:
    user = make_user("break-glass", Outcome.EXEMPT, reason="sealed envelope")

    text = show(make_report(make_account("shop", [user])))

    assert "1 exempt: break-glass - sealed envelope\n" in text


def test_reason_that_many_accounts_share_is_written_once_as_a_note() -> None:
    held = ("over_limit", "214 changes planned, limits.max_changes_per_run is 100")
    accounts = [make_account(f"dev-{n}", [make_user("bo", Outcome.HELD, error=held)]) for n in range(3)]

    apart, shared = show(make_report(*accounts[:2])), show(make_report(*accounts))

    assert apart.count(held[1]) == 2
    assert "NOTES" not in apart
    assert shared.count("1 held (over_limit): bo [1]\n") == 3
    assert shared.count(held[1]) == 1
    assert f"NOTES\n  [1] {held[1]}\n" in shared


def test_names_of_one_outcome_are_capped_and_the_rest_is_counted() -> None:
    users = [*make_users(25, Outcome.PLANNED), *make_users(20, Outcome.HELD)]

    text = flat(show(make_report(make_account("shop", users))))

    assert "25 planned: user-000, " in text
    assert "user-019 and 5 more" in text
    assert "user-020" not in text
    assert text.count("more") == 1
    assert "Lists end after 20 users; --output json names all." in text


def test_outcome_with_many_reasons_is_capped_as_one() -> None:
    users = [make_user(f"user-{n:03}", Outcome.FAILED, error=("X", f"because {n:03}")) for n in range(30)]
    unread = [make_user(f"dark-{n:03}", verdict=Verdict.UNKNOWN, error=("Y", f"hidden {n:03}")) for n in range(22)]

    text = show(make_report(make_account("shop", [*users, *unread])))

    assert "because 019" in text
    assert "because 020" not in text
    assert "and 10 more failed\n" in text
    assert "and 2 more MFA unknown\n" in text


def test_no_name_is_left_out_where_all_are_wanted() -> None:
    users = make_users(300, Outcome.PLANNED)

    text = show(make_report(make_account("shop", users)), show_all=True)

    assert all(user.name in text for user in users)
    assert "more" not in text


def test_changes_through_the_group_are_told_from_those_on_the_user() -> None:
    users = [make_user("bo", Outcome.ENFORCED, via=Via.USER), make_user("dora", Outcome.ENFORCED, via=Via.GROUP)]

    text = show(make_report(make_account("shop", users), mode=Mode.APPLY))

    assert_in_order(text, "1 enforced: bo\n", "1 enforced through the group: dora\n")
    assert "2 users were enforced." in flat(text)


def test_change_of_the_policy_alone_is_shown() -> None:
    changes = (PolicyChange.UPDATE_POLICY, PolicyChange.CREATE_GROUP)

    text = show(make_report(make_account("shop", [make_user()], policy_changes=changes)))

    assert "ACCOUNTS WITH CHANGES PLANNED OR MADE (1)" in text
    assert "policy and group: update policy, create group\n" in text
    assert "clean" not in text


def test_held_account_with_changes_of_its_policy_still_needs_a_hand() -> None:
    account = make_account("s", [make_user("bo", Outcome.HELD)], policy_changes=(PolicyChange.UPDATE_POLICY,))

    text = show(make_report(account))

    assert "ACCOUNTS WITH USERS THAT NEED A HAND (1)" in text
    assert "PLANNED OR MADE" not in text


@pytest.mark.parametrize(
    ("mode", "outcome", "sentence"),
    [
        (Mode.PLAN, Outcome.PLANNED, "Nothing was written."),
        (Mode.APPLY, Outcome.ENFORCED, "1 user was enforced."),
        (Mode.APPLY, Outcome.HELD, "No user was enforced."),
        (Mode.RELEASE, Outcome.RELEASED, "1 user was released."),
        (Mode.RELEASE, Outcome.ALREADY_ENFORCED, "No user was released."),
    ],
)
def test_what_was_written_is_said_in_words(mode: Mode, outcome: Outcome, sentence: str) -> None:
    text = flat(show(make_report(make_account("shop", [make_user("bo", outcome)]), mode=mode)))

    assert sentence in text
    assert ("Nothing was written." in text) == (mode is Mode.PLAN)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (Mode.PLAN, "1 planned: bo"),
        (Mode.APPLY, "1 planned but not yet written: bo"),
        (Mode.RELEASE, "1 release planned but not yet written: bo"),
    ],
)
def test_planned_change_is_never_taken_for_a_made_one(mode: Mode, words: str) -> None:
    text = show(make_report(make_account("shop", [make_user("bo", Outcome.PLANNED)]), mode=mode))

    assert f"{words}\n" in text


def test_access_keys_that_stop_are_counted_and_shown_with_their_users() -> None:
    users = [
        make_user("ana", Outcome.ENFORCED, keys=2),
        make_user("bo", Outcome.ENFORCED, keys=None),
        make_user("cy", Outcome.ENFORCED),
        make_user("dora", Outcome.PLANNED, keys=1),
        make_user("eve", Outcome.HELD, keys=1),
        make_user("fay", keys=1),
    ]

    text = flat(show(make_report(make_account("shop", users), mode=Mode.APPLY)))

    assert "3 enforced: ana (2 keys), bo (keys unknown), cy" in text
    assert "not yet written: dora (1 key)" in text
    assert "1 access key will stop working without MFA." in text
    assert "2 access keys stopped working without MFA." in text
    assert "The access keys of 1 enforced user could not be read." in text


@pytest.mark.parametrize(("mode", "keys_stop"), [(Mode.PLAN, False), (Mode.RELEASE, True)])
def test_no_word_about_keys_where_none_stops(mode: Mode, *, keys_stop: bool) -> None:
    account = make_account("shop", [make_user("bo", Outcome.PLANNED, keys=2)])

    text = show(make_report(account, mode=mode), keys_stop=keys_stop)

    assert "key" not in text


@pytest.mark.parametrize("root", [None, (False, False), (True, True), (False, True)])
def test_root_user_that_cannot_sign_in_or_has_mfa_is_no_finding(root: tuple[bool, bool] | None) -> None:
    text = show(make_report(make_account("shop", root=root)))

    assert "ROOT" not in text
    assert "1 account: clean" in text


def test_root_finding_keeps_an_account_from_being_clean() -> None:
    text = show(make_report(make_account("shop", [make_user()], root=(True, False), account_id="111122223333")))

    assert "\n  shop (111122223333)\n" in text
    assert "Remedy: give the root user an MFA device, or delete its credentials." in text
    assert "clean" not in text


def test_skipped_accounts_stand_on_one_line_by_reason() -> None:
    closed, excluded = (make_problem(Stage.SELECT, message=words) for words in ("it is closed", "it is excluded"))
    accounts = [
        make_account(alias, status=Status.SKIPPED, error=error, account_id=account_id)
        for alias, error, account_id in [("b", excluded, "2" * 12), ("c", closed, "3" * 12), ("a", closed, "1" * 12)]
    ]

    text = show(make_report(*accounts), width=200)

    line = "3 accounts skipped: a (111111111111), c (333333333333) - it is closed; b (222222222222) - it is excluded."
    assert line in text.splitlines()


def test_listing_that_broke_off_is_said_above_everything_else() -> None:
    lines = show(make_report(make_account("shop"), is_complete=False)).splitlines()

    assert lines[2].startswith("INCOMPLETE: The organization could not be listed to its end")


def test_errors_of_the_run_are_shown_with_their_remedy() -> None:
    error = make_problem(Stage.DIGEST, code="digest_failed", message="Slack refused it", remedy="Mend the settings.")

    text = show(make_report(make_account("shop"), errors=[error]))

    assert "ERRORS OF THE RUN\n  digest (digest_failed)\n    Slack refused it\n    Remedy: Mend the settings.\n" in text


def test_clean_run_is_short() -> None:
    accounts = [make_account(f"dev-{n}", [make_user()]) for n in range(1200)]

    assert show(make_report(*accounts)).splitlines() == [
        "Plan run 20251124T120000Z-4f2a of o-exampleorg1, 2025-11-24 12:00 UTC, 74 s",
        "",
        "1,200 accounts: clean, every user has MFA.",
        "",
        "1,200 accounts: 1,200 inspected; 1,200 users: 1,200 with MFA. Nothing was",
        "written.",
    ]


def test_organization_without_users_reads_well() -> None:
    assert "\n1 account: 1 inspected; 0 users. Nothing was written.\n" in show(make_report(make_account("shop")))


HOSTILE_NAMES = ["[bold]x[/bold]", "[/]", "[link=https://example.com]here[/link]", ":skull:", "<!channel>", r"\[red]"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_markup_in_text_from_outside_stands_as_it_is(name: str) -> None:
    user = make_user(name, Outcome.HELD, error=(name, f"message {name}"))
    accounts = [
        make_account(name, [user], root=(True, False)),
        make_failed(name, message=f"failure {name}", remedy=f"remedy {name}"),
        make_account(name, status=Status.SKIPPED, error=make_problem(message=f"reason {name}")),
    ]

    text = show(make_report(*accounts, errors=[make_problem(message=f"error {name}")]), address=name, width=300)

    assert f"1 held ({name}): {name}\n" in text
    for words in ("message", "failure", "Remedy: remedy", "error", "Report:"):
        assert f"{words} {name}\n" in text
    assert f" - reason {name}.\n" in text
    assert f"  {name} (" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines\r\nand\ttab", "two lines and tab"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("bell\x07", r"bell\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("line\u2028break", "line break"),
        ("Größe 東京", "Größe 東京"),
    ],
)
def test_characters_that_would_act_on_the_terminal_are_made_harmless(name: str, shown: str) -> None:
    user = make_user("bo", Outcome.HELD, error=("code", name))
    account = make_account(users=[user], name=name, root=(True, False))

    text = show(make_report(account), address=name, width=300)

    assert f"\n  {shown} " in text
    assert f"  {shown}\n" in text
    assert f"  {shown} ({account.id})\n" in text
    assert f"Report: {shown}\n" in text


TEXTS = st.text(max_size=90)


@given(name=TEXTS, message=TEXTS, outcome=st.sampled_from(Outcome), width=st.integers(60, 120))
def test_no_text_breaks_the_table(*, name: str, message: str, outcome: Outcome, width: int) -> None:
    accounts = [
        make_account(name, [make_user(name, outcome, error=(name[:20], message), reason=message)]),
        make_account(None, name=message, root=(True, False)),
        make_failed(name, code=name[:20], message=message, remedy=message),
    ]

    text = show(make_report(*accounts), width=width)

    assert not {char for char in text if unicodedata.category(char).startswith("C")} - {"\n"}
    assert max(map(cell_len, text.split("\n"))) <= width


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_console_nor_ends_in_blanks(width: int) -> None:
    long = [
        make_failed("a" * 63, message="x" * 300, remedy=ROLE_MISSING),
        make_account(None, [make_user("u" * 64, Outcome.PLANNED)], name="n" * 50, root=(True, False)),
    ]

    text = show(make_report(*all_situations().accounts, *long), width=width)

    assert max(map(len, text.splitlines())) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_address_is_never_broken_into_lines() -> None:
    address = "s3://bucket/" + "prefix/" * 20 + "run.json.gz"

    assert f"\nReport: {address}\n" in show(make_report(make_account("shop")), address=address)


def on_terminal(*, is_terminal: bool = True, **environment: str) -> Console:
    return Console(
        file=StringIO(),
        width=80,
        force_terminal=is_terminal,
        color_system="standard",
        _environ={"TERM": "xterm-256color"} | environment,
    )


def test_colour_only_repeats_what_words_say() -> None:
    console = on_terminal()

    print_report(all_situations(), console)

    coloured = written(console)
    bare = [line.rstrip() for line in ESCAPE_CODES.sub("", coloured).splitlines()]
    assert "\x1b[1;31mfailed at assume_role" in coloured
    assert re.sub(r"\d{12}", "", "\n".join(bare)) == re.sub(r"\d{12}", "", show(all_situations()).rstrip())


def test_no_color_leaves_no_escape_codes() -> None:
    console = on_terminal(NO_COLOR="1")

    print_report(all_situations(), console)

    assert "failed at assume_role" in written(console)
    assert "\x1b" not in written(console)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_output_that_cannot_encode_a_name_still_gets_the_report(*, is_terminal: bool) -> None:
    file = TextIOWrapper(BytesIO(), encoding="ascii", newline="\n")
    console = Console(file=file, width=80, force_terminal=is_terminal, no_color=True)

    print_report(make_report(make_failed("größe")), console, address="./läufe")

    file.seek(0)
    text = file.read()
    assert r"gr\xf6\xdfe" in text
    assert text.endswith("Report: ./l\\xe4ufe\n")


def test_notes_are_wrapped_and_leave_no_blanks_at_the_ends_of_lines() -> None:
    console = Console(file=StringIO(), width=40, force_terminal=False)

    print_notes(["exemption [red] ends on 2025-12-01 and then no longer counts", "\x1b[2J"], console)

    assert written(console).splitlines() == [
        "Note: exemption [red] ends on 2025-12-01",
        "and then no longer counts",
        "Note: \\x1b[2J",
    ]


def test_runs_are_listed_in_the_order_given_with_what_they_came_to() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=False)
    users = [make_user(name, Outcome.EXEMPT) for name in ("ana", "bob")]
    accounts = [make_account("acme", users), make_failed("broken"), make_account(status=Status.NOT_REACHED)]
    run_id = "20251124T120000Z-0a1b2c3d"
    newer = make_report(*accounts, mode=Mode.APPLY).model_copy(update={"run_id": run_id, "finished_at": NOON})
    older = make_report(mode=Mode.PLAN, errors=[make_problem()]).model_copy(
        update={"run_id": "[red]", "finished_at": NOON - timedelta(days=1), "complete": False}
    )

    print_runs([newer, older], console, more=1200)

    lines = written(console).splitlines()
    assert lines == [
        "finished (UTC)    mode     no MFA  accounts  failed  run",
        f"2025-11-24 12:00  apply         2         3       2  {run_id}",
        "2025-11-23 12:00  plan          0         0       0  [red] (incomplete, 1 error)",
        "and 1,200 older runs: --output json lists all",
    ]
    assert max(map(len, lines)) <= 80


def test_empty_archive_is_said() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=False)

    print_runs([], console)

    assert written(console) == "The archive holds no run yet.\n"


def screens(console: Console) -> Iterator[str]:
    """Yield the lines a progress bar drew, one after another, without colours, bars and seconds."""
    for line in re.split(r"[\r\n]+", ESCAPE_CODES.sub("", written(console))):
        yield flat(re.sub(r"[━╸╺]|\d:\d\d:\d\d$", "", line))


def test_progress_counts_accounts_changes_and_failures() -> None:
    console = on_terminal()

    with ProgressView(console, Mode.APPLY) as progress:
        progress.phase("inspecting", None)
        progress.done("inspecting", changes=1000, failed=False)
        progress.found("inspecting", 20)
        progress.done("inspecting", changes=234, failed=True)
        progress.phase("applying", 7)
        progress.done("applying", changes=5, failed=False)
        progress._progress.refresh()

    drawn = list(screens(console))
    assert "inspecting 0 accounts 0 planned 0 failed" in drawn
    assert "inspecting 2/20 accounts 1,234 planned 1 failed" in drawn
    assert "applying 1/7 accounts 5 enforced 0 failed" in drawn


def test_progress_total_grows_while_accounts_are_found() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", None)
        for number in (20, 40):
            progress.found("inspecting", number)
            progress._progress.refresh()

    drawn = [line for line in screens(console) if "0/" in line]
    assert_in_order(" ".join(drawn), "0/20 accounts", "0/40 accounts")


@pytest.mark.parametrize(
    ("mode", "word"), [(None, "changed"), (Mode.APPLY, "enforced"), (Mode.RELEASE, "released"), (Mode.PLAN, "planned")]
)
def test_progress_names_what_is_done_to_users(mode: Mode | None, word: str) -> None:
    console = on_terminal()

    with ProgressView(console, mode) as progress:
        progress.phase("applying", 1)

    assert f"applying 0/1 accounts 0 {word} 0 failed" in screens(console)


def test_progress_leaves_nothing_on_the_screen() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", 1)

    assert written(console).endswith("\x1b[1A\x1b[2K")


def test_paused_progress_draws_nothing_until_it_goes_on() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", 3)
        with progress.paused():
            before = written(console)
            progress.done("inspecting", changes=1, failed=False)
            during = written(console)

    assert during == before
    assert "inspecting 1/3 accounts 1 planned 0 failed" in screens(console)


def drive(progress: ProgressView) -> None:
    with progress:
        progress.phase("inspecting", None)
        progress.found("inspecting", 1)
        progress.done("inspecting", changes=1, failed=True)
        with progress.paused():
            pass
        progress.phase("applying", 1)


@pytest.mark.parametrize(
    ("console", "wanted"),
    [
        pytest.param(on_terminal(is_terminal=False), True, id="off a terminal"),
        pytest.param(on_terminal(TERM="dumb"), True, id="on a terminal that cannot redraw"),
        pytest.param(on_terminal(), False, id="not wanted"),
    ],
)
def test_progress_writes_nothing_where_it_has_no_place(console: Console, *, wanted: bool) -> None:
    drive(ProgressView(console, wanted=wanted))

    assert written(console) == ""


def test_progress_before_the_first_phase_is_passed_over() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.found("inspecting", 3)
        progress.done("inspecting", changes=1, failed=False)

    assert "accounts" not in written(console)


def test_progress_leaves_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", None)
        sys.stdout.write('{"data": 1}\n')

    assert capsys.readouterr().out == '{"data": 1}\n'
    assert "data" not in written(console)
