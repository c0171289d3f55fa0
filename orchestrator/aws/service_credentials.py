"""Credentials of IAM users that are neither password nor access key, and stop once EnforceMFA denies their user.

Service-specific credentials (CodeCommit over HTTPS, Keyspaces, API keys of Bedrock and CloudWatch Logs) and SSH keys of
CodeCommit; no credential report has them. Source: IAM API Reference, ListServiceSpecificCredentials, ListSSHPublicKeys.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

SERVICES = ("bedrock.amazonaws.com", "cassandra.amazonaws.com", "codecommit.amazonaws.com", "logs.amazonaws.com")
"""The services with such credentials (IAM User Guide), asked one by one where IAM takes no question about all."""
SSH = "codecommit.amazonaws.com (SSH key)"
_DEAD = frozenset({"Inactive", "Expired"})
_PAGE_SIZE = 1000


class ServiceCredentials:
    """Such credentials in the entered account. A state that is not known counts as active, a missing end as none."""

    def __init__(self, client: "IAMClient", retrier: Retrier) -> None:
        self._client = client
        self._entries = retrier.entries

    @reads_answers
    def list_active(self, now: datetime) -> dict[str, tuple[str, ...]]:
        """Return the services of the active, unexpired credentials of each user who has one, by user name.

        The API's description leaves open whether the service must be named with AllUsers. Raises AwsError.
        """
        try:
            found = list(self._list())
        except AwsError as error:
            if type(error) is not AwsError:
                raise
            found = list(self._list_by_service(error))
        services: defaultdict[str, list[str]] = defaultdict(list)
        for entry in found:
            end = entry.get("ExpirationDate")
            if entry.get("Status") not in _DEAD and (end is None or end > now):
                services[entry["UserName"]].append(entry["ServiceName"])
        return {name: tuple(sorted(names)) for name, names in services.items()}

    @reads_answers
    def list_ssh_keys(self, user_name: str) -> tuple[str, ...]:
        """Return an entry for each active SSH key of a user. Raises NotFound where the user is gone."""
        keys = self._entries(self._client.list_ssh_public_keys, "SSHPublicKeys", UserName=user_name)
        return tuple(SSH for key in keys if key.get("Status") not in _DEAD)

    def _list(self, **service: str) -> Iterator[Any]:
        ask = self._client.list_service_specific_credentials
        return self._entries(ask, "ServiceSpecificCredentials", AllUsers=True, MaxItems=_PAGE_SIZE, **service)

    def _list_by_service(self, refusal: AwsError) -> Iterator[Any]:
        """Yield the credentials of each service that the partition has. Raises the refusal where it has none."""
        unknown = 0
        for service in SERVICES:
            try:
                yield from self._list(ServiceName=service)
            except AwsError as error:
                if error.code != "NotSupportedService":
                    raise
                unknown += 1
        if unknown == len(SERVICES):
            raise refusal
