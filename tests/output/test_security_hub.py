from datetime import datetime
from typing import Any

import pytest

from orchestrator.domain.model import Mode, Outcome, Product, Status, Verdict
from orchestrator.output.security_hub import Finding, render_findings
from orchestrator.reports.history import History, PastAccount, PastUser, StoredRun
from orchestrator.reports.report import FirstSight, RunReport
from tests.builders import (
    ACCOUNT_ID,
    NOW,
    ORGANIZATION,
    days_ago,
    make_run_report,
    make_seen,
    make_seen_account,
    user_id_of,
)

OTHER = "444455556666"
PRODUCT = Product("999988887777", "eu-central-1", "aws")


def make_history(*names: str, account_id: str = ACCOUNT_ID, since: datetime | None = None) -> History:
    """Return a history in which these users had no MFA."""
    sights = (FirstSight(id=user_id_of(name), name=name, since=since or days_ago(9)) for name in names)
    return History(sights={account_id: {sight.id or "": sight for sight in sights}})


def findings(report: RunReport, history: History | None = None, product: Product = PRODUCT) -> dict[str, Finding]:
    """Return the findings of a run by the last part of their ID."""
    made = render_findings(report, history or History(), product)
    by_name = {finding["Id"].rpartition("/")[2]: finding for finding in made}
    assert len(by_name) == len(made)
    return by_name


def states(report: RunReport, history: History | None = None) -> dict[str, tuple[str, str]]:
    return {
        name: (finding["RecordState"], finding["Compliance"]["Status"])
        for name, finding in findings(report, history).items()
    }


def test_user_without_mfa_is_a_finding_of_the_security_account_about_the_member_account() -> None:
    report = make_run_report(make_seen_account(make_seen(open_since=days_ago(3))))

    assert findings(report)["alice"] == {
        "SchemaVersion": "2018-10-08",
        "Id": f"orgmfa/{ORGANIZATION.id}/{ACCOUNT_ID}/alice",
        "ProductArn": "arn:aws:securityhub:eu-central-1:999988887777:product/999988887777/default",
        "GeneratorId": "orgmfa",
        "AwsAccountId": "999988887777",
        "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        "CreatedAt": "2026-02-27T12:00:00Z",
        "UpdatedAt": "2026-03-02T12:00:00Z",
        "Resources": [{"Type": "AwsIamUser", "Id": f"arn:aws:iam::{ACCOUNT_ID}:user/alice", "Partition": "aws"}],
        "Title": "IAM user alice has no MFA device",
        "Description": (
            f"The IAM user alice of account acme-payments ({ACCOUNT_ID}) has no MFA device. Console password: yes. "
            "Outcome of the run: planned."
        ),
        "Severity": {"Label": "MEDIUM"},
        "FindingProviderFields": {
            "Severity": {"Label": "MEDIUM"},
            "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        },
        "Compliance": {"Status": "FAILED"},
        "Workflow": {"Status": "NEW"},
        "RecordState": "ACTIVE",
        "Remediation": {
            "Recommendation": {
                "Text": (
                    "Have the user enrol an MFA device (IAM console, Security credentials), or remove a user whom "
                    "nobody needs. orgmfa apply attaches EnforceMFA."
                )
            }
        },
    }


def test_finding_begins_with_the_run_where_no_earlier_sighting_is_known() -> None:
    finding = findings(make_run_report(make_seen_account(make_seen()), started_at=days_ago(1)))["alice"]

    assert (finding["CreatedAt"], finding["UpdatedAt"]) == ("2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z")


@pytest.mark.parametrize(
    ("outcome", "has_password", "label"),
    [
        ("planned", True, "MEDIUM"),
        ("planned", None, "MEDIUM"),
        ("failed", True, "MEDIUM"),
        ("exempt", True, "MEDIUM"),
        ("exempt", False, "LOW"),
        ("out_of_scope", False, "LOW"),
        ("enforced", True, "INFORMATIONAL"),
        ("already_enforced", None, "INFORMATIONAL"),
        ("already_enforced", False, "INFORMATIONAL"),
    ],
)
def test_severity_follows_from_enforcement_and_password(outcome: str, label: str, *, has_password: bool | None) -> None:
    report = make_run_report(make_seen_account(make_seen(outcome=outcome, console_password=has_password)))

    assert findings(report)["alice"]["Severity"] == {"Label": label}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("planned", "orgmfa apply attaches"), ("enforced", "EnforceMFA is in force."), ("exempt", "nobody needs.")],
)
def test_remediation_tells_what_enforcement_has_to_do_with_it(outcome: str, words: str) -> None:
    finding = findings(make_run_report(make_seen_account(make_seen(outcome=outcome))))["alice"]

    assert words in finding["Remediation"]["Recommendation"]["Text"]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.NONE])
