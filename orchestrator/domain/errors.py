"""The errors of the program; entry points catch OrgmfaError.

OrgmfaError
+-- ConfigError, StartError (NothingToDo, RunUnderWay): exit code 2
+-- DigestError (AttachmentError), DeliveryError, ArchiveError (FileTooLarge, BrokenRun)
+-- AwsError
    +-- AccessDenied (DeniedByScp, AssumeRoleDenied)
    +-- Unavailable (Unreachable, Garbled)
    +-- NotFound, AlreadyExists, QuotaExceeded, Throttled, NotReady, NotSubscribed, RegionDisabled, NoCredentials,
        Malformed, LocalFault
"""


class OrgmfaError(Exception):
    """A failure the program knows and can explain; every other error is a defect."""


class ConfigError(OrgmfaError):
    """The configuration, an argument or an event cannot be used."""


class StartError(OrgmfaError):
    """The run could not start: no credentials, organization or archive. Nothing was inspected or written."""


class NothingToDo(StartError):
    """There is no account to work on in the organization, or in what was asked for."""


class RunUnderWay(StartError):
    """Another run holds the lease on writing, and the events of this one come again."""


class DigestError(OrgmfaError):
    """A channel refused the digest of a run, or it could not be sent; with the code and remedy of the run's error."""

    code = "digest_failed"
    remedy = "The report is archived; mend the Slack settings, then run again."


class AttachmentError(DigestError):
    """The digest was sent, but not all that goes into its thread: tables, the page."""

    code = "attach_failed"
    remedy = "The digest was sent; mend what the message names, or see the page by `orgmfa report --html`."


class DeliveryError(OrgmfaError):
    """A message to a user could not be sent; `is_general`: nor could any other now, and this one was surely not."""

    def __init__(self, message: str, *, is_general: bool = False) -> None:
        super().__init__(message)
        self.is_general = is_general


class ArchiveError(OrgmfaError):
    """The archive could not be read or written."""


class FileTooLarge(ArchiveError):
    """A file in the archive is larger than any that orgmfa writes, and was not read."""


class BrokenRun(ArchiveError):
    """A file in the archive has the name of a run and is broken, or no run of orgmfa."""


class AwsError(OrgmfaError):
    """An AWS call failed, with the code of AWS (or the name of botocore's exception) and the API operation."""

    def __init__(self, message: str, *, code: str, operation: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation


class AccessDenied(AwsError):
    """The caller is not allowed to make the call."""


class DeniedByScp(AccessDenied):
    """An organization policy (SCP or RCP) denies the call."""


class AssumeRoleDenied(AccessDenied):
    """The role does not exist or does not trust the caller; AWS does not tell which."""


class NotFound(AwsError):
    """What the call names does not exist."""


class AlreadyExists(AwsError):
    """What the call would create exists already."""


class QuotaExceeded(AwsError):
    """An IAM quota is full."""


class Throttled(AwsError):
    """AWS still throttled the call when the retries had run out."""


class NotReady(AwsError):
    """The credential report is still being made."""


class NotSubscribed(AwsError):
    """Security Hub is not switched on in the account and Region."""


class RegionDisabled(AwsError):
    """STS is not active at the regional endpoint for this account."""


class Unavailable(AwsError):
    """AWS answered with an error of its own (the 5xx family) until the retries had run out."""


class Unreachable(Unavailable):
    """No answer: the connection failed, or the answer did not come in time."""


class NoCredentials(AwsError):
    """The caller's own credentials are missing, expired or refused."""


class LocalFault(AwsError):
    """What this machine gives the AWS SDK cannot be used, `profile` for example. Never tried again."""

    def __init__(self, message: str, *, code: str, operation: str = "", profile: str = "default") -> None:
        """Keep the message with its code; the operation is that of STS where AWS refused the credentials."""
        super().__init__(message, code=code, operation=operation)
        self.profile = profile


class Garbled(Unavailable):
    """The answer was cut short, or is neither XML nor JSON; a write may have taken effect."""


class Malformed(AwsError):
    """The answer lacks a field that it must have, or says what this version does not know."""
