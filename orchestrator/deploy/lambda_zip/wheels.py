"""Fetches the wheels of the lock for the Lambda's platform, through pip; and reads what is in a wheel."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from packaging.metadata import RawMetadata, parse_email
from packaging.utils import parse_wheel_filename

from orchestrator.deploy.lambda_zip.lockfile import Pin
from orchestrator.deploy.lambda_zip.runtime import Target
from orchestrator.domain.errors import StartError

_RETRIES = "2"
"""Where the index does not answer, pip waits 15 s a try, unless told otherwise; more tries would pass a minute."""
_CAUSES_SHOWN = 3
_NO_ANSWER = "after connection broken by"
"""What pip warns of before it tries again; its last word is that it found nothing."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on this machine's disk."""

    path: Path

    @property
    def name(self) -> str:
        """The normalised name of its package."""
        return parse_wheel_filename(self.path.name)[0]

    @property
    def version(self) -> str:
        """The version of its package."""
        return str(parse_wheel_filename(self.path.name)[1])

    @property
    def sha256(self) -> str:
        """The hash of the file, which the lock has too."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def metadata(self) -> RawMetadata:
        """What its METADATA says."""
        with ZipFile(self.path) as archive:
            [name] = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return parse_email(archive.read(name))[0]

    def files(self) -> Iterator[tuple[PurePosixPath, bytes]]:
        """Yield what installing it puts on the import path: each file's path there, and its content."""
        with ZipFile(self.path) as archive:
            for entry in archive.infolist():
                path = _installed(PurePosixPath(entry.filename))
                if path is not None and not entry.is_dir():
                    yield path, archive.read(entry)


def fetch_wheels(pins: Iterable[Pin], target: Target, folder: Path) -> list[Wheel]:
    """Return a wheel for each pin, put into an empty folder; pip has checked its hash.

    Raises StartError where pip is missing, or could not fetch them all.
    """
    if find_spec("pip") is None:
        raise StartError("pip is missing, which fetches the packages of the Lambda: install orgmfa[cli], or pip")
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{pin.line}\n" for pin in pins), encoding="utf-8")
    wheels = folder / "wheels"
    done = subprocess.run(  # noqa: S603 - our own interpreter, and no shell
        [*_command(target), "--dest", wheels, "--requirement", requirements],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise StartError(_explain(done.stderr, target))
    return [Wheel(path) for path in sorted(wheels.iterdir())]


def _command(target: Target) -> list[str]:
    platforms = [word for platform in target.platforms for word in ("--platform", platform)]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    strict = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    runtime = ["--implementation=cp", f"--python-version={target.python}", *platforms]
    return [sys.executable, "-m", "pip", "download", *quiet, f"--retries={_RETRIES}", *strict, *runtime]


def _explain(said: str, target: Target) -> str:
    """Return why pip failed, in its own words, and what to look at."""
    causes = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    if _NO_ANSWER in said:
        causes.insert(0, "the index did not answer")
    told = "; ".join(cause.strip() for cause in causes[:_CAUSES_SHOWN]) or "pip did not say why"
    return (
        f"cannot fetch the packages of the Lambda (Linux {target.architecture}, Python {target.python}): {told}. "
        "pip takes them from the index that it is set up for (pip config list, PIP_INDEX_URL, HTTPS_PROXY): "
        "check that it answers, and has a wheel of each for this platform"
    )


def _installed(path: PurePosixPath) -> PurePosixPath | None:
    """Return where a wheel's file is installed, or None for what is not installed on the import path."""
    top, *rest = path.parts
    if not top.endswith(".data"):
        return path
    return PurePosixPath(*rest[1:]) if rest[0] in {"purelib", "platlib"} else None
