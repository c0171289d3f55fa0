"""Answers of AWS whose values are none of the kind that the model says: numbers, dates, binary data."""

import json

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import Garbled
from tests.aws.member import entered
from tests.aws_server import Answer, AwsServer

VALUES = {
    "GetAccountSummary": "<SummaryMap><entry><key>Users</key><value>many</value></entry></SummaryMap>",
    "GetAccountSummary without a key": "<SummaryMap><entry><value>1</value></entry></SummaryMap>",
    "ListVirtualMFADevices": "<VirtualMFADevices><member><SerialNumber>x</SerialNumber><EnableDate>soon</EnableDate>"
    "</member></VirtualMFADevices>",
    "GetCredentialReport": "<Content>a</Content>",
}


@pytest.mark.parametrize("what", VALUES)
def test_value_that_iam_cannot_mean_fails_the_account_as_an_unreadable_answer(
    aws: AwsServer, account_id: str, what: str
) -> None:
    action = what.partition(" ")[0]
    body = f"<{action}Response><{action}Result>{VALUES[what]}</{action}Result></{action}Response>"
    aws.faults.append(lambda call: Answer(200, body) if call.action == action else None)

    with entered(account_id) as member, pytest.raises(Garbled) as caught:
        member.iam.inspect(account_id)

    assert caught.value.code == "UnreadableAnswer"


@pytest.mark.parametrize("moment", ["soon", "", [], {"a": 1}])
def test_date_that_organizations_cannot_mean_is_an_unreadable_answer(aws: AwsServer, moment: object) -> None:
    body = json.dumps({"Accounts": [{"Id": "111122223333", "JoinedTimestamp": moment}]})
    aws.faults.append(lambda _: Answer(200, body, "application/x-amz-json-1.1"))

    with pytest.raises(Garbled):
        Retrier(Cancellation(), sleep=lambda _: None).call(make_clients(connections=1).organizations.list_accounts)
