import json
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from pydantic import BaseModel

from orchestrator.domain.model import (
    AccountResult,
    Decision,
    Gate,
    Guard,
    Outcome,
    PolicyChange,
    Problem,
    Reason,
    RootUser,
    Stage,
    Status,
    Verdict,
    Via,
)
from orchestrator.reports.build import build_report, count_totals, report_account, report_problem
from orchestrator.reports.report import (
    ChangedAccount,
    ChangedUser,
    Changes,
    EnrolledUser,
    RunReport,
    exit_code,
)
from orchestrator.reports.run_finished import RunFinished
from tests.builders import NOW, make_account, make_request, make_user

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = DOCS / "report.schema.json"
PROBLEM = Problem(Stage.INSPECT, "AccessDenied", "not authorized", "Update the StackSet.")


def make_decision(outcome: Outcome = Outcome.NONE, **changes: Any) -> Decision:
    verdict = Verdict.COMPLIANT if outcome is Outcome.NONE else Verdict.NON_COMPLIANT
    values: dict[str, Any] = {"user": make_user(), "verdict": verdict, "outcome": outcome}
    return Decision(**(values | changes))


def make_result(*decisions: Decision, **changes: Any) -> AccountResult:
    values: dict[str, Any] = {"account": make_account(), "status": Status.INSPECTED, "decisions": decisions}
    return AccountResult(**(values | changes))


def make_report(*results: AccountResult, errors: tuple[Problem, ...] = (), is_complete: bool = True) -> RunReport:
    return build_report(
        make_request(),
        "o-exampleorg1",
        map(report_account, results),
        errors=errors,
        is_complete=is_complete,
        finished_at=NOW + timedelta(minutes=3),
    )


def reported(decision: Decision) -> Any:
    return report_account(make_result(decision)).users[0]


FULL = make_report(
    make_result(
        make_decision(),
        make_decision(
            Outcome.HELD,
            user=make_user("bob", active_access_keys=2, keys_last_used=NOW),
            reason=Reason("active_key", "an access key was used"),
        ),
        make_decision(Outcome.ENFORCED, via=Via.GROUP),
        make_decision(Outcome.EXEMPT, reason=Reason("exempt", "build robots")),
        make_decision(
            Outcome.NONE,
            user=make_user("eve", has_mfa=None, has_console_password=None, active_access_keys=None),
            verdict=Verdict.UNKNOWN,
            reason=Reason("Throttling", "Rate exceeded"),
        ),
        alias="acme-payments",
        root_user=RootUser(has_credentials=True, has_mfa=False),
        policy_changes=(PolicyChange.CREATE_POLICY,),
    ),
    make_result(account=make_account("444455556666"), status=Status.FAILED, problem=PROBLEM),
    errors=(PROBLEM,),
    is_complete=False,
)


IN_PAYMENTS: dict[str, Any] = {
    "account_id": "111122223333",
    "account_alias": "acme-payments",
    "account_name": "payments",
}

# -- totals ----------------------------------------------------------------------------------------------------------


def test_totals_count_accounts_by_status_and_users_by_verdict_and_outcome() -> None:
    totals = FULL.totals.model_dump()

    assert {name: count for name, count in totals.items() if count} == {
        "accounts": 2,
        "inspected": 1,
        "failed": 1,
        "users": 5,
        "compliant": 1,
        "non_compliant": 3,
        "unknown": 1,
        "mfa_other": 1,
        "none": 2,
        "held": 1,
        "enforced": 1,
        "exempt": 1,
    }


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_has_a_count_of_its_own(outcome: Outcome) -> None:
    counts = make_report(make_result(make_decision(outcome), make_decision(outcome))).totals.model_dump()
    by_outcome = {other: counts["failed_users" if other is Outcome.FAILED else other.value] for other in Outcome}

    assert by_outcome == {other: 2 * (other is outcome) for other in Outcome}
    assert counts["failed"] == 0


