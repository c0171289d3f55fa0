"""The kind of an MFA device, and which was enrolled last."""

from datetime import UTC, datetime

import pytest

from orchestrator.aws.iam import pick_newest, read_device
from orchestrator.domain.model import (
    MfaDevice,
)


@pytest.mark.parametrize(
    ("serial", "kind"),
    [
        ("arn:aws:iam::111122223333:mfa/alice", "virtual"),
        ("arn:aws-cn:iam::111122223333:mfa/teams/my-fido-phone", "virtual"),
        ("arn:aws:iam::111122223333:u2f/user/alice/yubikey-ABCDEF", "fido"),
        ("FIDO-0001", "fido"),
        ("GAHT12345678", "hardware"),
        ("arn:aws:iam::111122223333:sms-mfa/alice", "hardware"),
    ],
)
def test_serial_number_tells_the_kind_of_device(serial: str, kind: str) -> None:
    assert read_device({"SerialNumber": serial}) == MfaDevice(kind, None)  # type: ignore[arg-type]  # one of the kinds


@pytest.mark.parametrize("serial", ["arn:aws:iam::111122223333:oath/alice", "arn:aws:iam::111122223333:user/alice"])
def test_device_of_a_new_kind_is_none_that_is_known(serial: str) -> None:
    assert read_device({"SerialNumber": serial}) is None


def test_device_without_a_date_is_older_than_any_with_one() -> None:
    dated, undated = MfaDevice("virtual", datetime(2026, 1, 1, tzinfo=UTC)), MfaDevice("fido", None)

    assert pick_newest([undated, dated]) == pick_newest([dated, undated]) == dated
    assert pick_newest([]) is None
