"""Builds the package step by step: fetch, select, list, compile, zip. A failure leaves nothing behind.

The Lambda's folder is read-only, so without bytecode Python compiles every module at each cold start. Only the minor
version of Python that the Lambda runs can compile for it. Bytecode is checked against the hash of its source, since
times of files change on the way into the Lambda; so a source that is edited in the zip takes effect.
"""

import errno
import hashlib
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from orchestrator import __version__
from orchestrator.deploy.lambda_zip.dependencies import Runtime, fetch_wheels, render_sbom, unpack
from orchestrator.deploy.lambda_zip.file_selection import PACKAGE, select_modules
from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.config_file import load_file
from orchestrator.domain.errors import ConfigError, StartError
from orchestrator.domain.nudges import read_text

LOCK = "requirements/lambda.txt"
TEMPLATE = "member_role/template.yaml"
BILL = "orgmfa.cdx.json"
"""The bill of materials inside the zip; a copy is written beside the zip."""
LAMBDA_FOLDER = "/var/task"
"""The folder of the unpacked zip in the Lambda, which tracebacks show."""
_PRINT_TAG = "import sys; print(sys.implementation.cache_tag)"
_TIMEOUT_SECONDS = 10
_UNIX = 3


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
    bill = Path(f"{str(output).removesuffix('.zip')}.cdx.json")
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


def find_interpreter(python: str) -> str | None:
    """Return a CPython of this version or None: the running one, else one on the PATH that runs (a stub does not)."""
    tag = f"cpython-{python.replace('.', '')}"
    for path in filter(None, (sys.executable, shutil.which(f"python{python}"))):
        with suppress(OSError, subprocess.TimeoutExpired):
            if _run(path, "-c", _PRINT_TAG, timeout=_TIMEOUT_SECONDS).stdout.strip() == tag:
                return path
    return None


def compile_folder(folder: Path, python: str, progress: Callable[[str], None]) -> str | None:
    """Compile every module below a folder, and return the interpreter, or None where this machine lacks the version.

    A process of its own makes bytes that depend on sources and Python alone. Raises StartError where it fails.
    """
    interpreter = find_interpreter(python)
    if interpreter is None:
        progress(f"no python{python} here to compile with: the Lambda will do it itself, at each cold start")
        return None
    progress(f"compiling with {interpreter}")
    paths = ("-s", str(folder), "-p", LAMBDA_FOLDER, str(folder))
    done = _run(interpreter, "-B", "-m", "compileall", "-q", "-j1", "--invalidation-mode=checked-hash", *paths)
    if done.returncode:
        raise StartError(f"{interpreter} cannot compile the packages of the Lambda: {done.stdout.strip()}")
    return interpreter


def _run(interpreter: str, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - ourselves, or what the PATH calls python3.x; and no shell
        [interpreter, "-I", "-S", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


def write_zip(folder: Path, path: Path) -> None:
    """Write the files below a folder into a zip: sorted by name, all dated 1980, with one of two modes."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    with ZipFile(path, "w") as archive:
        for name in names:
            entry = ZipInfo(name)
            entry.create_system = _UNIX
            entry.external_attr = (stat.S_IFREG | (0o755 if name.endswith(".so") else 0o644)) << 16
            archive.writestr(entry, folder.joinpath(name).read_bytes(), ZIP_DEFLATED, 9)


@contextmanager
def replacing(*paths: Path) -> Iterator[Path]:
    """Context manager: yields a folder for new files of these names, which are moved to their paths at the end.

    After a failure nothing is moved. The folder is created beside the paths first, so a path that cannot be written to
    is found before any work is done. Raises ConfigError where a file inside cannot be written.
    """
    try:
        for path in paths:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{path} is a folder; name a file")
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".orgmfa-", dir=paths[0].parent) as folder:
            yield Path(folder)
            for path in paths:
                Path(folder, path.name).replace(path)
    except OSError as error:
        raise ConfigError(f"--output: cannot write {paths[0]}: {error.strerror or error}") from error
