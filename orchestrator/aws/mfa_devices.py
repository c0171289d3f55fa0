"""MFA devices as IAM lists them: what kind each is, and which a user enrolled last. Calls nothing."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.model import DeviceKind, MfaDevice

_NEVER = datetime.min.replace(tzinfo=UTC)


def read_device(entry: Mapping[str, Any]) -> MfaDevice:
    """Return the device of an entry of ListMFADevices or ListVirtualMFADevices.

    The serial number tells the kind: `arn:...:mfa/name` is a virtual device, `arn:...:u2f/...` a passkey or security
    key, and a hardware token has the number that is printed on it (IAM User Guide, 'MFA in IAM').
    """
    serial = str(entry["SerialNumber"])
    kind: DeviceKind = "hardware"
    if ":mfa/" in serial:
        kind = "virtual"
    elif ":u2f/" in serial or "fido" in serial.casefold():
        kind = "fido"
    return MfaDevice(kind, entry.get("EnableDate"))


def pick_newest(devices: Iterable[MfaDevice]) -> MfaDevice | None:
    """Return the device that was enrolled last, or None where there is none."""
    return max(devices, key=lambda device: device.enrolled_at or _NEVER, default=None)
