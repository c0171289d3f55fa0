"""The locked dependencies for the Lambda's runtime: fetched by pip, which checks every hash, unpacked, and listed.

The list is the bill of materials (SBOM) of the zip, as CycloneDX 1.6 in JSON. A test validates it against the schema.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import NAMESPACE_URL, uuid5
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
_LONGEST_NAME = 100
"""A longer License field contains the text of a licence, not its name."""


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

    Paths in a wheel are import paths, except below NAME.data/ (Python packaging specs, 'Binary distribution format').
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


def render_sbom(wheels: Iterable[Path], *, version: str, runtime: Runtime) -> str:
    """Return the bill of materials; the same text for the same wheels in any order."""
    properties = {"orgmfa:architecture": runtime.architecture, "orgmfa:python": runtime.python}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {**_named("application", "orgmfa", version), "licenses": [{"license": {"id": "Apache-2.0"}}]},
            "properties": [{"name": name, "value": value} for name, value in properties.items()],
        },
        "components": sorted(map(_component, wheels), key=lambda component: str(component["name"])),
    }
    serial = uuid5(NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=2, sort_keys=True) + "\n"


def _component(wheel: Path) -> dict[str, Any]:
    [package] = distributions(path=[str(wheel)])
    return {
        **_named("library", re.sub(r"[-_.]+", "-", package.name).lower(), package.version),
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        **_licences(package.metadata.json),
    }


def _named(kind: str, name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": kind, "bom-ref": purl, "purl": purl, "name": name, "version": version}


def _licences(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a package's licence from the most reliable of three metadata fields, or nothing without any.

    With several classifiers, License is a word such as "Dual License", which names none of them.
    """
    if expression := metadata.get("license_expression"):
        return {"licenses": [{"expression": expression}]}
    classifiers = metadata.get("classifier", ())
    classified = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")]
    written = metadata.get("license", "").strip()
    is_name = 0 < len(written) <= _LONGEST_NAME and len(classified) <= 1
    name = written if is_name else " / ".join(classified)
    return {"licenses": [{"license": {"name": name}}]} if name else {}
