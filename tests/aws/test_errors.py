import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from botocore.parsers import ResponseParserError

from orchestrator.aws.clients import make_clients
from orchestrator.aws.errors import ERROR_BY_CODE, reads_answers, require, settings_of, translated
from orchestrator.domain import errors
from orchestrator.domain.errors import AwsError
from tests.aws_server import Answer, AwsServer, error_for

CODES: dict[type[AwsError], str] = {
    errors.AccessDenied: (
        "AccessDenied AccessDeniedException AccessDeniedForDependencyException UnauthorizedOperation "
        "NotAuthorizedForSourceException NotAuthorizedForDetailTypeException"
    ),
    errors.NotFound: (
        "NoSuchEntity NoSuchEntityException NoSuchBucket NoSuchKey ParameterNotFound ResourceNotFoundException "
        "AccountNotFoundException OrganizationalUnitNotFoundException ParentNotFoundException TargetNotFoundException "
        "AWSOrganizationsNotInUseException ReportNotPresent ReportExpired CredentialReportNotPresentException "
        "CredentialReportExpiredException"
    ),
    errors.AlreadyExists: (
        "EntityAlreadyExists EntityAlreadyExistsException PreconditionFailed ConditionalRequestConflict"
    ),
    errors.QuotaExceeded: "LimitExceeded LimitExceededException",
    errors.NotReady: "ReportInProgress CredentialReportNotReadyException",
    errors.NotSubscribed: "InvalidAccessException",
    errors.RegionDisabled: "RegionDisabledException",
    errors.Throttled: (
        "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
        "RequestLimitExceeded TooManyRequestsException SlowDown PriorRequestNotComplete ConcurrentModification "
        "ConcurrentModificationException"
    ),
    errors.Unavailable: (
        "ServiceFailure ServiceFailureException ServiceException ServiceUnavailable InternalFailure InternalError "
        "InternalServerError RequestTimeout RequestTimeoutException"
    ),
    errors.NoCredentials: (
        "ExpiredToken ExpiredTokenException InvalidClientTokenId UnrecognizedClientException InvalidAccessKeyId "
        "SignatureDoesNotMatch InvalidSignatureException RequestExpired RequestTimeTooSkewed"
    ),
    errors.AwsError: "PolicyEvaluation PolicyEvaluationException",
}
KIND_BY_CODE = {code: kind for kind, codes in CODES.items() for code in codes.split()}
BY_SCP = "User: x is not authorized to perform: iam:GetPolicy with an explicit deny in a service control policy"


def answer(code: str | None, message: str = "refused", status: int = 400) -> ClientError:
    details = {"Message": message} | ({} if code is None else {"Code": code})
    response: Any = {"Error": details, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "ListUsers")


def ours(error: Exception) -> AwsError:
    """Return what an error of botocore is raised as; its exact kind, code and operation are the point."""
    with pytest.raises(AwsError) as caught, translated():
        raise error
    return caught.value


@pytest.mark.parametrize(("code", "kind"), KIND_BY_CODE.items())
def test_code_of_aws_is_raised_as_what_it_means(code: str, kind: type[AwsError]) -> None:
    error = ours(answer(code))

    assert type(error) is kind
    assert (error.code, error.operation, str(error)) == (code, "ListUsers", "refused")
    assert isinstance(error.__cause__, ClientError)


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidSignatureException", "SomethingNew"])
@pytest.mark.parametrize("words", ["The Canonical String for this request should have been 'POST\n", "got: "])
def test_message_in_which_aws_repeats_what_was_signed_is_not_passed_on(code: str, words: str) -> None:
    error = ours(answer(code, f"It does not match. {words}x-amz-security-token:the-token\n'", 403))

    told = "".join(traceback.format_exception(error))
    assert "the-token" not in told
    assert "clock" in str(error)
    assert error.code == code


def test_every_code_that_the_program_names_is_in_the_table_above() -> None:
    assert ERROR_BY_CODE == KIND_BY_CODE


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NobodyKnows", 400, errors.AwsError),
        ("NobodyKnows", 404, errors.AwsError),
        ("NobodyKnows", 499, errors.AwsError),
        ("NobodyKnows", 500, errors.Unavailable),
        ("NobodyKnows", 503, errors.Unavailable),
        ("AccessDenied", 503, errors.AccessDenied),
        ("", 500, errors.Unavailable),
        (None, 400, errors.AwsError),
    ],
)
def test_code_that_is_not_known_is_judged_by_the_status(code: str | None, status: int, kind: type[AwsError]) -> None:
    error = ours(answer(code, status=status))

    assert type(error) is kind
    assert error.code == (code or "Unknown")


