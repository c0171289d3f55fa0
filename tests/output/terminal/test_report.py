import pytest

from orchestrator.domain.model import Gate, Mode, Outcome, Stage, Status
from orchestrator.output.terminal import MAX_LINES
from orchestrator.reports.report import (
    RunReport,
)
from tests.output.terminal.report_samples import (
    OVER_LIMIT,
    REFUSED,
    ROLE_MISSING,
    UNDER_WAY,
    all_situations,
    assert_in_order,
    flat,
    make_account,
    make_failed,
    make_problem,
    make_report,
    make_user,
    row_of,
    show,
)


def test_report_goes_from_what_is_to_fix_to_the_next_step() -> None:
    text = show(all_situations(), address="./orgmfa-runs/run.json.gz")

    assert_in_order(
        text,
        "8 accounts, 3 users without MFA, 1 would be enforced, 1 user to fix, 1 account\n",
        "INCOMPLETE",
        "listing broke off",
        "TO FIX (4)",
        "1 account failed, assuming the role (AccessDenied)",
        "    broken (",
        "1 account not reached, reading IAM (interrupted)",
        "Held (active_key): 1 user in 1 account",
        "holding: dora",
        "Root user without MFA: 1 account",
        "\nholding ",
        "\nrooted ",
        "\nchanging ",
        "2 accounts clean: every user has MFA or is left alone (1 out of scope).",
        "1 account skipped: 1 suspended.",
        "8 accounts: ",
        "Report: ./orgmfa-runs/run.json.gz",
        "Page:   orgmfa report 20251124T120000Z-4f2a --html orgmfa.html",
        "Next:   orgmfa plan (again: this run did not get to every account)",
    )


def test_summary_counts_everything_in_one_sentence() -> None:
    text = flat(show(all_situations()))

    assert (
        "8 accounts: 5 inspected, 1 failed, 1 not reached, 1 skipped. "
        "5 users: 2 with MFA, 3 without MFA. 1 held, 1 would be enforced, 1 out of scope. "
        "Nothing was written. 2 access keys would stop working without MFA."
    ) in text


@pytest.mark.parametrize(
    ("report", "step"),
    [
        (
            make_report(make_account("a", [make_user("bo", Outcome.HELD)])),
            "fix what stands under TO FIX, then orgmfa plan",
        ),
        (make_report(make_account("a", [make_user()])), None),
        (
            make_report(make_account("a", [make_user("bo", Outcome.PLANNED)]), gate=OVER_LIMIT),
            "read the plan, then orgmfa apply --max-changes 214 --sandbox",
        ),
        (make_report(make_account("a", [make_user("bo", Outcome.PLANNED)]), gate=UNDER_WAY), "run again later"),
    ],
)
def test_next_step_is_named_where_there_is_one(report: RunReport, step: str | None) -> None:
    text = show(report, address="a file", options=" --sandbox")

    assert ("Next:" in text) == (step is not None)
    assert (step or "") in text
    assert "--sandbox --html" in text


def test_run_that_its_limit_held_says_first_that_nothing_was_written() -> None:
    users = [make_user("bo", Outcome.PLANNED), make_user("al", Outcome.HELD)]

    text = show(make_report(make_account("shop", users), mode=Mode.APPLY, gate=OVER_LIMIT))

    assert text.startswith("NOTHING WAS WRITTEN: 214 changes planned, the limit is 100.")
    assert_in_order(text, "Apply run", "nothing was written, 1 account,", "TO FIX", "\nshop")


def test_run_that_was_held_says_so_first_also_in_brief() -> None:
    report = make_report(make_account("shop", [make_user("bo", Outcome.PLANNED)]), gate=OVER_LIMIT)

    assert show(report, brief=True).startswith("APPLY WOULD WRITE NOTHING: 214 changes planned, the limit is 100.")


@pytest.mark.parametrize("gate", [None, OVER_LIMIT])
@pytest.mark.parametrize("is_complete", [True, False])
def test_no_limit_and_no_apply_is_advised_by_a_plan_that_is_incomplete(gate: Gate | None, is_complete: bool) -> None:
    accounts = [make_account("a", [make_user("bo", Outcome.PLANNED)]), make_account("b", status=Status.NOT_REACHED)]
    report = make_report(*accounts[: 1 + is_complete], gate=gate, is_complete=is_complete)

    text = show(report, address="a file", narrowing=" --ou ou-1", limit=" --max-changes 5")

    again = "orgmfa plan --max-changes 5 --ou ou-1 (again: this run did not get to every account)"
    assert text.splitlines()[-1] == f"Next:   {again}"


