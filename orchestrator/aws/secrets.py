"""Secrets of Secrets Manager."""

from typing import TYPE_CHECKING

from orchestrator.aws.errors import require
from orchestrator.aws.retries import Retrier

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def read_secret(client: "SecretsManagerClient", retrier: Retrier, name: str) -> str:
    """Return the text of a secret, by name or ARN. Raises AwsError where it cannot be read."""
    answer = retrier.call(client.get_secret_value, SecretId=name)
    return require(answer.get("SecretString"), "SecretString", "GetSecretValue")
