"""What the requests in the tests of permissions are about: resources of the security account, and their conditions."""

from collections.abc import Iterator
from typing import Any

from tests.iam_evaluator import Decision
from tests.member_role.rendering import MEMBER, ORGANIZATION, SECURITY
from tests.stackset.rendering import BUCKET, EVERYTHING, MANAGEMENT, REGION

YES, NOTHING, NO = Decision.ALLOW, Decision.IMPLICIT_DENY, Decision.EXPLICIT_DENY

OURS = {"aws:ResourceOrgID": ORGANIZATION}
THEIRS = {"aws:ResourceOrgID": "o-somebodyelse"}
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
ARCHIVE = f"{BUCKET_ARN}/archive"
REPORT = f"{ARCHIVE}/runs/2026/03/02/20260302T120000Z-0a1b2c3d.json.gz"
SECRET = EVERYTHING["SlackSecretArn"]
KEY = EVERYTHING["KmsKeyArns"]
STOP = f"arn:aws:ssm:{REGION}:{SECURITY}:parameter/orgmfa/stop"
EVENT_RUN = f"{ARCHIVE}/event-runs/2026/03/02/20260302T120000Z-0a1b2c3d.json.gz"
ALARM = f"arn:aws:cloudwatch:{REGION}:{SECURITY}:alarm:orgmfa-iam-events-waiting"
IAM_QUEUE_ARN = f"arn:aws:sqs:{REGION}:{SECURITY}:orgmfa-iam-events"
QUEUE = f"arn:aws:sqs:{REGION}:{SECURITY}:OnboardingQueue"
LOG = f"arn:aws:logs:{REGION}:{SECURITY}:log-group:/aws/lambda/orgmfa-schedule:log-stream:2026/03/02/x"
SCHEDULE = f"arn:aws:scheduler:{REGION}:{SECURITY}:schedule/orgmfa/orgmfa-daily"
FUNCTION = f"arn:aws:lambda:{REGION}:{SECURITY}:function:orgmfa-schedule"
MAP_CHILD = f"arn:aws:lambda:{REGION}:{SECURITY}:function:orgmfa-map-child"
STATES = f"arn:aws:states:{REGION}:{SECURITY}"
MACHINE = f"{STATES}:stateMachine:orgmfa-run"
LINES = f"{ARCHIVE}/accounts/date=2026-03-02/20260302T120000Z-0a1b2c3d.jsonl.gz"
MARK = f"{ARCHIVE}/nudges/{MEMBER}/AIDAEXAMPLE/2026-03-02/first"
IDENTITY = EVERYTHING["NudgeIdentityArn"]
WORK = f"{ARCHIVE}/work/20260302T120000Z-0a1b2c3d/batches.json"
HUB = f"arn:aws:securityhub:{REGION}:{SECURITY}:hub/default"
BUS_OF_RUNS = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/security"
RUN_FINISHED = {"events:source": "orgmfa", "events:detail-type": "Run Finished"}
PRODUCT = f"arn:aws:securityhub:{REGION}:{SECURITY}:product/{SECURITY}/default"
ORGANIZATIONS = f"arn:aws:organizations::{MANAGEMENT}"
CONTROL_POLICY = f"{ORGANIZATIONS}:policy/{ORGANIZATION}/service_control_policy/p-a1b2c3d4"
VIA_S3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}


def member(name: str, account_id: str = MEMBER) -> str:
    return f"arn:aws:iam::{account_id}:role/{name}"


def actions(*found: dict[str, Any]) -> Iterator[str]:
    for document in found:
        for statement in document["Statement"]:
            listed = statement["Action"]
            yield from listed if isinstance(listed, list) else [listed]
