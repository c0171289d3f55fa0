"""What to do about an error of AWS, by action, code and words of its message: the first row that fits counts. Pure.

AWS names the kind of policy that denied a call, and the action (IAM user guide, Troubleshoot access denied error
messages). A row is a line with a glob on the action, globs on the code of which one must fit, and perhaps a regular
expression on the message; then the remedy, indented. `{denied}` is the action that was not allowed, which can be
another than the one called.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from orchestrator.domain.errors import AwsError

_SERVICES = {
    "sts": "AssumeRole AssumeRoleWithWebIdentity GetCallerIdentity",
    "secretsmanager": "GetSecretValue",
    "cloudformation": (
        "CreateChangeSet DeleteStack DescribeChangeSet DescribeStackEvents DescribeStackInstance DescribeStackSet "
        "DescribeStacks ExecuteChangeSet ListStackInstances ListStackResources ListStackSets"
    ),
    "scheduler": "GetSchedule",
    "lambda": "GetFunctionConfiguration",
}
_SERVICE_BY_OPERATION = {name: service for service, names in _SERVICES.items() for name in names.split()}
_DENIED = re.compile(r"not authorized to perform: (\S+)")


class Row(NamedTuple):
    """A remedy: globs on the action (`sts:AssumeRole`) and the code, a regular expression on the message."""

    action: str
    code: str
    words: str
    remedy: str


def _read(text: str) -> Iterator[Row]:
    for row in re.split(r"\n(?=\S)", text.strip()):
        head, *remedy = row.split("\n")
        action, code, words = (*head.split(maxsplit=2), "")[:3]
        yield Row(action, code, words, " ".join(line.strip() for line in remedy))


_CLOCK = Row(
    "*",
    "*",
    "(?i)signature expired|signature not yet current|request time and the current time is too large",
    "The clock of this machine is wrong: set it (NTP), then run again.",
)
CALLER_ROWS = (
    _CLOCK,
    *_read("""
* ExpiredToken*
  The caller's own session has ended: sign in again (aws sso login, or a new session in the environment), then run
  again.
* RequestExpired|RequestTimeTooSkewed
  Check the clock of this machine, then run again.
* InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId
  AWS does not know this access key, or not with this session token: check that the key is active, and that
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (or the profile's) belong together.
* SignatureDoesNotMatch|InvalidSignatureException
  Check the secret access key, and the clock of this machine.
"""),
)
"""Of calls that are signed with the caller's own credentials."""

SELECT_ROWS = (
    *CALLER_ROWS,
    *_read("""
* AccessDenied* service control policy
  An SCP denies {denied} to this principal: exempt it there.
* AccessDenied* resource control policy
  An RCP denies {denied} to this principal: exempt it there.
* AccessDenied* permissions boundary
  The permissions boundary of this principal withholds {denied}: allow it there.
* AccessDenied* session policy
  The session of this principal was made with a policy that withholds {denied}: sign in without it.
* AccessDenied* VPC endpoint policy
  The policy of the VPC endpoint withholds {denied}: allow it there.
secretsmanager:* AccessDenied*
  Allow {denied} on the secret to this principal (SlackSecretArn of orgmfa-central), and kms:Decrypt where the secret
  has a key of its own (KmsKeyArns).
secretsmanager:* ResourceNotFoundException
  Check slack.secret: the name or ARN of a secret in this account and Region, or the ARN of another account's.
organizations:* AccessDenied*
  Run in the management account or in a delegated administrator's account, or allow {denied} to this principal in the
  organization's resource policy.
"""),
)
"""Of calls about the organization and the program's own account."""

ACCOUNT_ROWS = (
    _CLOCK,
    *(row._replace(action="sts:AssumeRole") for row in CALLER_ROWS[1:]),
    *_read("""
sts:AssumeRole PackedPolicyTooLarge*
  The tags of the caller's session and the session policy of a plan are together too much for STS: sign in with fewer
  or shorter session tags. Running again does not help.
sts:AssumeRole AccessDenied* service control policy
  An SCP denies {denied} to the caller, in the caller's account and not in this one: exempt the caller's role there.
sts:AssumeRole AccessDenied* resource control policy
  An RCP denies {denied} in this account: exempt the role {role} there.
sts:AssumeRole AccessDenied* permissions boundary
  The permissions boundary of the caller withholds {denied}: allow it there.
sts:AssumeRole AccessDenied* session policy
  The caller's session was made with a policy that withholds {denied}: sign in without it.
sts:AssumeRole AccessDenied* VPC endpoint policy
  The policy of the VPC endpoint of STS withholds {denied}: allow it there.
sts:AssumeRole AccessDenied* sts:(SetSourceIdentity|TagSession)
  The caller's session carries a source identity or session tags, and {denied} is not allowed: set
  AllowSessionContext=true in orgmfa-central and in the member template (StackSet and management.yaml), or sign in
  with a session that carries neither.
sts:AssumeRole AccessDenied* identity-based policy
  The caller itself is not allowed {denied} on the role {role}: run as the role orgmfa-operator (docs/deploy.md, step
  7), and let the role's name and path in orgmfa-central be those of member_role in the configuration.
sts:AssumeRole AccessDenied* role trust policy
  The trust policy of the role {role} does not let this caller in: SecurityAccountId, OrchestratorRoleName,
  OperatorRoleName and OrganizationId of the member template must be those of the caller.
iam:* AccessDenied* permissions boundary
  A permissions boundary of the role {role} withholds {denied}: take it off, or allow the action there.
iam:* AccessDenied* session policy
  The session that the program made withholds {denied}: this is a defect of orgmfa. Please report it.
iam:* AccessDenied* with an explicit deny in an identity-based policy
  A policy of the role {role} denies {denied}: that of ProtectedUserArns, or one that was added in the account.
"""),
)
"""Of assuming the role of an account, with the caller's credentials, and of the calls made there with the role's."""

LOCAL_ROWS = (
    *CALLER_ROWS,
    *_read("""
* NoMfaCode
  Run again, and type the code that the device shows.
* NoTerminal
  Get a session first, and put it into the environment: aws sts get-session-token --serial-number ARN --token-code
  CODE gives AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; or run it in a terminal.
* * MultiFactorAuthentication failed with invalid MFA one time pass code
  AWS did not take this MFA code: it was mistyped, or used before (each works once, for all commands together). Wait
  for the next one, then run again.
* * MultiFactorAuthentication failed
  Check mfa_serial of profile {profile}: the ARN of the device of the user whose keys sign (aws iam list-mfa-devices).
sts:* AccessDenied* service control policy
  An SCP denies {denied} to the source of profile {profile}: exempt it there.
sts:* AccessDenied* sts:(SetSourceIdentity|TagSession)
  The session that profile {profile} starts from carries a source identity or session tags: its role must allow
  {denied} (AllowSessionContext=true in orgmfa-central), or sign in with a session that carries neither.
sts:* AccessDenied*
  The source of profile {profile} may not become its role: OperatorPrincipalArns must name it, and it must have signed
  in with MFA where RequireMfa is true (docs/deploy.md, step 7).
* ProfileNotFound
  Name a profile that is there, by --profile or AWS_PROFILE: `aws configure list-profiles` names them.
* ConfigParseError
  Mend this file, or name another by AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE.
* JSONDecodeError|AttributeError
  What credential_process of profile {profile} prints is not the JSON that AWS asks for: run it by hand, and mend it.
* InfiniteLoopConfigError
  Let source_profile of profile {profile} end at a profile that has credentials.
* SSO*|Unauthorized*|TokenRetrievalError|Login*
  Sign in again: aws sso login --profile {profile} (or aws login --profile {profile}).
* *RegionError
  Name a Region, such as eu-central-1, by --region, AWS_REGION or in profile {profile}.
* UntrustedCertificate
  Have AWS_CA_BUNDLE, or ca_bundle of the profile, name a file with the certificate of your proxy's authority; where
  the certificate has expired or is not valid yet, check the clock of this machine too.
* CaBundle
  Have it name a file with certificates in PEM.
* *
  Mend profile {profile} in ~/.aws/config, until this answers: aws sts get-caller-identity --profile {profile}.
"""),
)
"""Of what this machine gives the AWS SDK."""


def find_remedy(rows: Sequence[Row], error: AwsError, service: str) -> str | None:
    """Return the remedy of the first row that fits, or None; `service` is that of operations that are in no list."""
    action = action_of(error, service)
    for row in rows:
        fits = fnmatchcase(action, row.action) and any(fnmatchcase(error.code, code) for code in row.code.split("|"))
        if fits and re.search(row.words, str(error)):
            return row.remedy
    return None


def action_of(error: AwsError, service: str) -> str:
    """Return the action that failed, such as `sts:AssumeRole`."""
    return f"{_SERVICE_BY_OPERATION.get(error.operation, service)}:{error.operation}"


def denied_action(error: AwsError, service: str) -> str:
    """Return the action that AWS says is not allowed, else the one that was called."""
    named = _DENIED.search(str(error))
    return named[1] if named else action_of(error, service)
