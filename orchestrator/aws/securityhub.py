"""Import of findings into Security Hub. Their content is made elsewhere (`output`)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Imported, Product, Refused

if TYPE_CHECKING:
    from mypy_boto3_securityhub import SecurityHubClient
    from mypy_boto3_securityhub.type_defs import AwsSecurityFindingTypeDef

BATCH_SIZE = 100
"""Most findings of one call (API reference, BatchImportFindings)."""


class FindingImporter:
    """Imports findings into the Security Hub of the caller's account and Region."""

    def __init__(self, client: "SecurityHubClient", retrier: Retrier, product: Product) -> None:
        self._client = client
        self._retrier = retrier
        self.product = product

    @reads_answers
    def import_findings(self, findings: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> Imported:
        """Import findings, and return how many were sent and which were refused; cancellation stops between batches.

        Raises AwsError where a whole batch fails. A finding with the ID of an earlier one updates it.
        """
        sent, refused = 0, list[Refused]()
        while sent < len(findings) and cancellation.reason is None:
            batch = cast("Sequence[AwsSecurityFindingTypeDef]", findings[sent : sent + BATCH_SIZE])
            answer = self._retrier.call(self._client.batch_import_findings, Findings=batch)
            failed = [Refused(one["Id"], one["ErrorCode"], one["ErrorMessage"]) for one in answer["FailedFindings"]]
            refused += failed or [Refused("", "FailedCount", "")] * answer["FailedCount"]
            sent += len(batch)
        return Imported(sent, tuple(refused))
