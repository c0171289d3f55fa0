"""The errors of the program, and nothing else.

OrgmfaError                    every failure the program knows; entry points catch this one
+-- ConfigError                configuration, arguments or an event cannot be used (exit code 2)
+-- StartError                 nothing could start: no credentials, no organization, no archive (exit code 2)
|   +-- NothingToDo          no account to work on
|   +-- RunUnderWay          another run holds the lease on writing
+-- DigestError                a channel refused to tell of a run, or could not be reached
|   +-- AttachmentError      it told of the run, but could not attach the page
+-- ArchiveError               the archive could not be read or written
|   +-- BrokenRun            a file in it is broken, or no run of orgmfa
+-- AwsError                   an AWS call failed; carries code and operation; only `run` turns it into an outcome
    +-- AccessDenied           the caller may not make the call
    |   +-- DeniedByScp        a service control policy (or resource control policy) refuses it
    |   +-- AssumeRoleDenied   the role is missing or does not trust the caller; AWS does not tell which
    +-- NotFound               what the call names does not exist
    +-- AlreadyExists          what the call would create exists
    +-- QuotaExceeded          an IAM quota is full
    +-- Throttled              still throttled when the retries had run out
    +-- NotReady               the credential report is still being made
    +-- NotSubscribed          Security Hub is off in the account and Region
    +-- RegionDisabled         the STS endpoint of the Region is not active
    +-- Unavailable            an answer of the 5xx family when the retries had run out
    |   +-- Unreachable        no answer at all: no connection, or none in time
    |   +-- Garbled            an answer that was cut short, or is neither XML nor JSON
    +-- NoCredentials          no usable credentials for the caller itself
    +-- Malformed              the answer lacks what it must have
"""


class OrgmfaError(Exception):
    """A failure the program knows and can explain."""


class ConfigError(OrgmfaError):
    """The configuration, an argument or an event cannot be used."""


class StartError(OrgmfaError):
    """The run could not start; nothing was inspected and nothing written."""


class NothingToDo(StartError):
    """There is no account to work on: the organization, or what was asked for, holds none."""


class RunUnderWay(StartError):
    """Another run holds the lease on writing."""


class DigestError(OrgmfaError):
    """A channel refused the digest of a run, or it could not be sent; with the code and remedy of the run's error."""

    code = "digest_failed"
    remedy = "The report is archived; mend the Slack settings, then run again."


class AttachmentError(DigestError):
    """The digest was sent, but the page could not be attached to it."""

    code = "attach_failed"
    remedy = "The digest was sent; mend what the message names, or see the page by `orgmfa report --html`."


class ArchiveError(OrgmfaError):
    """The archive could not be read or written."""


class FileTooLarge(ArchiveError):
    """A file in the archive is larger than any that orgmfa writes, and was not read."""


class BrokenRun(ArchiveError):
    """A file in the archive that has the name of a run is broken, or no run of orgmfa."""


class AwsError(OrgmfaError):
    """An AWS call failed.

    `code` is the error code that AWS gave (or the name of botocore's exception), `operation` the API operation.
    """

    def __init__(self, message: str, *, code: str, operation: str = "") -> None:
        """Keep the message with its AWS error code and operation."""
        super().__init__(message)
        self.code = code
        self.operation = operation


class AccessDenied(AwsError):
    """The caller is not allowed to make the call."""


class DeniedByScp(AccessDenied):
    """An organization policy (SCP or RCP) denies the call."""


class AssumeRoleDenied(AccessDenied):
    """The role does not exist or does not trust the caller: AWS answers both alike."""


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
    """Nothing answered: the connection failed, or the answer did not come in time."""


class NoCredentials(AwsError):
    """The caller's own credentials are missing, expired or refused."""


class Garbled(Unavailable):
    """The answer was cut short, or is neither XML nor JSON; a write may have taken effect."""


class Malformed(AwsError):
    """The answer lacks a field that it must have, or says what this version does not know."""
