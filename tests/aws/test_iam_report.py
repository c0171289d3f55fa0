"""What the credential report is believed, by its age, its columns and its cells, and the wait for it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from moto.iam.models import iam_backends

from orchestrator.aws.credential_report import read_start
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import Malformed
from tests.aws.iam_answers import HEADER, QUOTAS, identity, rewrite_report, summary
from tests.aws.member import entered
from tests.aws_server import Answer, AwsServer, Call, xml_error
from tests.organization import SampleOrganization


def told_of_alice(account_id: str) -> tuple[object, ...]:
    """Return what is known of the one user of an account: MFA, console password, active access keys."""
    with entered(account_id) as member:
        (alice,) = member.iam.inspect(account_id).users
    return alice.has_mfa, alice.has_console_password, alice.active_access_keys


def test_virtual_device_seen_live_outweighs_an_older_report(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice", mfa="virtual")
    rewrite_report(aws, f"{HEADER}\nalice,true,false,false,N/A,false,N/A\n")

    with entered(account_id) as member:
        facts = member.iam.inspect(account_id)

    assert facts.users[0].has_mfa is True
    assert not facts.is_report_ours


def state_report(aws: AwsServer, state: str) -> None:
    """Have AWS answer that a credential report is made, is being made, or is there."""
    result = f"<GenerateCredentialReportResult><State>{state}</State></GenerateCredentialReportResult>"
    answer = Answer(200, f"<GenerateCredentialReportResponse>{result}</GenerateCredentialReportResponse>")
    aws.faults.append(lambda call: answer if call.action == "GenerateCredentialReport" else None)


def set_clock_of_aws(client: Any, now: datetime) -> None:
    """Have AWS answer at this time by its own clock."""
    event = "after-call.iam.GenerateCredentialReport"
    date = format_datetime(now, usegmt=True)
    client.meta.events.register(event, lambda parsed, **_: parsed["ResponseMetadata"]["HTTPHeaders"].update(date=date))


TIMED_ROWS = f"""{HEADER}
alice,true,true,false,N/A,false,N/A
bob,false,false,false,N/A,false,N/A
carol,true,false,true,2026-01-02T03:04:05+00:00,false,N/A
<root_account>,false,false,false,N/A,false,N/A,N/A,N/A
"""
"""Alice has MFA that no list of virtual devices shows, bob no password, carol a password and no MFA."""
LONG_AGO = datetime(2019, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "made_after", "is_ours"),
    [
        ("STARTED", timedelta(0), True),
        ("STARTED", timedelta(hours=1), True),
        ("STARTED", timedelta(seconds=-90), False),
        ("STARTED", timedelta(hours=-3), False),
        ("INPROGRESS", timedelta(0), False),
        ("INPROGRESS", timedelta(hours=1), False),
        ("COMPLETE", timedelta(0), False),
        ("COMPLETE", timedelta(hours=1), False),
        ("COMPLETE", timedelta(hours=-3), False),
        ("", timedelta(hours=1), False),
    ],
)
def test_what_lets_a_user_go_unseen_counts_only_in_a_report_of_our_own(
    aws: AwsServer,
    organization: SampleOrganization,
    account_id: str,
    state: str,
    made_after: timedelta,
    *,
    is_ours: bool,
) -> None:
    """AWS's clock is years behind this machine's here; it alone counts."""
    for name in ("alice", "bob", "carol"):
        organization.add_user(account_id, name)
    summary(aws, AccountMFAEnabled=0, AccountAccessKeysPresent=0, **QUOTAS)
    state_report(aws, state)
    rewrite_report(aws, TIMED_ROWS, LONG_AGO + made_after)

    with entered(account_id) as member:
        set_clock_of_aws(member.client, LONG_AGO)
        facts = member.iam.inspect(account_id)

    found = {user.name: (user.has_mfa, user.has_console_password, user.active_access_keys) for user in facts.users}
    assert facts.is_report_ours is is_ours
    assert found == {
        "alice": (True if is_ours else None, True, 0),
        "bob": (False, False if is_ours else None, 0),
        "carol": (False, True, 1),
    }
    assert facts.root_user is not None
    assert facts.root_user.has_credentials is not is_ours


def test_virtual_device_in_the_live_list_counts_whoever_had_the_report_made(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice", mfa="virtual")
    state_report(aws, "COMPLETE")

    with entered(account_id) as member:
        (alice,) = member.iam.inspect(account_id).users

    assert alice.has_mfa is True


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 04 May 2019 03:02:01 -0000", "2019-05-04T03:02:01Z"])
def test_report_is_not_ours_where_aws_does_not_say_when_it_answered(date: str) -> None:
    headers = {"date": date} if date else {}

    assert read_start({"State": "STARTED", "ResponseMetadata": {"HTTPHeaders": headers}}, 0) is None
    assert read_start({"State": "STARTED"}, 0) is None


def test_start_of_a_report_is_when_the_call_began_and_to_the_second() -> None:
    answer = {"State": "STARTED", "ResponseMetadata": {"HTTPHeaders": {"date": "Sat, 04 May 2019 03:02:01 GMT"}}}

    assert read_start(answer, 0) == LONG_AGO
    assert read_start(answer, 0.2) == LONG_AGO - timedelta(seconds=1)
    assert read_start(answer, 2.5) == LONG_AGO - timedelta(seconds=3)


def test_last_use_of_active_keys_alone_is_told(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    used = "2026-01-02T03:04:05+00:00"
    rewrite_report(aws, f"{HEADER}\nalice,true,false,true,{used},false,2026-02-02T00:00:00+00:00\n")

    with entered(account_id) as member:
        (alice,) = member.iam.inspect(account_id).users

    assert alice.active_access_keys == 1
    assert alice.keys_last_used == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_user_created_since_the_report_is_found_with_what_is_not_known_left_open(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "newcomer")
    rewrite_report(aws, f"{HEADER}\n")

    with entered(account_id) as member:
        (newcomer,) = member.iam.inspect(account_id).users

    assert newcomer.has_mfa is None
    assert newcomer.has_console_password is None
    assert newcomer.active_access_keys is None


@pytest.mark.parametrize(
    "row",
    [
        "alice,true,true,false,N/A,false,N/A,arn:aws:iam::{account}:user/alice,2019-01-01T00:00:00+00:00",
        "alice,true,true,false,N/A,false,N/A,arn:aws:iam::{account}:user/alice,N/A",
        "alice,true,true,false,N/A,false,N/A,arn:aws:iam::{account}:user/alice,",
        "alice,true,true,false,N/A,false,N/A,arn:aws:iam::{account}:user/teams/alice,{created}",
        "alice,true,true,false,N/A,false,N/A,N/A,{created}",
    ],
)
def test_row_of_an_earlier_user_of_that_name_says_nothing(
    aws: AwsServer, organization: SampleOrganization, account_id: str, row: str
) -> None:
    organization.add_user(account_id, "alice")
    created = identity(iam_backends[account_id]["aws"].users["alice"]).split(",")[1]
    rewrite_report(aws, f"{HEADER}\n{row.format(account=account_id, created=created)}\n", is_whole=True)

    assert told_of_alice(account_id) == (None, None, None)


def test_report_without_the_columns_that_tell_whose_a_row_is_says_nothing(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    header = HEADER.removesuffix(",arn,user_creation_time")
    rewrite_report(aws, f"{header}\nalice,true,true,false,N/A,false,N/A\n", is_whole=True)

    assert told_of_alice(account_id) == (None, None, None)


def test_empty_cells_of_the_report_are_unknown_and_never_no(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    rewrite_report(aws, f"{HEADER}\nalice,,,,,,\n")

    assert told_of_alice(account_id) == (None, None, None)


@pytest.mark.parametrize(
    "rows",
    [
        "alice,false,true,false,N/A,false,N/A,more",
        "alice,false,true,false,N/A,false",
        "alice,false,true,false,N/A,false,N/A\nalice,false,true,false,N/A,false,N/A",
        "alice,bob,false,true,false,N/A,false,N/A",
    ],
)
def test_user_of_an_unclear_row_is_unknown_and_another_is_not(
    aws: AwsServer, organization: SampleOrganization, account_id: str, rows: str
) -> None:
    for name in ("alice", "alice,bob", "carol"):
        organization.add_user(account_id, name)
    rewrite_report(aws, f"{HEADER}\ncarol,true,false,false,N/A,false,N/A\n{rows}\n")

    with entered(account_id) as member:
        found = {user.name: (user.has_mfa, user.has_console_password) for user in member.iam.inspect(account_id).users}

    assert found == {"alice": (None, None), "alice,bob": (None, None), "carol": (False, True)}


@pytest.mark.parametrize("code", ["ReportInProgress", "ReportNotPresent"])
def test_report_not_ready_in_time_leaves_users_unknown_instead_of_failing(
    aws: AwsServer, organization: SampleOrganization, account_id: str, code: str
) -> None:
    organization.add_user(account_id, "alice")
    aws.faults.append(lambda call: xml_error(code, status=404) if call.action == "GetCredentialReport" else None)

    with entered(account_id) as member:
        facts = member.iam.inspect(account_id)

    assert facts.users[0].has_mfa is None
    assert not facts.is_report_ours


def test_report_in_the_making_is_waited_for(aws: AwsServer, organization: SampleOrganization, account_id: str) -> None:
    organization.add_user(account_id, "alice")
    refusals: list[Call] = []

    def not_yet(call: Call) -> Answer | None:
        if call.action == "GetCredentialReport" and len(refusals) < 2:
            refusals.append(call)
            return xml_error("ReportInProgress", status=404)
        return None

    aws.faults.append(not_yet)

    with entered(account_id, report_wait_seconds=30) as member:
        facts = member.iam.inspect(account_id)

    assert facts.users[0].has_mfa is False


def test_report_in_the_making_is_not_waited_for_once_the_run_was_told_to_end(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    cancellation = Cancellation()
    cancellation.event.set()
    aws.faults.append(
        lambda call: xml_error("ReportInProgress", status=404) if call.action == "GetCredentialReport" else None
    )

    with entered(account_id, report_wait_seconds=3600, cancellation=cancellation) as member:
        facts = member.iam.inspect(account_id)

    assert facts.users[0].has_mfa is None
    assert aws.actions(account_id).count("GetCredentialReport") == 1


def test_report_that_is_none_is_an_error(aws: AwsServer, account_id: str) -> None:
    rewrite_report(aws, "<html>proxy</html>")

    with entered(account_id) as member, pytest.raises(Malformed, match="credential report"):
        member.iam.inspect(account_id)


def test_report_quota_of_iam_leaves_the_account_to_live_looks(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    aws.faults.append(
        lambda call: xml_error("LimitExceeded", status=409) if call.action == "GenerateCredentialReport" else None
    )

    with entered(account_id) as member:
        facts = member.iam.inspect(account_id)

    assert facts.users[0].has_mfa is None
    assert "GetCredentialReport" not in aws.actions(account_id)
