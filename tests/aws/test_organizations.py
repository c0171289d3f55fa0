"""Listing the organization: pages, states, OUs, throttling."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.organizations import Directory, read_account
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, Malformed, NotFound
from orchestrator.domain.model import AccountState
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, json_error
from tests.fakes import CancelledWhen
from tests.organization import SampleOrganization

ROOT, PROD, TEAM = "r-exam", "ou-exam-production0", "ou-exam-teampay0"


def make_directory(owner_tag: str | None = None) -> Directory:
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    return Directory(make_clients(connections=4).organizations, retrier, owner_tag)


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
        ({"State": "SLEEPING"}, None),
        ({"State": "SLEEPING", "Status": "ACTIVE"}, None),
        ({"State": "active"}, None),
        ({"State": ""}, None),
        ({}, None),
    ],
)
def test_state_is_read_and_else_the_older_status(fields: dict[str, str], state: AccountState | None) -> None:
    assert read_account({"Id": "111122223333", "Name": "a", **fields}).state is state


@pytest.mark.parametrize("odd", [{}, {"Name": "a", "State": "ACTIVE"}, {"Id": None, "State": "ACTIVE"}])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_entry_that_is_no_account_is_an_error_after_all_others_are_listed(
    aws: AwsServer, odd: dict[str, Any], place: int
) -> None:
    entries = [entry(number) for number in (1, 2, 3)]
    entries.insert(place, odd)
    aws.faults.append(serve_pages({None: page(entries[:2], "b"), "b": page(entries[2:])}))
    listed: list[str] = []

    with pytest.raises(Malformed):
        listed.extend(account.id[-1] for account in make_directory().list_accounts())
    assert listed == ["1", "2", "3"]


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


@pytest.mark.parametrize(
    ("paths", "org_path"),
    [
        (["o-example/r-ab12/ou-ab12-11111111/000000000001/"], "o-example/r-ab12/ou-ab12-11111111/"),
        (["o-example/r-ab12/000000000001"], "o-example/r-ab12/"),
        (["r-ab12/000000000001/"], None),
        ([], None),
    ],
)
def test_path_of_the_account_is_read_as_policies_have_it(paths: list[str], org_path: str | None) -> None:
    assert read_account(entry(1, Paths=paths)).org_path == org_path
    assert read_account(entry(1)).org_path is None


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


def grow(aws: AwsServer) -> dict[str, str]:
    """Make a small organization, and return the paths that its accounts stand under.

    Root                        management
    +-- production              billing
    |   +-- team / <b>          payments
    +-- empty
    """
    organization = SampleOrganization(aws)
    production = organization.add_ou("production")
    team = organization.add_ou("team / <b>", production)
    organization.add_ou("empty")
    expected = {
        MANAGEMENT: "Root",
        organization.add_account("billing", ou_id=production): "Root/production",
        organization.add_account("payments", ou_id=team): "Root/production/team / <b>",
    }
    aws.forget_calls()
    return expected


def paths(directory: Directory, account_ids: Iterable[str]) -> dict[str, str | None]:
    return {account_id: directory.placement(account_id).ou for account_id in account_ids}


def test_walk_over_the_tree_tells_where_every_account_stands(aws: AwsServer) -> None:
    expected = grow(aws)
    directory = make_directory()

    directory.find_ou_paths((), Cancellation())

    assert paths(directory, expected) == expected
    assert Counter(aws.actions()) == {
        "ListRoots": 1,
        "ListOrganizationalUnitsForParent": 4,
        "ListAccountsForParent": 4,
    }


def test_walk_asks_for_no_accounts_where_their_paths_tell(aws: AwsServer) -> None:
    grow(aws)
    organizations = aws.client("organizations")
    root_id = organizations.list_roots()["Roots"][0]["Id"]
    units = organizations.list_organizational_units_for_parent(ParentId=root_id)["OrganizationalUnits"]
    production = next(unit["Id"] for unit in units if unit["Name"] == "production")
    listed = [
        entry(1, Paths=[f"o-example/{root_id}/{production}/000000000001/"]),
        entry(2, Paths=[f"o-example/{root_id}/000000000002/"]),
    ]
    aws.faults.append(serve_pages({None: page(listed)}))
    directory = make_directory()
    list(directory.list_accounts())
    aws.forget_calls()

    directory.find_ou_paths((), Cancellation())

    assert paths(directory, ["000000000001", "000000000002"]) == {
        "000000000001": "Root/production",
        "000000000002": "Root",
    }
    assert "ListAccountsForParent" not in aws.actions()


def test_few_accounts_are_climbed_up_from_each_ou_once(aws: AwsServer) -> None:
    expected = grow(aws)
    directory = make_directory()

    directory.find_ou_paths(list(expected), Cancellation())

    assert paths(directory, expected) == expected
    assert Counter(aws.actions()) == {"ListParents": 5, "DescribeOrganizationalUnit": 2}


def test_account_under_an_ou_that_is_not_known_has_no_path(aws: AwsServer) -> None:
    expected = grow(aws)
    directory = make_directory()

    assert paths(directory, expected) == dict.fromkeys(expected)


def test_survey_that_is_over_asks_nothing_more(aws: AwsServer) -> None:
    expected = grow(aws)
    directory = make_directory()

    directory.find_ou_paths((), CancelledWhen(lambda: bool(aws.calls)))

    assert aws.actions() == ["ListRoots"]
    assert set(paths(directory, expected).values()) == {None}


def test_what_was_read_before_the_survey_failed_stays_known(aws: AwsServer) -> None:
    expected = grow(aws)
    directory = make_directory()
    aws.faults.append(
        lambda call: (
            json_error("AccessDeniedException", "no")
            if call.action == "ListAccountsForParent" and call.parameters["ParentId"].startswith("ou-")
            else None
        )
    )

    with pytest.raises(AccessDenied):
        directory.find_ou_paths((), Cancellation())

    assert directory.placement(MANAGEMENT).ou == "Root"
    assert {directory.placement(account_id).ou for account_id in expected if account_id != MANAGEMENT} == {None}


def test_tree_that_goes_in_a_circle_ends(aws: AwsServer) -> None:
    """An OU moved while the tree is read can be seen below itself."""
    circle = [f"o-example/{ROOT}/{PROD}/{TEAM}/000000000001/", f"o-example/{ROOT}/{TEAM}/{PROD}/000000000002/"]
    aws.faults.append(serve_pages({None: page([entry(1, Paths=circle[:1]), entry(2, Paths=circle[1:])])}))
    aws.faults.append(serve_tree({ROOT: [PROD, TEAM], PROD: [TEAM], TEAM: [PROD]}))
    directory = make_directory()
    list(directory.list_accounts())

    directory.find_ou_paths((), Cancellation())

    assert directory.placement("000000000001").ou is None


def serve_tree(below: dict[str, list[str]]) -> Callable[[Call], Answer | None]:
    def fault(call: Call) -> Answer | None:
        body: dict[str, Any]
        match call.action:
            case "ListRoots":
                body = {"Roots": [{"Id": next(iter(below)), "Name": "Root"}]}
            case "ListOrganizationalUnitsForParent":
                found = [{"Id": unit, "Name": unit} for unit in below[call.parameters["ParentId"]]]
                body = {"OrganizationalUnits": found}
            case _:
                return None
        return Answer(200, json.dumps(body), "application/x-amz-json-1.1")

    return fault


def own(aws: AwsServer, **owners: str) -> list[str]:
    """Make an account for each owner, named by the tag team, and return their IDs."""
    organization, account_ids = SampleOrganization(aws), []
    for name, owner in owners.items():
        account_ids.append(organization.add_account(name))
        tags = [{"Key": "Team", "Value": "not this one"}, {"Key": "team", "Value": owner}]
        organization.organizations.tag_resource(ResourceId=account_ids[-1], Tags=tags)
    aws.forget_calls()
    return account_ids


def test_owner_is_the_value_of_the_tag_and_nothing_where_it_is_empty_or_missing(aws: AwsServer) -> None:
    account_ids = own(aws, payments="Team Straße <b>", billing="")
    directory = make_directory("team")

    directory.find_owners([MANAGEMENT, *account_ids], Cancellation())

    owners = [directory.placement(account_id).owner for account_id in (MANAGEMENT, *account_ids)]
    assert owners == [None, "Team Straße <b>", None]
    assert aws.actions() == ["ListTagsForResource"] * 3


def test_owners_cost_no_call_where_no_tag_is_configured(aws: AwsServer) -> None:
    account_ids = own(aws, payments="a")
    directory = make_directory()

    directory.find_owners(account_ids, Cancellation())

    assert directory.placement(account_ids[0]).owner is None
    assert aws.actions() == []


def test_account_that_has_left_hides_no_owner_of_the_others(aws: AwsServer) -> None:
    account_ids = own(aws, payments="a", billing="b")
    gone = json_error("TargetNotFoundException", "gone")
    aws.faults.append(lambda call: gone if call.parameters.get("ResourceId") == account_ids[0] else None)
    directory = make_directory("team")

    directory.find_owners(account_ids, Cancellation())

    assert [directory.placement(account_id).owner for account_id in account_ids] == [None, "b"]


def test_owners_read_before_the_lookup_failed_or_was_over_stay_known(aws: AwsServer) -> None:
    account_ids = own(aws, payments="a", billing="b")
    directory = make_directory("team")
    directory.find_owners(account_ids, CancelledWhen(lambda: bool(aws.calls)))
    denied = json_error("AccessDeniedException", "no")
    aws.faults.append(lambda call: denied if call.action == "ListTagsForResource" else None)

    with pytest.raises(AccessDenied):
        directory.find_owners(account_ids, Cancellation())

    assert [directory.placement(account_id).owner for account_id in account_ids] == ["a", None]