@pytest.mark.parametrize("status", list(Status))
def test_each_status_has_a_count_of_its_own(status: Status) -> None:
    counts = make_report(make_result(status=status), make_result(status=status)).totals.model_dump()

    assert {other: counts[other.value] for other in Status} == {other: 2 * (other is status) for other in Status}
    assert counts["failed_users"] == 0


def test_totals_of_nothing_are_zero() -> None:
    assert set(count_totals([]).model_dump().values()) == {0}


DECISIONS = st.builds(
    lambda outcome, verdict: make_decision(outcome, verdict=verdict),
    st.sampled_from(Outcome),
    st.sampled_from(Verdict),
)
RESULTS = st.builds(
    lambda status, decisions: make_result(*decisions, status=status),
    st.sampled_from(Status),
    st.lists(DECISIONS, max_size=5),
)


@given(st.lists(RESULTS, max_size=6))
@settings(deadline=None)
def test_totals_add_up_to_the_accounts_and_users_given(results: list[AccountResult]) -> None:
    report = make_report(*results)
    counts = report.totals.model_dump()
    users = sum(len(result.decisions) for result in results)

    assert len(report.accounts) == counts["accounts"] == len(results)
    assert sum(counts[status.value] for status in Status) == len(results)
    assert sum(counts[verdict.value] for verdict in Verdict) == counts["users"] == users
    assert sum(counts[outcome.value] for outcome in Outcome if outcome is not Outcome.FAILED) == (
        users - counts["failed_users"]
    )


# -- exit code -------------------------------------------------------------------------------------------------------

ROOT_FINDING = make_result(root_user=RootUser(has_credentials=True, has_mfa=False))


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (make_report(), 0),
        (make_report(make_result()), 0),
        (make_report(make_result(status=Status.SKIPPED, problem=PROBLEM)), 0),
        (make_report(ROOT_FINDING), 0),
        *(
            (make_report(make_result(make_decision(outcome))), 0)
            for outcome in (
                Outcome.NONE,
                Outcome.PLANNED,
                Outcome.ENFORCED,
                Outcome.ALREADY_ENFORCED,
                Outcome.RELEASED,
                Outcome.EXEMPT,
                Outcome.IN_GRACE,
                Outcome.OUT_OF_SCOPE,
            )
        ),
        *(
            (make_report(make_result(make_decision(outcome))), 1)
            for outcome in (Outcome.HELD, Outcome.QUOTA_EXCEEDED, Outcome.FAILED)
        ),
        (make_report(make_result(make_decision(verdict=Verdict.UNKNOWN))), 1),
        (make_report(make_result(make_decision(Outcome.EXEMPT, verdict=Verdict.UNKNOWN))), 1),
        (make_report(make_result(), make_result(status=Status.FAILED, problem=PROBLEM)), 1),
        (make_report(make_result(), make_result(status=Status.NOT_REACHED, problem=PROBLEM)), 1),
        (make_report(make_result(), is_complete=False), 1),
        (make_report(make_result(), errors=(PROBLEM,)), 1),
        (FULL, 1),
    ],
)
def test_exit_code_is_one_where_anything_is_left_for_a_person(report: RunReport, code: int) -> None:
    assert exit_code(report) == code


# -- accounts and users ----------------------------------------------------------------------------------------------


def test_account_is_reported_with_all_that_was_found() -> None:
    account = FULL.accounts[0]

    assert (account.id, account.name, account.alias) == ("111122223333", "payments", "acme-payments")
    assert (account.status, account.error) == (Status.INSPECTED, None)
    assert account.root_user is not None
    assert (account.root_user.has_credentials, account.root_user.has_mfa) == (True, False)
    assert account.policy_changes == (PolicyChange.CREATE_POLICY,)


def test_account_that_failed_has_its_problem_and_neither_root_user_nor_users() -> None:
    account = FULL.accounts[1]

    assert account.error == report_problem(PROBLEM)
    assert account.error.model_dump() == {
        "stage": Stage.INSPECT,
        "code": "AccessDenied",
        "message": "not authorized",
        "remedy": "Update the StackSet.",
    }
    assert (account.alias, account.root_user, account.users) == (None, None, ())


