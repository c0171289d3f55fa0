"""Writes a folder as a zip whose bytes depend on its files alone; and files that appear whole or not at all."""

import errno
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from orchestrator.domain.errors import ConfigError

_EARLIEST = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_FILE_MODE = stat.S_IFREG | 0o644
_LIBRARY_MODE = stat.S_IFREG | 0o755


def write_zip(folder: Path, path: Path) -> None:
    """Write the files below a folder into a zip: sorted, with one time and two modes for all."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    with ZipFile(path, "w") as archive:
        for name in names:
            entry = ZipInfo(name, date_time=_EARLIEST)
            entry.create_system = _UNIX
            entry.external_attr = (_LIBRARY_MODE if name.endswith(".so") else _FILE_MODE) << 16
            archive.writestr(entry, folder.joinpath(name).read_bytes(), ZIP_DEFLATED, 9)


@contextmanager
def replacing(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Give a file to write in the place of each path; they get their names at the end, or vanish after a failure.

    They are made at once, so that a place which cannot be written to is known before any work is done. Raises
    ConfigError where that, or whatever else is written meanwhile, fails.
    """
    mark = secrets.token_hex(4)
    partial = tuple(path.with_name(f".{path.name}.{mark}.partial") for path in paths)
    try:
        for path, file in zip(paths, partial, strict=True):
            _prepare(path, file)
        yield partial
        for path, file in zip(paths, partial, strict=True):
            file.replace(path)
    except OSError as error:
        raise ConfigError(f"--output: cannot write {paths[0]}: {error.strerror or error}") from error
    finally:
        for file in partial:
            if file.parent.is_dir():
                file.unlink(missing_ok=True)


def _prepare(path: Path, partial: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, f"{path} is a folder; name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.touch()