def test_user_without_mfa_is_a_finding_whatever_the_outcome(outcome: Outcome) -> None:
    report = make_run_report(make_seen_account(make_seen(outcome=outcome.value)))

    assert states(report) == {"alice": ("ACTIVE", "FAILED")}


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
def test_plan_and_apply_find_the_same(mode: Mode) -> None:
    report = make_run_report(make_seen_account(make_seen()), mode=mode)

    assert states(report) == {"alice": ("ACTIVE", "FAILED")}


def test_release_finds_nothing() -> None:
    report = make_run_report(make_seen_account(make_seen("bob")), mode=Mode.RELEASE)

    assert findings(report, make_history("alice", "bob")) == {}


def test_user_who_enrolled_is_archived_and_nobody_who_never_was_a_finding() -> None:
    report = make_run_report(make_seen_account(make_seen("alice", "none"), make_seen("bob", "none")))

    made = findings(report, make_history("alice"))

    assert states(report, make_history("alice")) == {"alice": ("ARCHIVED", "PASSED")}
    assert made["alice"]["Id"] == findings(make_run_report(make_seen_account(make_seen())))["alice"]["Id"]
    assert made["alice"]["CreatedAt"] == "2026-02-21T12:00:00Z"
    assert "Workflow" not in made["alice"]


def test_user_who_enrolled_before_a_narrowed_run_is_archived_by_the_next_whole_one_too() -> None:
    past = PastAccount(
        ACCOUNT_ID,
        "payments",
        None,
        Status.INSPECTED,
        (
            PastUser("alice", Verdict.NON_COMPLIANT, Outcome.PLANNED, None),
            PastUser("carol", Verdict.UNKNOWN, Outcome.NONE, None),
        ),
    )
    history = History(base=StoredRun("run-0", days_ago(1), {ACCOUNT_ID: past}), sights={ACCOUNT_ID: {}})
    report = make_run_report(make_seen_account(make_seen("alice", "none"), make_seen("carol", "none")))

    assert states(report, history) == {"alice": ("ARCHIVED", "PASSED")}


def test_user_who_is_gone_is_archived() -> None:
    report = make_run_report(make_seen_account(make_seen("bob")))

    assert states(report, make_history("alice", "bob")) == {
        "alice": ("ARCHIVED", "PASSED"),
        "bob": ("ACTIVE", "FAILED"),
    }
    assert findings(report, make_history("alice"))["alice"]["Resources"][0]["Id"].endswith(f"{ACCOUNT_ID}:user/alice")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"alice": ("ARCHIVED", "PASSED")}),
        ({"complete": False}, {}),
        ({"narrowed": True}, {}),
    ],
)
def test_users_of_an_account_that_is_gone_are_archived_by_a_whole_run_alone(
    changes: dict[str, Any], expected: dict[str, tuple[str, str]]
) -> None:
    report = make_run_report(make_seen_account(account_id=OTHER), **changes)

    assert states(report, make_history("alice")) == expected


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_REACHED, Status.SKIPPED])
def test_account_that_was_not_read_leaves_its_findings_alone(status: Status) -> None:
    report = make_run_report(make_seen_account(status=status))

    assert findings(report, make_history("alice")) == {}


def test_user_whose_mfa_is_not_known_is_neither_found_nor_archived() -> None:
    report = make_run_report(make_seen_account(make_seen("alice", "none", verdict=Verdict.UNKNOWN)))

    assert findings(report, make_history("alice")) == {}


@pytest.mark.parametrize("partition", ["aws-us-gov", "aws-cn", "aws-eusc"])
def test_other_partitions_have_arns_of_their_own(partition: str) -> None:
    product = Product("999988887777", "cn-north-1", partition)

    made = findings(make_run_report(make_seen_account()), make_history("alice"), product)["alice"]

    assert made["ProductArn"].startswith(f"arn:{partition}:securityhub:cn-north-1:")
    assert made["Resources"] == [
        {"Type": "AwsIamUser", "Id": f"arn:{partition}:iam::{ACCOUNT_ID}:user/alice", "Partition": partition}
    ]


def test_longest_names_fit_into_the_format() -> None:
    """ASFF: Id 512 characters, Title 256, Description 1,024, remediation text 512."""
    user = make_seen("u" * 64, open_since=NOW)
    (finding,) = render_findings(
        make_run_report(make_seen_account(user, alias=None, name="n" * 50)), History(), PRODUCT
    )

    assert len(finding["Id"]) <= 512
    assert len(finding["Title"]) <= 256
    assert len(finding["Description"]) <= 1024
    assert len(finding["Remediation"]["Recommendation"]["Text"]) <= 512


def test_user_whose_first_sight_outlasts_the_enrolment_is_archived_once() -> None:
    sight = FirstSight(id=user_id_of("alice"), name="alice", since=days_ago(9), ended_at=days_ago(1))
    history = History(sights={ACCOUNT_ID: {user_id_of("alice"): sight}})

    assert states(make_run_report(make_seen_account(make_seen("alice", "none"))), history) == {}
