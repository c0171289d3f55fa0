"""The zip of the Lambda functions, built here or before, and the other artifacts that a deployment uploads."""

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
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
"""Prefix of all artifacts in the bucket."""
_CONFIG = "config.yaml"
_HANDLER = "orchestrator/handler.py"


@dataclass(frozen=True)
class Artifact:
    """A file that CloudFormation reads from the bucket."""

    name: str
    suffix: str
    content: bytes

    @cached_property
    def sha256(self) -> str:
        """The hash of its content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def key(self) -> str:
        """Its key in the bucket, which contains the hash: CloudFormation compares keys, not contents."""
        return f"{ARTIFACTS}{self.name}-{self.sha256[:16]}.{self.suffix}"


def build_code(architecture: str, python: str, *, config: Path | None, progress: Callable[[str], None]) -> Artifact:
    """Return the zip for a processor and Python. Raises ConfigError or StartError where it cannot be built."""
    with TemporaryDirectory(prefix="orgmfa-") as folder:
        path = Path(folder) / "orgmfa.zip"
        build_package(path, architecture=architecture, python=python, config=config, progress=progress)
        return Artifact("orgmfa", "zip", path.read_bytes())


def read_code(path: Path, architecture: str, python: str) -> Artifact:
    """Return a zip that was built before. Raises ConfigError for another file, processor or Python."""
    content, bill = _read_zip(path, BILL)
    try:
        properties = json.loads(bill or "{}").get("metadata", {}).get("properties", ())
        built = {one["name"]: one["value"] for one in properties}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ConfigError(f"--package: {path} is no package of orgmfa: its {BILL} cannot be read") from error
    for name, wanted in (("orgmfa:architecture", architecture), ("orgmfa:python", python)):
        if built.get(name, wanted) != wanted:
            message = f"--package: {path} was built for {built[name]}, but the functions run on {wanted}"
            raise ConfigError(message)
    return Artifact("orgmfa", "zip", content)


def read_packed_config(path: Path) -> Config:
    """Return the configuration in a zip that was built before. Raises ConfigError where it is none of ours."""
    _, config = _read_zip(path, _CONFIG)
    try:
        return Config() if config is None else parse_config(config.decode(), source=f"{path}: {_CONFIG}")
    except UnicodeDecodeError as error:
        raise ConfigError(f"--package: {path}: {_CONFIG}: the configuration is not UTF-8 text") from error


def _read_zip(path: Path, name: str) -> tuple[bytes, bytes | None]:
    """Return the content of a zip, and that of the named file in it; None where it has no such file."""
    try:
        content = path.read_bytes()
        with ZipFile(BytesIO(content)) as archive:
            entries = archive.namelist()
            file = archive.read(name) if name in entries else None
    except OSError as error:
        raise ConfigError(f"--package: cannot read {path}: {error.strerror}") from error
    except (BadZipFile, zlib.error, RuntimeError, EOFError, ValueError) as error:  # not whole, or encrypted
        raise ConfigError(f"--package: {path} is no package of orgmfa: {error}") from error
    if _HANDLER not in entries:
        raise ConfigError(f"--package: {path} is no package of orgmfa: it has no {_HANDLER}")
    return content, file
