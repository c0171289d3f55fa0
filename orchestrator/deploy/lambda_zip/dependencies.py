"""Downloads the locked dependencies for the Lambda's runtime with pip, which checks every hash; unpacks wheels."""

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from orchestrator.deploy.lambda_zip.file_selection import is_needed
from orchestrator.domain.errors import ConfigError, StartError

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Architecture names of Lambda, and of wheels."""
_PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check")
_STRICT = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp")
_RETRIES = "--retries=2"
"""pip waits 15 s a try by default for an index that does not answer; more retries would take over a minute."""
_CAUSES_SHOWN = 3
_NO_ANSWER = "after connection broken by"
"""Part of pip's warning before it retries; its final error only says that it found nothing."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Linux on a processor, with a Python such as 3.13. Raises ConfigError for one that no Lambda runtime has."""

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


def fetch_wheels(lock: bytes, runtime: Runtime, folder: Path) -> list[Path]:
    """Return a wheel for each package of the lock. Raises StartError where pip is missing or cannot fetch them all.

    Not `pip install --target`: with a root for installations in pip's configuration, that leaves the target empty.
    """
    if find_spec("pip") is None:
        raise StartError("pip is missing, which fetches the packages of the Lambda: python -m ensurepip")
    requirements = folder / "requirements.txt"
    requirements.write_bytes(lock)
    target = (f"--python-version={runtime.python}", *(f"--platform={tag}" for tag in runtime.platforms))
    done = subprocess.run(  # noqa: S603 - our own interpreter, and no shell
        [*_PIP, *_STRICT, _RETRIES, *target, "--requirement", requirements, "--dest", folder],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise StartError(_explain(done.stderr, runtime))
    return list(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> None:
    """Extract the needed files of a wheel to the paths of an installation.

    Paths in a wheel are import paths, except below NAME.data/ (Python packaging specifications, 'Binary distribution
    format').
    """
    with ZipFile(wheel) as archive:
        for entry in archive.infolist():
            entry.filename = re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", entry.filename)
            if is_needed(PurePosixPath(entry.filename)):
                archive.extract(entry, folder)


def _explain(said: str, runtime: Runtime) -> str:
    """Return the error messages of pip, and what to check."""
    causes = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    if _NO_ANSWER in said:
        causes.insert(0, "the index did not answer")
    told = "; ".join(cause.strip() for cause in causes[:_CAUSES_SHOWN]) or "pip did not say why"
    return (
        f"cannot fetch the packages of the Lambda (Linux {runtime.architecture}, Python {runtime.python}): {told}. "
        "pip takes them from the index that it is set up for (pip config list, PIP_INDEX_URL, HTTPS_PROXY): "
        "check that it answers, and has a wheel of each for this platform"
    )
