"""What the zip is built for: a Lambda runtime, by its processor and its Python."""

import re
from dataclasses import dataclass

from orchestrator.domain.errors import ConfigError

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""The architectures as Lambda names them, and as wheels do."""

_PYTHON = re.compile(r"3\.(?P<minor>1[1-9]|[2-9]\d)")
_OLDEST_GLIBC = 17
"""manylinux2014."""
_GLIBC_OF_AMAZON_LINUX_2 = 26
_GLIBC_OF_AMAZON_LINUX_2023 = 34
_FIRST_ON_AMAZON_LINUX_2023 = 12
"""python3.12 and later run on Amazon Linux 2023 (Lambda Developer Guide, 'Lambda runtimes')."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Lambda runtime: Linux on a processor, with CPython of a minor version such as 3.13."""

    architecture: str
    python: str

    @property
    def platforms(self) -> tuple[str, ...]:
        """The tags of the wheels that run there, the closest first: those for its glibc (2.x) or an older one."""
        machine = MACHINES[self.architecture]
        is_newer = int(self.python.partition(".")[2]) >= _FIRST_ON_AMAZON_LINUX_2023
        glibc = _GLIBC_OF_AMAZON_LINUX_2023 if is_newer else _GLIBC_OF_AMAZON_LINUX_2
        numbered = (f"manylinux_2_{minor}_{machine}" for minor in range(glibc, _OLDEST_GLIBC - 1, -1))
        return (*numbered, f"manylinux2014_{machine}")

    @property
    def environment(self) -> dict[str, str]:
        """The values of environment markers there (Python packaging specifications, 'Dependency specifiers')."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": MACHINES[self.architecture],
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def make_target(*, architecture: str, python: str) -> Target:
    """Return the target of these names. Raises ConfigError for a processor or Python that no Lambda runtime has."""
    if architecture not in MACHINES:
        raise ConfigError(f"--architecture: {architecture!r} is not one of {', '.join(MACHINES)}")
    if _PYTHON.fullmatch(python) is None:
        raise ConfigError(f"--python: {python!r} is not a minor version from 3.11 on, such as 3.13")
    return Target(architecture, python)
