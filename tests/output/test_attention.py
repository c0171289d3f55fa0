from orchestrator.domain.model import Status
from orchestrator.output.attention import account_order, is_clean, user_order
from orchestrator.output.causes import group_causes
from orchestrator.reports.report import ReasonReport
from tests.builders import make_run_report, make_seen, make_seen_account

OUTDATED = ReasonReport(code="policy_outdated", message="an earlier text")


def test_who_may_be_locked_out_stands_before_all_others() -> None:
    failed = make_seen_account(account_id="000000000001", status=Status.FAILED, name="a")
    held = make_seen_account(make_seen("alice", "held", error=OUTDATED), account_id="000000000002", name="b")
    at_risk = make_seen_account(
        make_seen("alice", "failed", error=ReasonReport(code="Boom", message="boom")),
        make_seen("zoe", "none", error=OUTDATED),
        account_id="000000000003",
        name="c",
        policy="outdated",
    )
    accounts = sorted([failed, held, at_risk], key=account_order)

    assert [account.name for account in accounts] == ["c", "a", "b"]
    assert [user.name for user in sorted(at_risk.users, key=user_order)] == ["zoe", "alice"]
    first, *_ = group_causes(accounts)
    assert (first.label, first.code, first.users) == ("may be locked out", "policy_outdated", 1)


def test_account_with_an_earlier_text_is_told_once_and_is_not_clean_unless_the_run_mends_it() -> None:
    outdated = make_seen_account(make_seen("alice", "none"), policy="outdated")
    mended = outdated.model_copy(update={"policy_changes": ("update_policy",)})

    (cause,) = group_causes([outdated])
    assert (cause.label, len(cause.members)) == ("with an earlier text of EnforceMFA", 1)
    assert cause.remedy.endswith("Update the StackSet, with AccessKeys as policy.access_keys says.")
    assert not is_clean(outdated, make_run_report().mode)
    assert group_causes([mended]) == ()
