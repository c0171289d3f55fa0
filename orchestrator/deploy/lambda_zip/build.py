"""Builds the package step by step: fetch, select, list, compile, zip. A failure leaves nothing behind."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator import __version__
from orchestrator.deploy.lambda_zip.bytecode import compile_folder
from orchestrator.deploy.lambda_zip.dependencies import Runtime, fetch_wheels, unpack
from orchestrator.deploy.lambda_zip.file_selection import PACKAGE, select_modules
from orchestrator.deploy.lambda_zip.reproducible_zip import replacing, write_zip
from orchestrator.deploy.lambda_zip.sbom import render_sbom
from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.config_file import load_file
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.nudges import read_text

LOCK = "requirements/lambda.txt"
TEMPLATE = "member_role/template.yaml"
BILL = "orgmfa.cdx.json"
"""The bill of materials inside the zip; a copy is written beside the zip."""


@dataclass(frozen=True, slots=True)
class Package:
    """A finished zip: path, size in bytes, hash, and the path of its bill of materials.

    `bytecode` is the Python that compiled it, or None for a zip without bytecode, whose functions start more slowly.
    """

    path: Path
    size: int
    sha256: str
    bill: Path
    bytecode: str | None


def build_package(
    output: Path, *, architecture: str, python: str, config: Path | None, progress: Callable[[str], None]
) -> Package:
    """Write the zip of the Lambda functions, and its bill of materials beside it; return the package.

    The same sources, lock, configuration and compiling Python give the same bytes. `config` is the configuration to
    pack, or None for the defaults. Raises ConfigError for arguments that cannot be used, StartError where the packages
    cannot be fetched; in either case nothing is written.
    """
    runtime = Runtime(architecture=architecture, python=python)
    settings = _read_settings(config)
    bill = output.with_name(f"{output.name.removesuffix('.zip')}.cdx.json")
    lock = read_shipped(LOCK)
    with replacing(output, bill) as made, TemporaryDirectory(prefix="orgmfa-") as work:
        progress(f"fetching {lock.count(b'==')} packages for Linux on {architecture}, Python {python}")
        wheels = fetch_wheels(lock, runtime, Path(work))
        folder = Path(work) / "zip"
        _lay_out(folder, wheels, settings)
        for path in (folder / BILL, made / bill.name):
            path.write_text(render_sbom(wheels, version=__version__, runtime=runtime), encoding="utf-8")
        interpreter = compile_folder(folder, python, progress)
        progress(f"writing {output}")
        write_zip(folder, made / output.name)
    content = output.read_bytes()
    return Package(output, len(content), hashlib.sha256(content).hexdigest(), bill, interpreter)


def _read_settings(config: Path | None) -> dict[str, bytes]:
    """Return the configuration, and the text of messages that it names, by name in the zip. Raises ConfigError."""
    if config is None:
        return {}
    nudge = load_file(config).nudge
    files = {"config.yaml": config.read_bytes()}
    if nudge.text is not None:
        if Path(nudge.text).name != nudge.text:
            message = f"nudge.text: {nudge.text}: a package takes the name of a file alone, in the folder you work in"
            raise ConfigError(message)
        read_text(nudge)
        files[nudge.text] = Path(nudge.text).read_bytes()
    return files


def _lay_out(folder: Path, wheels: Iterable[Path], settings: Mapping[str, bytes]) -> None:
    for wheel in wheels:
        unpack(wheel, folder)
    files = {name: path.read_bytes() for name, path in select_modules(Path(__file__).parents[2]).items()}
    files[f"{PACKAGE}/_templates/{TEMPLATE}"] = read_shipped(TEMPLATE)
    for name, content in {**settings, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
