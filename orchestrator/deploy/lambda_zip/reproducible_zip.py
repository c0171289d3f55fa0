"""Writes a folder as a reproducible zip, whose bytes depend on its files alone; replaces output files atomically."""

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from orchestrator.domain.errors import ConfigError

_UNIX = 3


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