@pytest.mark.parametrize(
    ("gate", "step"),
    [
        (None, "orgmfa apply --max-changes 5 --ou ou-1 --sandbox (enforces MFA on 1 user in 1 account, after asking)"),
        (OVER_LIMIT, "read the plan, then orgmfa apply --max-changes 214 --ou ou-1 --sandbox"),
    ],
)
def test_next_step_is_over_the_same_accounts(gate: Gate | None, step: str) -> None:
    report = make_report(make_account("a", [make_user("bo", Outcome.PLANNED)]), gate=gate)

    text = show(report, address="a file", narrowing=" --ou ou-1", limit=" --max-changes 5", options=" --sandbox")

    assert text.splitlines()[-1] == f"Next:   {step}"
    assert "report 20251124T120000Z-4f2a --sandbox --html" in text


def test_reason_and_remedy_are_complete_however_long_where_all_is_wanted() -> None:
    message, remedy = REFUSED.format("1" * 200), ROLE_MISSING * 3

    text = show(make_report(make_failed("shop-prod", message=message, remedy=remedy)), whole_texts=True)

    assert flat(text).count(f"{message} Remedy: {remedy}") == 1


def test_error_of_aws_is_shortened_to_its_code_and_the_action_that_was_refused() -> None:
    text = show(make_report(make_failed("shop-prod", message=REFUSED.format("1" * 12))))

    assert "1 account failed, assuming the role (AccessDenied, sts:AssumeRole)\n    shop-prod (" in text
    assert "arn:" not in text


@pytest.mark.parametrize("width", [40, 80])
def test_arn_is_never_broken(width: int) -> None:
    arn = f"arn:aws:sts::999988887777:assumed-role/orgmfa-member/{'long' * 30}"

    text = show(make_report(make_failed("shop", message=f"User: {arn} may not")), width=width, whole_texts=True)

    assert f"    {arn}\n" in text


def test_reason_of_a_held_user_is_told_with_its_code() -> None:
    message = "an access key was used on 2025-11-23 and would stop working: " + "move the caller to a role, " * 5

    text = show(make_report(make_account("shop", [make_user("ci", Outcome.HELD, error=("active_key", message))])))

    assert f"Held (active_key): 1 user in 1 account shop: ci {message.strip()}" in flat(text)


def test_long_reason_is_cut_and_says_how_to_see_the_rest() -> None:
    user = make_user("ci", Outcome.HELD, error=("code", "because " * 100))

    text, whole = (show(make_report(make_account("shop", [user])), whole_texts=whole) for whole in (False, True))

    assert "... (-v: the whole text)" in flat(text)
    assert whole.count("because") == 100


def test_accounts_that_failed_alike_are_one_cause_with_one_remedy() -> None:
    accounts = [make_failed(f"shop-{n}", message=REFUSED.format(f"{n}" * 12)) for n in range(1, 10)]

    text = show(make_report(*accounts))

    assert text.count("Remedy:") == text.count("9 accounts failed, assuming the role") == 1
    named = ", ".join(f"{account.alias} ({account.id})" for account in accounts[:3])
    assert f"{named} and 6 more accounts" in flat(text)
    assert all(account.id in show(make_report(*accounts), every_row=True) for account in accounts)


def test_accounts_that_were_not_reached_for_one_reason_are_one_cause() -> None:
    error = make_problem(Stage.INSPECT, code="interrupted", message="the run was interrupted", remedy="Run again.")
    accounts = [make_account(f"dev-{n:02}", status=Status.NOT_REACHED, error=error) for n in range(30)]

    text = show(make_report(*accounts))

    assert text.count("30 accounts not reached, reading IAM (interrupted)") == 1
    assert text.count("the run was interrupted") == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_REACHED])
def test_account_that_failed_without_a_word_is_still_shown(status: Status) -> None:
    accounts = [make_account(alias, status=status) for alias in ("dev-1", "dev-2")]

    alone, together = show(make_report(accounts[0])), show(make_report(*accounts))

    words = status.value.replace("_", " ")
    first, second = (f"{account.alias} ({account.id})" for account in accounts)
    assert f"1 account {words}, no reason given\n    {first}\n" in alone
    assert f"2 accounts {words}, no reason given\n    {first}, {second}\n" in together
    assert row_of(show(make_report(accounts[0]), every_row=True), "dev-1") == f"dev-1 {words} {accounts[0].id}"
    assert "Remedy" not in alone + together


def test_account_that_failed_while_writing_shows_what_was_written() -> None:
    users = [make_user("ana", Outcome.ENFORCED), make_user("bo", Outcome.FAILED, error=("Throttling", "slow down"))]
    account = make_account("a", users, status=Status.FAILED, error=make_problem(Stage.APPLY))

    text = show(make_report(account, mode=Mode.APPLY), width=119)

    row = row_of(text, "a")
    assert "failed, writing to IAM (AccessDenied)" in row
    assert "1 failed (Throttling): bo 1 enforced: ana" in row


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
        (Mode.PLAN, "1 would be enforced: bo"),
        (Mode.APPLY, "1 not yet enforced: bo"),
        (Mode.RELEASE, "1 not yet released: bo"),
    ],
)
def test_planned_change_is_never_taken_for_a_made_one(mode: Mode, words: str) -> None:
    text = show(make_report(make_account("shop", [make_user("bo", Outcome.PLANNED)]), mode=mode))

    assert f"{words}\n" in text
    assert ("Would be done" in text) == (mode is Mode.PLAN)


