"""Listing the organization: pages, states, OUs, throttling."""

import json
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.organizations import Directory, read_account
from orchestrator.aws.retrying import Retrier
from orchestrator.errors import Malformed, NotFound
from orchestrator.model import AccountState
from tests.aws_server import Answer, AwsServer, Call, json_error
from tests.organization import SampleOrganization

ROOT, PROD, TEAM = "r-exam", "ou-exam-production0", "ou-exam-teampay0"


def make_directory() -> Directory:
    return Directory(make_clients(connections=4).organizations, Retrier(Event(), sleep=lambda _: None))


def page(accounts: list[dict[str, Any]], token: str | None = None) -> Answer:
    body: dict[str, Any] = {"Accounts": accounts} | ({"NextToken": token} if token else {})
    return Answer(200, json.dumps(body), "application/x-amz-json-1.1")


def entry(number: int, **changes: Any) -> dict[str, Any]:
    return {"Id": f"{number:012}", "Name": f"account-{number}", "State": "ACTIVE", **changes}


def serve_pages(pages: dict[str | None, Answer]) -> Callable[[Call], Answer | None]:
    def fault(call: Call) -> Answer | None:
        return pages[call.parameters.get("NextToken")] if call.action == "ListAccounts" else None

    return fault


def test_every_page_is_read_also_after_an_empty_one(aws: AwsServer) -> None:
    aws.faults.append(serve_pages({None: page([entry(1)], "b"), "b": page([], "c"), "c": page([entry(2), entry(3)])}))

    assert [account.id[-1] for account in make_directory().list_accounts()] == ["1", "2", "3"]


def test_first_page_is_given_before_the_second_is_asked_for(aws: AwsServer) -> None:
    aws.faults.append(serve_pages({None: page([entry(1)], "b"), "b": page([entry(2)])}))

    next(make_directory().list_accounts())

    assert aws.actions() == ["ListAccounts"]


def test_thousand_accounts_are_listed_through_heavy_throttling(aws: AwsServer) -> None:
    """Of each page's calls the first seven are throttled, as Organizations does to large organizations."""
    tries: dict[str | None, int] = {}

    def throttle(call: Call) -> Answer | None:
        token = call.parameters.get("NextToken")
        tries[token] = tries.get(token, 0) + 1
        return (
            json_error("TooManyRequestsException", "AWS Organizations can't complete your request")
            if tries[token] <= 7
            else None
        )

    def serve(call: Call) -> Answer | None:
        start = int(call.parameters.get("NextToken") or 0)
        return page([entry(start + number) for number in range(20)], str(start + 20) if start < 980 else None)

    aws.faults += [throttle, serve]

    accounts = list(make_directory().list_accounts())

    assert len({account.id for account in accounts}) == 1000
    assert len(aws.calls) == 50 * 8


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"State": "ACTIVE"}, AccountState.ACTIVE),
        ({"State": "SUSPENDED", "Status": "ACTIVE"}, AccountState.SUSPENDED),
        ({"Status": "PENDING_CLOSURE"}, AccountState.PENDING_CLOSURE),
        ({"State": "CLOSED"}, AccountState.CLOSED),
        ({"State": "PENDING_ACTIVATION"}, AccountState.PENDING_ACTIVATION),
    ],
)
def test_state_is_read_and_else_the_older_status(fields: dict[str, str], state: AccountState) -> None:
    assert read_account({"Id": "111122223333", "Name": "a", **fields}).state is state


@pytest.mark.parametrize(
    "fields", [{"Name": "a", "State": "ACTIVE"}, {"Id": "1", "Name": "a"}, {"Id": "1", "State": "SLEEPING"}]
)
def test_account_without_id_or_known_state_is_an_error(fields: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        read_account(fields)


def test_account_without_a_name_goes_by_its_id() -> None:
    assert read_account({"Id": "111122223333", "State": "ACTIVE"}).name == "111122223333"


def test_half_a_surrogate_pair_in_a_name_becomes_a_question_mark() -> None:
    assert read_account({"Id": "111122223333", "State": "ACTIVE", "Name": "a\ud800b"}).name == "a?b"


def test_unknown_fields_are_passed_over() -> None:
    assert read_account({"Id": "111122223333", "State": "ACTIVE", "Shape": "round"}).id == "111122223333"


def test_ous_are_read_from_paths_where_they_are_filled(aws: AwsServer) -> None:
    paths = [f"o-example/{ROOT}/{PROD}/{TEAM}/000000000001/"]
    aws.faults.append(
        serve_pages({None: page([entry(1, Paths=paths), entry(2, Paths=[f"o-example/{ROOT}/000000000002/"])])})
    )

    first, second = make_directory().list_accounts([PROD])

    assert first.ou_ids == frozenset({ROOT, PROD, TEAM})
    assert second.ou_ids == frozenset({ROOT})
    assert aws.actions() == ["ListAccounts"]


def test_ous_are_walked_down_once_where_paths_are_missing(aws: AwsServer) -> None:
    organization = SampleOrganization(aws)
    production = organization.add_ou("production")
    team = organization.add_ou("team", production)
    sandbox = organization.add_ou("sandbox")
    nested = organization.add_account("payments", ou_id=team)
    direct = organization.add_account("billing", ou_id=production)
    other = organization.add_account("playground", ou_id=sandbox)
    aws.forget_calls()

    found: dict[str, Any] = {
        account.id: account.ou_ids for account in make_directory().list_accounts([production, sandbox])
    }

    assert found[nested] == found[direct] == {production}
    assert found[other] == {sandbox}
    assert found["123456789012"] == set()
    assert aws.actions().count("ListAccountsForParent") == 3


def test_no_ou_is_looked_up_where_none_matters(aws: AwsServer) -> None:
    SampleOrganization(aws).add_account("payments")
    aws.forget_calls()

    accounts = list(make_directory().list_accounts())

    assert {account.ou_ids for account in accounts} == {None}
    assert aws.actions() == ["ListAccounts"]


def test_one_account_is_described_without_listing(aws: AwsServer) -> None:
    account_id = SampleOrganization(aws).add_account("payments")
    aws.forget_calls()

    assert make_directory().get_account(account_id).name == "payments"
    assert aws.actions() == ["DescribeAccount"]


def test_account_that_is_not_in_the_organization_is_not_found(aws: AwsServer) -> None:
    SampleOrganization(aws)

    with pytest.raises(NotFound):
        make_directory().get_account("000000000000")


def test_organization_tells_its_id_and_management_account(aws: AwsServer) -> None:
    sample = SampleOrganization(aws)

    organization = make_directory().describe_organization("aws")

    assert (organization.id, organization.management_account_id) == (sample.id, "123456789012")