def test_accounts_and_users_keep_their_order() -> None:
    report = make_report(
        *(make_result(account=make_account(account_id)) for account_id in ("333333333333", "111111111111"))
    )

    assert [account.id for account in report.accounts] == ["333333333333", "111111111111"]
    assert [user.name for user in FULL.accounts[0].users] == ["alice", "bob", "alice", "alice", "eve"]


def test_what_could_not_be_read_stays_null_and_is_never_a_no() -> None:
    user = json.loads(FULL.model_dump_json())["accounts"][0]["users"][-1]

    assert user["verdict"] == "unknown"
    assert [user[key] for key in ("console_password", "active_access_keys", "keys_last_used", "via")] == [None] * 4
    assert user["error"] == {"code": "Throttling", "message": "Rate exceeded"}


def test_what_was_read_as_no_is_no_null() -> None:
    user = reported(make_decision(user=make_user(has_console_password=False, active_access_keys=0)))

    assert (user.console_password, user.active_access_keys) == (False, 0)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_reason_is_an_error_only_where_a_person_is_needed(outcome: Outcome) -> None:
    user = reported(make_decision(outcome, reason=Reason("code", "message")))
    is_error = outcome in {Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED}

    assert (user.error and (user.error.code, user.error.message)) == (("code", "message") if is_error else None)
    assert user.reason == (None if is_error else "message")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_user_without_a_reason_has_neither_error_nor_reason(outcome: Outcome) -> None:
    user = reported(make_decision(outcome))

    assert (user.error, user.reason) == (None, None)


# -- the document ----------------------------------------------------------------------------------------------------


def test_document_has_the_fields_of_a_run() -> None:
    document = json.loads(FULL.model_dump_json())

    assert {key: value for key, value in document.items() if key not in {"accounts", "totals", "errors"}} == {
        "schema_version": 2,
        "preflight": None,
        "gate": None,
        "run_id": "run-1",
        "mode": "apply",
        "trigger": "cli",
        "organization_id": "o-exampleorg1",
        "started_at": "2026-03-02T12:00:00Z",
        "finished_at": "2026-03-02T12:03:00Z",
        "events": None,
        "complete": False,
        "narrowed": False,
        "changes": None,
        "releases": [],
    }


def test_every_time_is_utc_in_iso_8601_with_a_z() -> None:
    text = FULL.model_dump_json()
    times = re.findall(r'"(?:started_at|finished_at|keys_last_used)":"([^"]*)"', text)

    assert times == ["2026-03-02T12:00:00Z", "2026-03-02T12:03:00Z", "2026-03-02T12:00:00Z"]
    assert datetime.fromisoformat(times[0]) == NOW


def test_time_of_another_zone_is_told_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=2)))

    document = json.loads(FULL.model_copy(update={"started_at": elsewhere}).model_dump_json())

    assert document["started_at"] == "2026-03-02T12:00:00Z"


def test_document_is_read_back_as_the_same_report() -> None:
    again = RunReport.model_validate_json(FULL.model_dump_json())

    assert again == FULL
    assert again.started_at.tzinfo is not None
    assert again.started_at.astimezone(UTC) == NOW


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(mode="serialization") | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": model.__name__,
    }


@pytest.mark.parametrize(("name", "model"), [("report", RunReport), ("run-finished", RunFinished)])
def test_published_schema_is_the_one_of_the_program(name: str, model: type[BaseModel]) -> None:
    """To renew one: write `schema_of(model)` as JSON with an indent of 2 and a newline at the end."""
    text = (DOCS / f"{name}.schema.json").read_text(encoding="utf-8")

    assert text == json.dumps(schema_of(model), indent=2) + "\n"