def test_answer_without_any_details_is_still_an_error_of_ours() -> None:
    error = ours(ClientError({}, "ListUsers"))

    assert type(error) is errors.AwsError
    assert (error.code, error.operation) == ("Unknown", "ListUsers")
    assert "ListUsers" in str(error)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("AccessDenied", BY_SCP, errors.DeniedByScp),
        ("AccessDenied", BY_SCP.replace("service", "resource"), errors.DeniedByScp),
        ("AccessDeniedException", BY_SCP, errors.DeniedByScp),
        ("AccessDenied", "no identity-based policy allows the iam:GetPolicy action", errors.AccessDenied),
        ("AccessDenied", "with an explicit deny in a permissions boundary", errors.AccessDenied),
        ("NoSuchEntity", "no service control policy of this name", errors.NotFound),
    ],
)
def test_denial_by_an_organization_policy_is_told_apart(code: str, message: str, kind: type[AwsError]) -> None:
    assert type(ours(answer(code, message))) is kind


def make_botocore_errors() -> dict[str, tuple[BotoCoreError, type[AwsError]]]:
    url = {"endpoint_url": "https://iam.amazonaws.com"}
    silent, local = errors.Unreachable, errors.NoCredentials
    made: list[tuple[BotoCoreError, type[AwsError]]] = [
        (botocore_errors.NoCredentialsError(), local),
        (botocore_errors.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), local),
        (botocore_errors.CredentialRetrievalError(provider="process", error_msg="exit 1"), local),
        (botocore_errors.ProfileNotFound(profile="nobody"), local),
        (botocore_errors.SSOTokenLoadError(error_msg="no token"), local),
        (botocore_errors.UnauthorizedSSOTokenError(), local),
        (botocore_errors.EndpointConnectionError(**url, error="refused"), silent),
        (botocore_errors.ConnectTimeoutError(**url, error="late"), silent),
        (botocore_errors.ReadTimeoutError(**url, error="late"), silent),
        (botocore_errors.ConnectionClosedError(**url, error="closed"), silent),
        (botocore_errors.ProxyConnectionError(proxy_url="http://proxy:8080", error="refused"), silent),
        (botocore_errors.SSLError(**url, error=OSError("unknown authority")), silent),
        (botocore_errors.HTTPClientError(error="broken"), silent),
        (botocore_errors.NoRegionError(), errors.AwsError),
        (botocore_errors.InvalidRegionError(region_name="e u"), errors.AwsError),
        (botocore_errors.ParamValidationError(report="x"), errors.AwsError),
        (botocore_errors.UnknownServiceError(service_name="x", known_service_names="y"), errors.AwsError),
    ]
    return {type(error).__name__: (error, kind) for error, kind in made}


@pytest.mark.parametrize("name", list(make_botocore_errors()))
def test_error_of_botocore_is_raised_by_its_kind(name: str) -> None:
    given, kind = make_botocore_errors()[name]

    error = ours(given)

    assert type(error) is kind
    assert (error.code, error.operation) == (name, "")
    assert str(error) == str(given)


@pytest.mark.parametrize(
    "error",
    [
        botocore_errors.TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        botocore_errors.LoginRefreshRequired(),
    ],
)
def test_sign_in_that_has_expired_is_a_matter_of_credentials(error: BotoCoreError) -> None:
    assert type(ours(error)) is errors.NoCredentials


def make_every_botocore_error() -> dict[str, BotoCoreError]:
    """Return one of each of botocore's errors, with a word for all that its text names."""
    made: dict[str, BotoCoreError] = {}
    for name, kind in vars(botocore_errors).items():
        if isinstance(kind, type) and issubclass(kind, BotoCoreError) and kind.__name__ == name:
            words = dict.fromkeys(re.findall(r"{(\w+)", kind.fmt), "x")
            made[name] = WaiterError("x", "x", {}) if kind is WaiterError else kind(**words)
    return made


PASSING = {
    "ConnectionError",
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "ProxyConnectionError",
    "SSLError",
    "HTTPClientError",
    "ResponseStreamingError",
}


@pytest.mark.parametrize("name", list(make_every_botocore_error()))
def test_whatever_botocore_raises_of_settings_is_a_fault_of_the_profile_or_may_pass(name: str) -> None:
    with pytest.raises(AwsError) as caught, settings_of("team"):
        raise make_every_botocore_error()[name]

    if name in PASSING:
        assert type(caught.value) is errors.Unreachable
    else:
        assert type(caught.value) is errors.LocalFault
        assert (caught.value.code, caught.value.profile) == (name, "team")
        assert str(caught.value).startswith("profile team: ")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x\ny"),
        KeyError("AccessKeyId"),
        TypeError("x"),
        FileNotFoundError(2, "No such file", "/keys"),
        RecursionError(),
        RuntimeError("still expired"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    ],
)
def test_error_of_python_while_settings_are_loaded_is_a_fault_of_the_profile(error: Exception) -> None:
    with pytest.raises(errors.LocalFault) as caught, settings_of("team"):
        raise error

    assert caught.value.code == type(error).__name__
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", errors.LocalFault),
        ("ExpiredToken", errors.LocalFault),
        ("Throttling", errors.Throttled),
        ("InternalFailure", errors.Unavailable),
    ],
)
def test_answer_while_credentials_are_loaded_keeps_its_code(code: str, kind: type[AwsError]) -> None:
    with pytest.raises(AwsError) as caught, settings_of("team"):
        raise answer(code)

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.operation) == (code, "ListUsers")


