"""Credentials that are neither password nor access key.

moto does not know ListServiceSpecificCredentials: the served AWS answers from `AwsServer.credentials`, or from what is
injected here. SSH keys are moto's own. The program calls both through boto3.
"""

from datetime import UTC, datetime

import pytest

from orchestrator.aws.iam import SERVICES, SSH
from orchestrator.domain.errors import AccessDenied, AwsError, Malformed, NotFound, Throttled
from tests.aws.member import entered
from tests.aws_server import Answer, AwsServer, Call, Credential, list_credentials, xml_error

ACCOUNT_ID = "111122223333"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BEDROCK, CODECOMMIT = "bedrock.amazonaws.com", "codecommit.amazonaws.com"
LIST = "ListServiceSpecificCredentials"


def make(user: str, service: str = CODECOMMIT, status: str = "Active", expires: str = "") -> Credential:
    return Credential(ACCOUNT_ID, user, service, status, expires)


def read(user_name: str | None = None) -> object:
    """Return the service-specific credentials of the account, or the SSH keys of a user."""
    with entered(ACCOUNT_ID) as member:
        return member.iam.list_service_credentials(NOW) if user_name is None else member.iam.list_ssh_keys(user_name)


def questions(aws: AwsServer) -> list[dict[str, str]]:
    return [call.parameters for call in aws.calls if call.action == LIST]


def test_all_users_are_asked_for_in_one_call(aws: AwsServer) -> None:
    aws.credentials += [make("ana", BEDROCK), make("ana"), make("bob"), Credential("999999999999", "eve")]

    assert read() == {"ana": (BEDROCK, CODECOMMIT), "bob": (CODECOMMIT,)}
    (asked,) = questions(aws)
    assert asked["AllUsers"] == "true"
    assert "UserName" not in asked
    assert "ServiceName" not in asked


@pytest.mark.parametrize(
    ("status", "expires", "counts"),
    [
        ("Active", "", True),
        ("Active", "2026-03-02T12:00:01Z", True),
        ("Active", "2026-03-02T12:00:00Z", False),
        ("Inactive", "", False),
        ("Expired", "", False),
        ("Expired", "2099-01-01T00:00:00Z", False),
        ("Dormant", "", True),  # what AWS may add
        ("Dormant", "2026-01-01T00:00:00Z", False),
        ("", "", True),
    ],
)
def test_credential_counts_unless_it_is_known_to_be_dead(
    aws: AwsServer, status: str, expires: str, counts: bool
) -> None:
    aws.credentials.append(make("ana", status=status, expires=expires))

    assert read() == ({"ana": (CODECOMMIT,)} if counts else {})


def test_status_that_is_left_out_counts_as_active(aws: AwsServer) -> None:
    body = list_credentials(make("ana")).body.replace("<Status>Active</Status>", "")
    aws.faults.append(lambda call: Answer(200, body) if call.action == LIST else None)

    assert read() == {"ana": (CODECOMMIT,)}


def test_pages_are_read_to_the_end_though_one_is_empty(aws: AwsServer) -> None:
    pages = {
        None: list_credentials(make("ana"), marker="1"),
        "1": list_credentials(marker="2"),
        "2": list_credentials(make("bob", BEDROCK)),
    }
    aws.faults.append(lambda call: pages[call.parameters.get("Marker")] if call.action == LIST else None)

    assert read() == {"ana": (CODECOMMIT,), "bob": (BEDROCK,)}
    assert len(questions(aws)) == 3


def refuse_without_service(aws: AwsServer, code: str, *unknown: str) -> None:
    def answer(call: Call) -> Answer | None:
        if call.action != LIST:
            return None
        service = call.parameters.get("ServiceName")
        if service is None:
            return xml_error(code)
        return xml_error("NotSupportedService", status=404) if service in unknown else None

    aws.faults.append(answer)


@pytest.mark.parametrize("code", ["ValidationError", "InvalidInput", "MissingParameter", "NotSupportedService"])
def test_where_a_service_must_be_named_each_is_asked_for(aws: AwsServer, code: str) -> None:
    aws.credentials += [make("ana", service) for service in SERVICES]
    refuse_without_service(aws, code, BEDROCK)  # a partition without Bedrock

    assert read() == {"ana": tuple(service for service in SERVICES if service != BEDROCK)}
    assert [asked.get("ServiceName") for asked in questions(aws)] == [None, *SERVICES]
    assert {asked["AllUsers"] for asked in questions(aws)} == {"true"}


def test_refusal_stands_where_no_service_is_known(aws: AwsServer) -> None:
    refuse_without_service(aws, "ValidationError", *SERVICES)

    with pytest.raises(AwsError) as caught:
        read()
    assert caught.value.code == "ValidationError"


def test_one_service_that_cannot_be_read_is_an_error(aws: AwsServer) -> None:
    refuse_without_service(aws, "ValidationError")
    aws.faults.insert(
        0, lambda call: xml_error("InvalidInput") if call.parameters.get("ServiceName") == SERVICES[-1] else None
    )

    with pytest.raises(AwsError):
        read()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (xml_error("AccessDenied", status=403), AccessDenied),
        (xml_error("Throttling"), Throttled),
        (xml_error("NoSuchEntity", status=404), NotFound),
        (Answer(200, f"<{LIST}Response><{LIST}Result/></{LIST}Response>"), Malformed),
    ],
)
def test_what_cannot_be_read_is_an_error_and_never_an_empty_list(
    aws: AwsServer, answer: Answer, error: type[AwsError]
) -> None:
    aws.faults.append(lambda call: answer if call.action == LIST else None)

    with pytest.raises(error):
        read()
    assert not any("ServiceName" in asked for asked in questions(aws))


def test_ssh_keys_of_a_user_count_unless_they_are_inactive(aws: AwsServer) -> None:
    iam = aws.client("iam", ACCOUNT_ID)
    for name in ("ana", "bob"):
        iam.create_user(UserName=name)
    keys = [iam.upload_ssh_public_key(UserName="ana", SSHPublicKeyBody=f"ssh-rsa AAAA{each}") for each in range(3)]
    iam.update_ssh_public_key(
        UserName="ana", SSHPublicKeyId=keys[1]["SSHPublicKey"]["SSHPublicKeyId"], Status="Inactive"
    )

    assert read("ana") == (SSH, SSH)
    assert read("bob") == ()


def test_ssh_keys_of_nobody_are_an_error(aws: AwsServer) -> None:
    aws.faults.append(
        lambda call: xml_error("NoSuchEntity", status=404) if call.action == "ListSSHPublicKeys" else None
    )

    with pytest.raises(NotFound):
        read("ana")
