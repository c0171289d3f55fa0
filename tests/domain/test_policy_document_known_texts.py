import json

import pytest

from orchestrator.domain.model import PolicyState
from orchestrator.domain.policy_document import (
    KNOWN_TEXTS,
    PARTITIONS,
    KnownText,
    digest_of,
    judge_text,
    render_enforcement_policy,
)
from tests.member_role.rendering import earlier_text

EARLIER_PARTITIONS = ["aws", "aws-us-gov", "aws-cn"]
MODES = ["deny", "allow"]


@pytest.mark.parametrize("access_keys", MODES)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_digest_of_the_text_of_today_is_listed(partition: str, access_keys: str) -> None:
    """Whoever changes the text adds its digests to KNOWN_TEXTS, and keeps those that are there."""
    text = json.dumps(render_enforcement_policy(partition=partition, access_keys=access_keys))

    assert KNOWN_TEXTS.get(digest_of(text)) == KnownText(partition)


@pytest.mark.parametrize("access_keys", MODES)
@pytest.mark.parametrize("partition", EARLIER_PARTITIONS)
def test_texts_that_spare_no_action_of_signing_in_stay_listed_and_can_lock_out(
    partition: str, access_keys: str
) -> None:
    assert KNOWN_TEXTS[digest_of(earlier_text(access_keys, partition))] == KnownText(partition, can_lock_out=True)


def test_every_listed_text_is_one_of_these() -> None:
    assert len(KNOWN_TEXTS) == len(EARLIER_PARTITIONS) * 2 + len(PARTITIONS) * 2


@pytest.mark.parametrize("document", ["", "null", "{}", '{"Statement": 1}', {"Statement": []}, None])
def test_what_cannot_be_read_is_drifted(document: object) -> None:
    assert judge_text(document, partition="aws", ours=digest_of(earlier_text("deny"))) == (PolicyState.DRIFTED, False)
