"""The bucket of bootstrap.yaml."""

from typing import Any

import pytest

from orchestrator.reports.archive import MAX_RELEASE
from tests.stackset.rendering import EVERYTHING, resources, template

pytestmark = pytest.mark.thorough


def test_the_bucket_is_closed_versioned_encrypted_and_outlives_its_stack() -> None:
    bucket = resources("bootstrap")["Bucket"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    for logical_id in ("Bucket", "BucketPolicy"):
        declared = template("bootstrap")["Resources"][logical_id]
        assert declared["DeletionPolicy"] == "RetainExceptOnCreate"
        assert declared["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]),
        (
            {"KmsKeyArn": EVERYTHING["KmsKeyArns"]},
            [
                {
                    "ServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": EVERYTHING["KmsKeyArns"],
                    },
                    "BucketKeyEnabled": True,
                }
            ],
        ),
    ],
)
def test_the_bucket_is_encrypted_with(given: dict[str, str], expected: list[Any]) -> None:
    encryption = resources("bootstrap", **given)["Bucket"]["BucketEncryption"]

    assert encryption["ServerSideEncryptionConfiguration"] == expected


def test_s3_forgets_no_release_before_it_is_over_and_nothing_that_is_deployed() -> None:
    """A release lasts 90 days at most, and the note that ends one is needed no longer."""
    rules = resources("bootstrap", ArchiveKeepDays="30")["Bucket"]["LifecycleConfiguration"]["Rules"]

    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}

    assert expiring.pop("archive/releases/") > 2 * MAX_RELEASE.days
    assert expiring == {
        "archive/accounts/": "30",
        "archive/runs/": "30",
        "archive/event-runs/": "30",
        "archive/events/": "30",
        "archive/work/": 7,
    }