def test_access_keys_that_stop_are_counted_and_shown_with_their_users() -> None:
    users = [
        make_user("ana", Outcome.ENFORCED, keys=2),
        make_user("bo", Outcome.ENFORCED, keys=None),
        make_user("cy", Outcome.ENFORCED),
        make_user("dora", Outcome.PLANNED, keys=1),
        make_user("eve", Outcome.HELD, keys=1),
        make_user("fay", keys=1),
    ]

    text = flat(show(make_report(make_account("shop", users), mode=Mode.APPLY), width=119))

    assert "3 enforced: ana (2 keys), bo (keys unknown), cy" in text
    assert "not yet enforced: dora (1 key)" in text
    assert "2 access keys stopped working without MFA, and those of 1 user that could not be read." in text


@pytest.mark.parametrize(("mode", "blocks_access_keys"), [(Mode.PLAN, False), (Mode.RELEASE, True)])
def test_no_word_about_keys_where_none_stops(mode: Mode, *, blocks_access_keys: bool) -> None:
    account = make_account("shop", [make_user("bo", Outcome.PLANNED, keys=2)])

    text = show(make_report(account, mode=mode), blocks_access_keys=blocks_access_keys)

    assert "key" not in text


@pytest.mark.parametrize("root", [None, (False, False), (True, True), (False, True)])
def test_root_user_that_cannot_sign_in_or_has_mfa_is_no_finding(root: tuple[bool, bool] | None) -> None:
    text = show(make_report(make_account("shop", root=root)))

    assert "oot user" not in text
    assert "1 account clean" in text


def test_root_finding_keeps_an_account_from_being_clean() -> None:
    text = show(make_report(make_account("shop", [make_user()], root=(True, False), account_id="111122223333")))

    assert row_of(text, "shop") == "shop 1 0 root user without MFA 111122223333"
    assert "Remedy: It has a password or access keys: register an MFA device, or delete the root credentials." in flat(
        text
    )
    assert "clean" not in text


def test_skipped_accounts_are_counted_by_reason_and_listed_where_all_are_wanted() -> None:
    codes = [("b", "excluded"), ("c", "closed"), ("a", "closed")]
    accounts = [
        make_account(alias, status=Status.SKIPPED, error=make_problem(Stage.SELECT, code=code)) for alias, code in codes
    ]

    text, whole = show(make_report(*accounts)), show(make_report(*accounts), every_row=True)

    assert "3 accounts skipped: 2 closed, 1 excluded.\n" in text
    assert not [account for account in accounts if account.id in text]
    assert [row_of(whole, alias)[:-13] for alias, _ in codes] == [
        f"{alias} skipped, selecting accounts ({code})" for alias, code in codes
    ]


def test_listing_that_broke_off_is_said_above_everything_else() -> None:
    lines = show(make_report(make_account("shop"), is_complete=False)).splitlines()

    assert lines[3].startswith("INCOMPLETE: The organization could not be listed to its end")


def test_errors_of_the_run_are_shown_with_their_remedy() -> None:
    error = make_problem(Stage.DIGEST, code="digest_failed", message="Slack refused it", remedy="Mend the settings.")

    text = show(make_report(make_account("shop"), errors=[error]))

    assert "ERRORS OF THE RUN\n  sending the digest (digest_failed)\n    Slack refused it\n" in text
    assert "    Remedy: Mend the settings.\n" in text


def test_clean_run_is_short() -> None:
    accounts = [make_account(f"dev-{n}", [make_user()]) for n in range(1200)]

    assert show(make_report(*accounts)).splitlines() == [
        "Plan run 20251124T120000Z-4f2a of o-exampleorg1, 2025-11-24 12:00 UTC, 74 s",
        "1,200 accounts, every user has MFA",
        "",
        "1,200 accounts clean: every user has MFA.",
        "",
        "1,200 accounts inspected. 1,200 users: 1,200 with MFA. Nothing was written.",
    ]


def test_organization_without_users_reads_well() -> None:
    assert "\n1 account inspected. Nothing was written.\n" in show(make_report(make_account("shop")))


def test_errors_and_notes_without_end_are_counted_and_all_of_them_listed_where_that_is_asked() -> None:
    errors = [make_problem(code=f"code-{number}") for number in range(300)]
    notes = [f"entry {number} of exemptions matches no user" for number in range(300)]
    report = make_report(make_account("shop", [make_user()]), errors=errors)

    text, whole = show(report, notes=notes), show(report, notes=notes, every_row=True)

    assert len(text.splitlines()) <= MAX_LINES
    assert "  and 292 more errors: --all lists them\n" in text
    assert "\nand 290 more notes: --all lists them\n" in text
    assert (whole.count("(code-"), whole.count("Note: ")) == (300, 300)
    assert "more notes" not in whole
