from typing import Any

import pytest

from orchestrator.domain.model import Outcome, Stage, Status, Verdict
from orchestrator.output.attention import account_order, user_order
from orchestrator.output.causes import Cause, Subject, group_causes, share_text
from orchestrator.reports.report import AccountReport, ProblemReport, ReasonReport, RootUserReport, UserReport
from tests.builders import make_seen, make_seen_account

DENIED = (
    "User: arn:aws:sts::999988887777:assumed-role/orgmfa-operator/s is not authorized to perform: sts:AssumeRole on "
    "resource: arn:aws:iam::{}:role/orgmfa-member"
)


def make_failed(number: int, status: Status = Status.FAILED, **problem: Any) -> AccountReport:
    values = {"stage": Stage.ASSUME_ROLE, "code": "AccessDenied", "message": "no", "remedy": "Deploy the StackSet."}
    error = ProblemReport.model_validate(values | problem)
    return make_seen_account(account_id=f"{number:012}", alias=f"acme-{number}", status=status, error=error)


def make_held(name: str, code: str = "active_key", message: str = "a key was used") -> UserReport:
    return make_seen(name, Outcome.HELD, error=ReasonReport(code=code, message=message))


def titles(causes: tuple[Cause, ...]) -> list[tuple[str, str, int]]:
    return [(cause.label, cause.code, cause.users or len(cause.members)) for cause in causes]


def test_accounts_whose_errors_differ_in_ids_and_arns_alone_are_one_cause() -> None:
    accounts = [make_failed(n, message=DENIED.format(f"{n:012}"), remedy=f"Run --account {n:012}.") for n in range(40)]

    [cause] = group_causes(accounts)

    assert [member.account.alias for member in cause.members] == [f"acme-{n}" for n in range(40)]
    assert cause.text.endswith(
        "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::ID:role/orgmfa-member"
    )
    assert cause.remedy == "Run --account ID."
    assert not cause.is_example


@pytest.mark.parametrize(
    ("texts", "shared"),
    [
        ([], ("", False)),
        (["role 111122223333 refuses"], ("role 111122223333 refuses", False)),
        (["111122223333 is full", "444455556666 is full"], ("ID is full", False)),
        (
            ["arn:aws:iam::111122223333:user/a may not", "arn:aws-cn:iam::111122223333:user/b may not"],
            ("ARN may not", False),
        ),
        (["111122223333 is full", "it is empty"], ("ID is full", True)),
        (["1111222233334 is long", "1111222233335 is long"], ("1111222233334 is long", True)),
    ],
)
def test_text_is_shared_as_far_as_it_is_the_same(texts: list[str], shared: tuple[str, bool]) -> None:
    assert share_text(texts) == shared


def test_causes_stand_worst_first_and_the_larger_first_among_equals() -> None:
    users = [make_held("a", "stopped"), make_held("b", "stopped"), make_held("c", "active_key")]
    users += [make_seen("d", "failed"), make_seen("e", "quota_exceeded"), make_seen("f", verdict=Verdict.UNKNOWN)]
    open_root = RootUserReport(has_credentials=True, has_mfa=False)
    accounts = [
        make_seen_account(*users, root_user=open_root),
        make_failed(1, Status.NOT_REACHED),
        make_failed(2),
        make_failed(3, code="Throttling", remedy="Wait."),
        make_failed(4),
    ]

    causes = group_causes(accounts)

    assert titles(causes) == [
        ("failed", "AccessDenied", 2),
        ("failed", "Throttling", 1),
        ("not reached", "AccessDenied", 1),
        ("failed", "", 1),
        ("MFA unknown", "", 1),
        ("over quota", "", 1),
        ("held", "stopped", 2),
        ("held", "active_key", 1),
        ("without MFA", "", 1),
    ]
    assert [cause.subject for cause in causes] == [Subject.ACCOUNT] * 3 + [Subject.USER] * 5 + [Subject.ROOT_USER]


def test_cause_of_users_names_its_users_by_account_the_account_with_most_of_them_first() -> None:
    accounts = [
        make_seen_account(make_held("a"), make_seen("x", "none"), account_id="1", ou="Root/Dev"),
        make_seen_account(make_held("b", message="another"), make_held("c"), account_id="2"),
    ]

    [cause] = group_causes(accounts)

    assert [
        (member.account.id, member.account.ou, [user.name for user in member.users]) for member in cause.members
    ] == [
        ("2", None, ["b", "c"]),
        ("1", "Root/Dev", ["a"]),
    ]
    assert cause.is_example
    assert "move its caller to a role" in cause.remedy


def test_where_nothing_is_to_fix_there_is_no_cause() -> None:
    assert group_causes([make_seen_account(make_seen("a", "none"), make_seen("b", "enforced"))]) == ()


def test_who_was_given_a_policy_that_somebody_changed_stands_first_of_all() -> None:
    reason = ReasonReport(code="policy_drifted", message="the policy was changed")
    drifted = make_seen("zoe", "failed", error=reason)
    mild = make_seen_account(make_seen("a", "failed"), make_held("c", "policy_drifted"), account_id="000000000001")
    worst = make_seen_account(make_seen("b", verdict=Verdict.UNKNOWN), drifted, account_id="000000000002")
    accounts = sorted([make_failed(3), mild, worst], key=account_order)

    first, second, *_ = group_causes(accounts)

    assert accounts[0] is worst
    assert min(worst.users, key=user_order) is drifted
    assert (first.label, first.code, first.users) == ("failed", "policy_drifted", 1)
    assert "granted" in first.remedy
    assert second.subject is Subject.ACCOUNT
