"""Translation of botocore's errors into ours (`domain.errors`), keeping code and operation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from traceback import walk_tb
from typing import Any, ParamSpec, TypeVar

from botocore import exceptions
from botocore.parsers import ResponseParserError

from orchestrator.domain import errors

P = ParamSpec("P")
T = TypeVar("T")

_CODES: dict[type[errors.AwsError], str] = {
    errors.AccessDenied: "AccessDenied AccessDeniedException AccessDeniedForDependencyException UnauthorizedOperation "
    "NotAuthorizedForSourceException NotAuthorizedForDetailTypeException",
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
    # The simulator cannot evaluate what it is asked: status 500, and the same answer to every try.
    errors.AwsError: "PolicyEvaluation PolicyEvaluationException",
}
"""AWS error codes by the class they are raised as; a code that is not listed is a plain `AwsError`."""
ERROR_BY_CODE = {code: kind for kind, codes in _CODES.items() for code in codes.split()}

_UNREADABLE = "the answer of AWS was cut short or is not readable"
_UNTAKEN_SIGNATURE = (
    "AWS does not take the signature of the request: check the secret access key, and the clock of this machine"
)
_WORDS_OF_REQUESTS = ("canonical string", "string-to-sign", "x-amz-security-token")
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
"""How OpenSSL names a certificate that is not trusted, expired or of another host; both HTTP stacks pass it on."""
_MOST_TOLD = 300
"""Characters of an error of a credential provider that are told: credential_process may print any amount."""
_HTTP_SERVER_ERROR = 500
_ORGANIZATION_POLICIES = ("service control policy", "resource control policy")
_LOCAL_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.SSOError,
    exceptions.LoginError,
    exceptions.TokenRetrievalError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Context manager: raises botocore's errors as ours, keeping code and operation."""
    try:
        yield
    except exceptions.ClientError as error:
        raise _from_answer(error) from (None if _repeats_request(error) else error)
    except _LOCAL_CREDENTIALS as error:
        raise errors.NoCredentials(str(error), code=type(error).__name__) from error
    except ResponseParserError:
        # botocore puts the answer into its message, and the answer can contain credentials
        raise errors.Garbled(_UNREADABLE, code="UnreadableAnswer") from None
    except exceptions.BotoCoreError as error:  # time-outs, endpoints, unreadable answers: not a ClientError
        raise _from_botocore(error) from error
    except (AttributeError, NameError, TypeError, ValueError) as error:
        # So botocore fails on JSON that is no object, a map without a key, and what is no number, date or base64.
        packages = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
        if [package for package in packages if package in {"botocore", "orchestrator"}][-1:] != ["botocore"]:
            raise
        raise errors.Garbled(_UNREADABLE, code="UnreadableAnswer") from None


@contextmanager
def settings_of(profile: str) -> Iterator[None]:
    """Context manager around what loads settings or credentials: what fails is a LocalFault that names the profile.

    Only what may pass by itself keeps its kind. botocore lets errors of Python through here: of JSON, files, URLs.
    """
    try:
        yield
    except errors.OrgmfaError:
        raise
    except exceptions.ClientError as error:
        fault = _from_answer(error)
        if isinstance(fault, errors.Throttled | errors.Unavailable):
            raise fault from error
        raise _local(str(fault), profile, code=fault.code, operation=fault.operation) from None
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise _from_botocore(error) from error
    except ResponseParserError:
        raise errors.Garbled(_UNREADABLE, code="UnreadableAnswer") from None
    except Exception as error:
        raise _local(str(error), profile, code=type(error).__name__) from error


def reads_answers(method: Callable[P, T]) -> Callable[P, T]:
    """Decorator: Malformed where an answer lacks a field that is read, which is never taken for an empty one."""

    @wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except KeyError as error:
            message = f"an answer of AWS lacks the field {error}"
            raise errors.Malformed(message, code="MalformedAnswer", operation=method.__name__) from error

    return wrapper


def confirmed(method: Callable[P, Any]) -> Callable[P, None]:
    """Wrap a client's method that returns no data: Garbled where the answer lacks the ID that AWS gives each request.

    botocore takes any well-formed XML with status 200, even a proxy's page, for the success of such an action.
    """

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        if not method(*args, **kwargs).get("ResponseMetadata", {}).get("RequestId"):
            raise errors.Garbled(_UNREADABLE, code="UnreadableAnswer")

    return wrapper


def require(value: T | None, field: str, operation: str) -> T:
    """Return the value of a field of an answer. Raises Malformed where it is None: AWS left it out."""
    if value is None:
        message = f"the answer to {operation} lacks {field}"
        raise errors.Malformed(message, code="MalformedAnswer", operation=operation)
    return value


def _local(message: str, profile: str, *, code: str, operation: str = "") -> errors.LocalFault:
    told = " ".join(message.split())[:_MOST_TOLD]
    return errors.LocalFault(f"profile {profile}: {told}", code=code, operation=operation, profile=profile)


def _from_botocore(error: exceptions.BotoCoreError) -> errors.AwsError:
    if isinstance(error, exceptions.SSLError) and _UNTRUSTED in str(error):
        return errors.LocalFault(str(error), code="UntrustedCertificate")
    is_unreachable = isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)
    kind = errors.Unreachable if is_unreachable else errors.AwsError
    return kind(str(error), code=type(error).__name__)


def _from_answer(error: exceptions.ClientError) -> errors.AwsError:
    code = str(error.response.get("Error", {}).get("Code") or "Unknown")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = ERROR_BY_CODE.get(code, errors.Unavailable if status >= _HTTP_SERVER_ERROR else errors.AwsError)
    message = _UNTAKEN_SIGNATURE if _repeats_request(error) else _message_of(error) or str(error)
    if issubclass(kind, errors.AccessDenied) and any(policy in message for policy in _ORGANIZATION_POLICIES):
        kind = errors.DeniedByScp
    return kind(message, code=code, operation=error.operation_name)


def _message_of(error: exceptions.ClientError) -> str:
    """Return the message of AWS; it may be missing, empty or no text at all."""
    return str(error.response.get("Error", {}).get("Message") or "")


def _repeats_request(error: exceptions.ClientError) -> bool:
    """Return whether the message of AWS repeats what was signed, and with it the session token."""
    message = _message_of(error)
    return any(word in message.casefold() for word in _WORDS_OF_REQUESTS)
