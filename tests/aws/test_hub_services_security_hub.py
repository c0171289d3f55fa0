import json
from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.hub_services import FindingImporter
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, AwsError, Malformed, NotSubscribed, Throttled, Unavailable
from orchestrator.domain.model import Imported, Product, Refused
from orchestrator.output.security_hub import render_findings
from orchestrator.reports.history import History
from orchestrator.reports.report import FirstSight
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, error_for
from tests.builders import ACCOUNT_ID, days_ago, make_run_report, make_seen, make_seen_account
from tests.fakes import CancelledWhen

PRODUCT = Product(MANAGEMENT, "us-east-1", "aws")


@pytest.fixture(autouse=True)
def one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # where the clients of the tests are


def make(*names: str, outcome: str = "planned", history: History | None = None) -> Sequence[Any]:
    users = (make_seen(name, outcome) for name in names)
    return render_findings(make_run_report(make_seen_account(*users)), history or History(), PRODUCT)


def import_all(findings: Sequence[Any], cancellation: Cancellation | None = None) -> Imported:
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    importer = FindingImporter(make_clients(connections=1).securityhub, retrier, PRODUCT)
    return importer.import_findings(findings, cancellation or Cancellation())


def found(aws: AwsServer) -> dict[str, str]:
    """Return the state of each finding that Security Hub has, by the name of the user."""
    pages = aws.client("securityhub").get_paginator("get_findings").paginate()
    listed = [finding for page in pages for finding in page["Findings"]]
    states = {finding["Id"].rpartition("/")[2]: finding["RecordState"] for finding in listed}
    assert len(states) == len(listed)
    return states


def answer(**body: Any) -> Answer:
    return Answer(200, json.dumps(body), "application/json")


def test_finding_stands_in_the_account_of_the_caller(aws: AwsServer) -> None:
    imported = import_all(make("alice"))

    assert imported == Imported(1, ())
    (finding,) = aws.client("securityhub").get_findings()["Findings"]
    assert finding["AwsAccountId"] == MANAGEMENT
    assert [resource["Id"] for resource in finding["Resources"]] == [f"arn:aws:iam::{ACCOUNT_ID}:user/alice"]


def test_finding_that_is_imported_again_is_one(aws: AwsServer) -> None:
    import_all(make("alice"))
    import_all(make("alice"))

    assert found(aws) == {"alice": "ACTIVE"}


def test_finding_is_archived_on_enrolment(aws: AwsServer) -> None:
    import_all(make("alice", "bob"))
    sight = FirstSight(name="alice", since=days_ago(1))
    import_all(make("alice", outcome="none", history=History(sights={ACCOUNT_ID: {":alice": sight}})))

    assert found(aws) == {"alice": "ARCHIVED", "bob": "ACTIVE"}


@pytest.mark.parametrize(("count", "calls"), [(0, 0), (1, 1), (100, 1), (101, 2), (250, 3)])
def test_a_call_has_a_hundred_findings(aws: AwsServer, count: int, calls: int) -> None:
    imported = import_all(make(*(f"user{number}" for number in range(count))))

    assert imported == Imported(count, ())
    assert len(aws.calls) == calls
    assert len(found(aws)) == count


def test_no_further_batch_is_sent_once_the_run_is_over(aws: AwsServer) -> None:
    findings = make(*(f"user{number}" for number in range(250)))

    def calls() -> int:
        """Count those to Security Hub: a thread that another test left behind may still make others."""
        return sum(call.service == "securityhub" for call in aws.calls)

    imported = import_all(findings, CancelledWhen(lambda: calls() > 0))

    assert imported == Imported(100, ())
    assert calls() == 1


def test_refused_findings_are_told_and_the_others_imported(aws: AwsServer) -> None:
    refusal = {"Id": "orgmfa/x", "ErrorCode": "InvalidInput", "ErrorMessage": "no"}
    answers = [answer(FailedCount=1, SuccessCount=99, FailedFindings=[refusal])]
    aws.faults.append(lambda _: answers.pop() if answers else None)

    imported = import_all(make(*(f"user{number}" for number in range(101))))

    assert imported == Imported(101, (Refused("orgmfa/x", "InvalidInput", "no"),))
    assert len(found(aws)) == 1


def test_refused_findings_that_are_counted_alone_are_told(aws: AwsServer) -> None:
    aws.faults.append(lambda _: answer(FailedCount=2, SuccessCount=0, FailedFindings=[]))

    assert len(import_all(make("alice", "bob")).refused) == 2


def test_answer_without_a_count_is_malformed(aws: AwsServer) -> None:
    aws.faults.append(lambda _: answer(SuccessCount=1))

    with pytest.raises(Malformed, match="FailedFindings"):
        import_all(make("alice"))


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("InvalidAccessException", 401, NotSubscribed),
        ("AccessDeniedException", 403, AccessDenied),
        ("TooManyRequestsException", 429, Throttled),
        ("InternalException", 500, Unavailable),
        ("InvalidInputException", 400, AwsError),
    ],
)
def test_import_that_fails_is_an_error(aws: AwsServer, code: str, status: int, kind: type[AwsError]) -> None:
    aws.faults.append(lambda call: error_for(call, code, status=status))

    with pytest.raises(kind) as caught:
        import_all(make("alice"))

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.operation) == (code, "BatchImportFindings")


def test_throttled_import_is_tried_again(aws: AwsServer) -> None:
    refusals = 2

    def throttle(call: Call) -> Answer | None:
        return error_for(call, "TooManyRequestsException", status=429) if len(aws.calls) <= refusals else None

    aws.faults.append(throttle)

    assert import_all(make("alice")) == Imported(1, ())
    assert len(aws.calls) == refusals + 1
