"""The Lambda runtime that the zip is built for: processor and Python version."""

import re
from dataclasses import dataclass

from orchestrator.domain.errors import ConfigError

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Architecture names of Lambda, and of wheels."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Linux on a processor, with CPython of a minor version such as 3.13.

    Raises ConfigError for a processor or Python that no Lambda runtime has.
    """

    architecture: str
    python: str

    def __post_init__(self) -> None:
        if self.architecture not in MACHINES:
            raise ConfigError(f"--architecture: {self.architecture!r} is not one of {', '.join(MACHINES)}")
        if re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", self.python) is None:
            raise ConfigError(f"--python: {self.python!r} is not a minor version from 3.11 on, such as 3.13")

    @property
    def platforms(self) -> list[str]:
        """The platform tags of wheels that run there, the newest glibc first.

        python3.11 runs on Amazon Linux 2 with glibc 2.26, later ones on Amazon Linux 2023 with 2.34 (Lambda Developer
        Guide, 'Lambda runtimes').
        """
        glibc = 26 if self.python == "3.11" else 34
        tags = [*(f"manylinux_2_{minor}" for minor in range(glibc, 16, -1)), "manylinux2014"]
        return [f"{tag}_{MACHINES[self.architecture]}" for tag in tags]
