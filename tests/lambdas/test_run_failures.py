"""Events and settings that the Lambda refuses, and what fails its invocation, against a served AWS and a fake Slack."""

from pathlib import Path

import pytest

from orchestrator.domain.errors import ArchiveError, ConfigError, StartError
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.runtime import RunFailed
from tests.aws_server import Answer, Call, json_error
from tests.fake_slack import FakeSlack, Say
from tests.lambdas.function import RULE, SCHEDULE, Function, deny_second_page, today

# -- events that are no run


@pytest.mark.parametrize(
    "event",
    [
        {},
        None,
        [],
        {"mode": "apply"},
        {"accounts": []},
        {"accounts": [111122223333]},
        SCHEDULE | {"mode": "apply"},
        RULE | {"source": "com.example"},
        RULE | {"account": "111122223333"},
        {"Records": []},
    ],
)
def test_unknown_event_is_an_error_and_not_a_sweep(function: Function, event: object) -> None:
    function.configure(enforcement={"mode": "apply"})

    with pytest.raises(ConfigError):
        function.invoke(event)

    assert function.aws.calls == []
    assert function.reports() == []


def test_unusable_configuration_is_an_error(function: Function) -> None:
    function.configure(enforcement={"mode": "aply"})

    with pytest.raises(ConfigError, match=r"config\.yaml: enforcement\.mode"):
        function.invoke(today(SCHEDULE))


@pytest.mark.parametrize("mode", ["plan", "apply"])
@pytest.mark.parametrize("key", ["name", "release_name"])
def test_role_that_may_do_anything_is_an_error_of_the_configuration(function: Function, mode: str, key: str) -> None:
    for name in ("OrganizationAccountAccessRole", "AWSControlTowerExecution", "AWSCloudFormationStackSetExecutionRole"):
        function.configure(enforcement={"mode": mode}, member_role={key: name, "path": "/security/"})

        with pytest.raises(ConfigError, match=rf"member_role\.{key}: {name}"):
            function.invoke(today(SCHEDULE))

    assert function.aws.calls == []


def test_configuration_of_the_package_is_the_file_at_its_root() -> None:
    assert Path(__file__).parents[2] / "config.yaml" == invocation.PACKAGED_CONFIG


# -- what fails the invocation


def test_failed_account_alone_does_not_fail_the_invocation(function: Function) -> None:
    function.aws.missing_roles.add((function.search, "orgmfa-member"))

    result = function.invoke(today(SCHEDULE))

    assert (result["totals"]["failed"], result["totals"]["inspected"]) == (1, 2)
    assert result["complete"] is True


def test_failed_user_alone_does_not_fail_the_invocation(function: Function) -> None:
    def refuse(call: Call) -> Answer | None:
        is_write = call.action == "AttachUserPolicy"
        return (
            Answer(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>") if is_write else None
        )

    function.configure(enforcement={"mode": "apply"})
    function.aws.faults.append(refuse)

    result = function.invoke({"accounts": [function.payments], "mode": "apply"})

    assert result["totals"]["failed_users"] == 1


def test_listing_that_breaks_off_fails_the_invocation_after_the_report(function: Function, slack: FakeSlack) -> None:
    function.aws.faults.append(deny_second_page)

    with pytest.raises(RunFailed, match="select: no more for you"):
        function.invoke(today(SCHEDULE))

    (report,) = function.reports()
    assert report.complete is False
    assert report.totals.inspected == 1
    assert len(slack.messages) == 1


def test_listing_that_never_begins_fails_the_invocation(function: Function) -> None:
    function.aws.faults.append(
        lambda call: json_error("AccessDeniedException") if call.action == "ListAccounts" else None
    )

    with pytest.raises(StartError, match="cannot list the accounts"):
        function.invoke(today(SCHEDULE))

    assert function.reports() == []


def test_report_that_cannot_be_archived_fails_the_invocation_after_the_digest(
    function: Function, slack: FakeSlack
) -> None:
    (function.folder / "runs").mkdir()
    (function.folder / "runs" / "runs").write_text("a file where a folder should be", encoding="utf-8")

    with pytest.raises(RunFailed, match="archive: "):
        function.invoke(today(SCHEDULE))

    assert len(slack.messages) == 1


def test_archive_that_cannot_note_the_event_starts_no_run(function: Function) -> None:
    (function.folder / "runs").write_text("a file where a folder should be", encoding="utf-8")

    with pytest.raises(ArchiveError):
        function.invoke(today(SCHEDULE))

    assert function.aws.calls == []


def test_digest_that_is_refused_fails_the_invocation_after_the_report(function: Function, slack: FakeSlack) -> None:
    slack.next(Say("no_service", status=404))

    with pytest.raises(RunFailed, match="digest: ") as caught:
        function.invoke(today(SCHEDULE))

    assert len(function.reports()) == 1
    assert slack.messages == []
    assert not any(secret in str(caught.value) for secret in slack.secret_texts)


def test_findings_that_cannot_be_imported_fail_the_invocation_after_report_and_digest(
    function: Function, slack: FakeSlack
) -> None:
    function.configure(securityhub={"enabled": True})
    function.aws.faults.append(
        lambda call: json_error("InvalidAccessException", "not subscribed") if call.service == "securityhub" else None
    )

    with pytest.raises(RunFailed, match="findings: Security Hub CSPM: not subscribed"):
        function.invoke(today(SCHEDULE))

    assert len(function.reports()) == 1
    assert len(slack.messages) == 1


def test_event_that_cannot_be_put_fails_the_invocation_after_report_and_digest(
    function: Function, slack: FakeSlack
) -> None:
    function.configure(events={"bus": "gone"})

    with pytest.raises(RunFailed, match="event: EventBridge: "):
        function.invoke(today(SCHEDULE))

    assert len(function.reports()) == 1
    assert len(slack.messages) == 1


def test_function_near_its_end_starts_nothing_and_fails(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"})

    with pytest.raises(RunFailed, match="still being listed"):
        function.invoke(today(SCHEDULE), remaining_seconds=30)

    assert "AssumeRole" not in function.aws.actions()
    assert all(report.totals.inspected == 0 for report in function.reports())
