"""What the requests in the tests of permissions are about: resources of a member account, and who asks."""

from botocore.loaders import Loader

from tests.iam_evaluator import Decision
from tests.member_role.rendering import MEMBER, SIBLING

# NOTHING: no statement applies, so nothing is granted. NO: a statement denies, whatever else is granted.
YES, NOTHING, NO = Decision.ALLOW, Decision.IMPLICIT_DENY, Decision.EXPLICIT_DENY

IAM = f"arn:aws:iam::{MEMBER}"
POLICY, GROUP = f"{IAM}:policy/EnforceMFA", f"{IAM}:group/EnforceMFA"
OTHER_POLICY, OTHER_GROUP = f"{IAM}:policy/EnforceMFA2", f"{IAM}:group/EnforceMFA2"
ADMIN_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
POLICY_UNDER_PATH, GROUP_UNDER_PATH = f"{IAM}:policy/x/EnforceMFA", f"{IAM}:group/x/EnforceMFA"
POLICY_OF_SIBLING = f"arn:aws:iam::{SIBLING}:policy/EnforceMFA"
ANA, ANA_UNDER_PATH = f"{IAM}:user/ana", f"{IAM}:user/engineering/eu/ana"
BOB, BOB_UNDER_ANA, ANAB = f"{IAM}:user/bob", f"{IAM}:user/ana/bob", f"{IAM}:user/anab"
DEVICE = f"{IAM}:mfa/any-name"
A_ROLE, MEMBER_ROLE, RELEASE_ROLE = (f"{IAM}:role/{name}" for name in ("any", "orgmfa-member", "orgmfa-release"))

FULL_ACCESS = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
}

OPERATIONS = sorted(Loader().load_service_model("iam", "service-2")["operations"])

# What a request carries, by how the user signs it (IAM user guide, Global condition context keys).
# IAM itself refuses its own API to GetSessionToken credentials without MFA, whatever a policy says.
SESSIONS = {
    "console": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"},
    "console, MFA": {"aws:MultiFactorAuthPresent": "true", "aws:ViaAWSService": "false"},
    "key": {"aws:ViaAWSService": "false"},
    "token": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"},
    "token, MFA": {"aws:MultiFactorAuthPresent": "true", "aws:ViaAWSService": "false"},
    "service": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "true"},
}