@pytest.mark.parametrize("error", [errors.ConfigError("x"), errors.Throttled("x", code="y"), KeyboardInterrupt()])
def test_error_of_ours_passes_the_loading_of_settings(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, settings_of("team"):
        raise error

    assert caught.value is error


def test_unreadable_answer_while_credentials_are_loaded_is_not_repeated() -> None:
    with pytest.raises(errors.Garbled) as caught, settings_of("team"):
        raise ResponseParserError("<SecretAccessKey>s3cret</SecretAccessKey>")

    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_answer_that_cannot_be_parsed_is_not_repeated() -> None:
    error = ours(ResponseParserError("invalid XML received: <SecretAccessKey>s3cret</SecretAccessKey>"))

    assert isinstance(error, errors.Unavailable)
    assert "s3cret" not in f"{error!r} {error} {error.__cause__!r}"
    assert error.__suppress_context__


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("Users"),
        TypeError("x"),
        AttributeError("x"),
        errors.ConfigError("x"),
        KeyboardInterrupt(),
    ],
)
def test_error_of_anything_else_passes_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, translated():
        raise error

    assert caught.value is error


def test_error_of_ours_is_not_translated_twice() -> None:
    error = errors.NoCredentials("outside any account", code="NoAccountEntered")

    assert ours(error) is error


@pytest.mark.parametrize(
    ("value", "is_there"), [("x", True), ("", True), (0, True), (False, True), ([], True), (None, False)]
)
def test_only_a_field_that_is_missing_is_required(value: object, is_there: bool) -> None:
    if is_there:
        assert require(value, "Arn", "GetUser") is value
        return
    with pytest.raises(errors.Malformed, match="the answer to GetUser lacks Arn") as caught:
        require(value, "Arn", "GetUser")
    assert caught.value.operation == "GetUser"


def test_answer_without_a_field_that_is_read_is_malformed_and_not_empty() -> None:
    @reads_answers
    def list_users(answer: dict[str, list[str]]) -> list[str]:
        return answer["Users"]

    assert list_users({"Users": ["alice"]}) == ["alice"]
    with pytest.raises(errors.Malformed, match="an answer of AWS lacks the field 'Users'") as caught:
        list_users({})

    assert (caught.value.code, caught.value.operation) == ("MalformedAnswer", "list_users")


SERVICES: dict[str, Callable[[Any], object]] = {
    "sts": lambda clients: clients.sts.get_caller_identity(),
    "organizations": lambda clients: clients.organizations.describe_organization(),
    "ssm": lambda clients: clients.ssm.get_parameter(Name="/orgmfa/stop"),
    "secretsmanager": lambda clients: clients.secretsmanager.get_secret_value(SecretId="orgmfa/slack"),
}


@pytest.mark.parametrize("service", list(SERVICES))
@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDeniedException", 400, errors.AccessDenied),
        ("TooManyRequestsException", 400, errors.Throttled),
        ("NobodyKnows", 503, errors.Unavailable),
        ("NobodyKnows", 400, errors.AwsError),
    ],
)
def test_both_protocols_carry_code_and_operation(
    aws: AwsServer, service: str, code: str, status: int, kind: type[AwsError]
) -> None:
    aws.faults.append(lambda call: error_for(call, code, status=status))

    with pytest.raises(AwsError) as caught, translated():
        SERVICES[service](make_clients(connections=1))

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.operation == aws.calls[-1].action


@pytest.mark.parametrize("status", [200, 400, 502])
@pytest.mark.parametrize("body", ["null", "[]", '"x"', "5", '{"Organization": 5}', '{"Organization": [5]}'])
def test_json_that_is_no_answer_is_garbled(aws: AwsServer, body: str, status: int) -> None:
    aws.faults.append(lambda call: Answer(status, body, "application/x-amz-json-1.1"))

    with pytest.raises(AwsError) as caught, translated():
        SERVICES["organizations"](make_clients(connections=1))

    assert isinstance(caught.value, errors.Garbled) or status != 200


def test_json_with_another_value_than_a_list_is_garbled(aws: AwsServer) -> None:
    aws.faults.append(lambda call: Answer(200, '{"Accounts": 5}', "application/x-amz-json-1.1"))

    with pytest.raises(errors.Garbled), translated():
        make_clients(connections=1).organizations.list_accounts()


def test_nobody_at_the_endpoint_is_told_as_unreachable() -> None:
    with pytest.raises(errors.Unreachable, match="Could not connect to the endpoint URL"), translated():
        make_clients(connections=1).sts.get_caller_identity()