def test_report_of_version_1_is_read_as_one_without_a_gate() -> None:
    document = json.loads(FULL.model_dump_json(exclude={"gate"})) | {"schema_version": 1}

    report = RunReport.model_validate(document)

    assert (report.schema_version, report.gate) == (2, None)
    assert report == FULL


def test_report_made_before_guards_were_known_is_read_as_one_without_any() -> None:
    document = json.loads(FULL.model_dump_json())
    for name in ("guarded", "mfa_virtual", "mfa_other"):
        del document["totals"][name]
    for user in (user for account in document["accounts"] for user in account["users"]):
        for name in ("guarded", "password_last_used", "unused"):
            del user[name]

    report = RunReport.model_validate(document)

    assert report.totals.guarded == 0
    assert report.accounts == FULL.accounts


def test_guard_and_last_sign_in_of_a_user_are_reported() -> None:
    user = make_user(guard=Guard(("SCP", "policy x"), is_partial=True), password_last_used=NOW)

    found = reported(make_decision(Outcome.PLANNED, user=user))

    assert found.guarded.model_dump() == {"by": ("SCP", "policy x"), "partial": True}
    assert json.loads(found.model_dump_json())["password_last_used"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert not found.unused


@pytest.mark.parametrize("code", ["over_limit", "stopped", "declined", "under_way"])
def test_run_that_wrote_nothing_for_its_gate_ends_with_1(code: Any) -> None:
    clean = make_report()
    gate = Gate(code=code, planned=1, limit=None, message="", remedy="")

    assert (exit_code(clean), exit_code(clean.model_copy(update={"gate": gate}))) == (0, 1)


def make_validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


COMPARED = FULL.model_copy(
    update={
        "changes": Changes(
            since_run_id="run-0",
            since=NOW - timedelta(days=1),
            newly_without_mfa=(ChangedUser(**IN_PAYMENTS, name="alice"),),
            enrolled=(EnrolledUser(**IN_PAYMENTS, name="bob", device="fido", enrolled_at=NOW),),
            gone_accounts=(ChangedAccount(id="444455556666", name="search", alias=None),),
        )
    }
)


@pytest.mark.parametrize(
    "report", [FULL, COMPARED, make_report(), make_report(*[make_result(status=each) for each in Status])]
)
def test_document_is_valid_by_the_published_schema(report: RunReport) -> None:
    make_validator().validate(json.loads(report.model_dump_json()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 3),
        ("schema_version", 1),
        ("gate", {"code": "held", "planned": 1, "limit": None, "message": "", "remedy": ""}),
        ("gate", {"code": "stopped", "planned": 1, "message": "", "remedy": ""}),
        ("mode", "check"),
        ("trigger", None),
        ("run_id", ...),
        ("complete", ...),
        ("errors", ...),
        ("totals", ...),
        ("totals.users", ...),
        ("totals.failed_users", "none"),
        ("accounts", ...),
        ("accounts.0.id", 111122223333),
        ("accounts.0.alias", ...),
        ("accounts.0.status", "ok"),
        ("accounts.0.error", ...),
        ("accounts.0.root_user.has_mfa", None),
        ("accounts.0.users", ...),
        ("accounts.0.users.1.name", ...),
        ("accounts.0.users.1.verdict", None),
        ("accounts.0.users.1.outcome", "unknown"),
        ("accounts.0.users.1.via", "role"),
        ("accounts.0.users.1.console_password", "true"),
        ("accounts.0.users.1.active_access_keys", ...),
        ("accounts.0.users.1.error.code", ...),
        ("accounts.1.error.stage", "report"),
        ("accounts.1.error.remedy", ...),
    ],
)
def test_document_that_is_not_a_report_is_refused_by_the_published_schema(path: str, value: object) -> None:
    document = json.loads(FULL.model_dump_json())
    broken = deepcopy(document)
    node: Any = broken
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in way:
        node = node[part]
    if value is ...:
        del node[last]
    else:
        node[last] = value

    with pytest.raises(ValidationError):
        make_validator().validate(broken)
