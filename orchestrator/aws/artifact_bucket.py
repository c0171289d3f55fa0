"""The S3 bucket of a deployment's artifacts: upload what changed, empty it and delete it.

Source: Amazon S3 API Reference. The bucket is versioned: an object is gone once all its versions are deleted. A page of
ListObjectVersions has at most 1,000 of them, as many as one DeleteObjects takes.
"""

import base64
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchestrator.aws.errors import reads_answers, translated
from orchestrator.domain.errors import AwsError, NotFound

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey"})


class ArtifactBucket:
    """An S3 bucket in the caller's account."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self.name = name

    def put(self, key: str, content: bytes, *, sha256: str) -> bool:
        """Upload an object unless the bucket has it with this checksum, and return whether it was uploaded."""
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        known = None  # the checksum that S3 stores with the object, where both exist
        try:
            with translated():
                found = self._client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
                known = found.get("ChecksumSHA256")
        except AwsError as error:
            if error.code not in _MISSING:
                raise
        if known == checksum:
            return False
        with translated():
            self._client.put_object(
                Bucket=self.name, Key=key, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
            )
        return True

    @reads_answers
    def is_empty(self, *, but_for: str) -> bool:
        """Return whether the bucket has no object versions, except those below a prefix."""
        return all(version["Key"].startswith(but_for) for page in self._versions("") for version in page)

    @reads_answers
    def clear(self, prefix: str) -> None:
        """Delete every version of every object below a prefix."""
        for page in filter(None, self._versions(prefix)):
            with translated():
                answer = self._client.delete_objects(Bucket=self.name, Delete={"Objects": page, "Quiet": True})
            for error in answer.get("Errors", ()):
                message = f"{error['Key']}: {error['Message']}"
                raise AwsError(message, code=error["Code"], operation="DeleteObjects")

    def delete(self) -> None:
        """Delete the bucket, which must be empty; a missing one is no error."""
        with suppress(NotFound), translated():
            self._client.delete_bucket(Bucket=self.name)

    def _versions(self, prefix: str) -> Iterator[list[Any]]:
        """Yield pages of object versions and delete markers below a prefix; none where the bucket does not exist."""
        with suppress(NotFound), translated():
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                yield [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
