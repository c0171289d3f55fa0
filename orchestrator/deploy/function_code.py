"""The zip of the functions: built here, or given; known by its hash."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from orchestrator.deploy.lambda_zip import build_package
from orchestrator.deploy.lambda_zip.build import BILL
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import parse_config
from orchestrator.domain.errors import ConfigError

ARTIFACTS = "artifacts/"
"""What all artifacts are below, in the bucket."""
_CONFIG = "config.yaml"
_HANDLER = "orchestrator/handler.py"


@dataclass(frozen=True, slots=True)
class Code:
    """A zip and its hash."""

    content: bytes
    sha256: str

    @property
    def key(self) -> str:
        """Its key in the bucket: CloudFormation compares the key, not what is behind it."""
        return artifact_key("orgmfa", self.sha256, "zip")


def artifact_key(name: str, sha256: str, suffix: str) -> str:
    """Return the key of an artifact: another for another content."""
    return f"{ARTIFACTS}{name}-{sha256[:16]}.{suffix}"


def build_code(*, architecture: str, python: str, config: Path | None, progress: Callable[[str], None]) -> Code:
    """Return the zip for a processor and Python. Raises ConfigError or StartError where it cannot be built."""
    with TemporaryDirectory(prefix="orgmfa-") as folder:
        made = build_package(
            Path(folder) / "orgmfa.zip", architecture=architecture, python=python, config=config, progress=progress
        )
        return Code(made.path.read_bytes(), made.sha256)


def read_code(path: Path, *, architecture: str, python: str) -> Code:
    """Return a zip that was built before. Raises ConfigError where it is none, or for another processor or Python."""
    content, files = _read_zip(path, BILL)
    bill = json.loads(files.get(BILL, b"{}"))
    built = {one["name"]: one["value"] for one in bill.get("metadata", {}).get("properties", ())}
    for name, wanted in (("orgmfa:architecture", architecture), ("orgmfa:python", python)):
        if built.get(name, wanted) != wanted:
            message = f"--package: {path} was built for {built[name]}, but the functions run on {wanted}"
            raise ConfigError(message)
    return Code(content, hashlib.sha256(content).hexdigest())


def read_packed_config(path: Path) -> Config:
    """Return the configuration in a zip that was built before. Raises ConfigError where it is none of ours."""
    _, files = _read_zip(path, _CONFIG)
    return parse_config(files[_CONFIG].decode(), source=f"{path}: {_CONFIG}") if _CONFIG in files else Config()


def _read_zip(path: Path, *names: str) -> tuple[bytes, dict[str, bytes]]:
    """Return a zip, and those files of these names that it has."""
    try:
        content = path.read_bytes()
        with ZipFile(BytesIO(content)) as archive:
            entries = archive.namelist()
            files = {name: archive.read(name) for name in names if name in entries}
    except OSError as error:
        raise ConfigError(f"--package: cannot read {path}: {error.strerror}") from error
    except BadZipFile as error:
        raise ConfigError(f"--package: {path} is no package of orgmfa: {error}") from error
    if _HANDLER not in entries:
        raise ConfigError(f"--package: {path} is no package of orgmfa: it has no {_HANDLER}")
    return content, files
