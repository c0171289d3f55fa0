"""MFA devices in IAM's answers: their kind, and which one was enrolled last. Makes no calls."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.model import DeviceKind, MfaDevice

_NEVER = datetime.min.replace(tzinfo=UTC)


def read_device(entry: Mapping[str, Any]) -> MfaDevice | None:
    """Return the MFA device of an entry of ListMFADevices or ListVirtualMFADevices; None: of a kind not known.

    The serial number tells the kind: `arn:...:mfa/name` is a virtual device, `arn:...:u2f/...` a passkey or security
    key; a hardware token has the number printed on it (IAM User Guide, 'MFA in IAM').
    """
    serial = str(entry["SerialNumber"])
    kind: DeviceKind = "hardware"
    if ":mfa/" in serial:
        kind = "virtual"
    elif ":u2f/" in serial or "fido" in serial.casefold():
        kind = "fido"
    elif serial.startswith("arn:") and ":sms-mfa/" not in serial:
        return None
    return MfaDevice(kind, entry.get("EnableDate"))


def pick_newest(devices: Iterable[MfaDevice]) -> MfaDevice | None:
    """Return the MFA device that was enrolled last, or None where there is no device."""
    return max(devices, key=lambda device: device.enrolled_at or _NEVER, default=None)
