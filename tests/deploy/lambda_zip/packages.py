"""What the tests of the zip share: this machine's runtime, the lock, and small wheels."""

import platform
import re
import sys
from pathlib import Path
from zipfile import ZipFile

import orchestrator
from orchestrator.deploy.lambda_zip.build import LOCK as LOCK_FILE
from orchestrator.deploy.lambda_zip.dependencies import Runtime
from orchestrator.domain.bundled_files import read_shipped

OURS = Path(orchestrator.__file__).parent
ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
PYTHON = f"3.{sys.version_info.minor}"
MOST_BYTES = 15_000_000
COMMAND_LINE = {"__main__", "cli", "deploy", "sandbox"}
CONFIG = "enforcement: {mode: apply}\n"
ARM = Runtime("arm64", "3.13")


def read_lock() -> list[tuple[str, str, list[str]]]:
    """Return name, version and hashes of what the lock of the Lambda pins."""
    pinned = re.findall(r"^(\S+)==(\S+)((?: \\\n    --hash=\S+)+)$", read_shipped(LOCK_FILE).decode(), re.MULTILINE)
    return [(name, version, re.findall(r"--hash=(\S+)", hashes)) for name, version, hashes in pinned]


def write_wheel(path: Path, *fields: str, version: str = "1.0") -> Path:
    """Write a wheel with these lines of metadata."""
    metadata = "".join(
        f"{line}\n" for line in ("Metadata-Version: 2.4", "Name: sample", f"Version: {version}", *fields)
    )
    files = {
        "sample/": "",
        "sample/__init__.py": "",
        f"sample-{version}.dist-info/METADATA": metadata,
        f"sample-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"sample-{version}.data/purelib/more.py": "",
        f"sample-{version}.data/scripts/run.sh": "",
    }
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path
