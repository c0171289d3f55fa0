"""The way to speak for the operator's role from the credentials of whoever deploys."""

from dataclasses import replace

import boto3
import botocore.session

from orchestrator.aws.clients import Clients
from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier

SESSION_SECONDS = 3600
"""The longest session that a role of role credentials can have, which Identity Center's are too."""


@reads_answers
def as_role(clients: Clients, retrier: Retrier, *, role_arn: str, session_name: str) -> Clients:
    """Return clients that speak for a role of the caller's account, for an hour.

    Raises AwsError where the caller may not assume it.
    """
    issued = retrier.call(
        clients.sts.assume_role, RoleArn=role_arn, RoleSessionName=session_name, DurationSeconds=SESSION_SECONDS
    )["Credentials"]
    hub = botocore.session.get_session()
    hub.set_config_variable("sts_regional_endpoints", "regional")
    hub.set_config_variable("region", clients.region)
    hub.set_credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    return replace(clients, hub=boto3.Session(botocore_session=hub))
