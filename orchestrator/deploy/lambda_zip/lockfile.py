"""Reads the lock: which version of which package, with the hashes of its files. Pure: text in, values out."""

import re
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from orchestrator.deploy.lambda_zip.runtime import Target

_HASH = re.compile(r"--hash=(\S+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """A package of the lock, by its normalised name, with the hashes (`sha256:...`) that its files may have."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """The pin as a line of a requirements file, without an environment marker."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={digest}" for digest in self.hashes)])


def select_pins(lock: str, target: Target) -> tuple[Pin, ...]:
    """Return the packages of a lock that the target needs.

    The markers are evaluated here: pip would ask them of the machine it runs on, not of the one it downloads for.
    """
    lines = (line.strip() for line in lock.replace("\\\n", " ").splitlines())
    pins = (_read(line, target) for line in lines if line and not line.startswith("#"))
    return tuple(pin for pin in pins if pin is not None)


def _read(line: str, target: Target) -> Pin | None:
    requirement = Requirement(line.partition(" --hash=")[0].strip())
    if requirement.marker is not None and not requirement.marker.evaluate(target.environment):
        return None
    [version] = (specifier.version for specifier in requirement.specifier)
    return Pin(canonicalize_name(requirement.name), version, tuple(_HASH.findall(line)))
