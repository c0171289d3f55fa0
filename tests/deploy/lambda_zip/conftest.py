"""Fixtures of the tests of the zip: one is built for the whole session, for this machine's processor and Python.

It is built from the index that set-up uses.
"""

import fcntl
import os
from pathlib import Path
from zipfile import ZipFile

import pytest
from pydantic import TypeAdapter

from orchestrator.deploy.lambda_zip import Package, build_package
from tests.deploy.lambda_zip.packages import ARCHITECTURE, CONFIG, PYTHON, write_wheel


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Package:
    """The first process of the session that asks builds it; the others wait for that, and read what it is."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "package"
    folder.mkdir(exist_ok=True)
    built = folder / "built.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            built.write_bytes(TypeAdapter(Package).dump_json(_build(folder)))
    return TypeAdapter(Package).validate_json(built.read_bytes())


def _build(folder: Path) -> Package:
    config = folder / "settings.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    output = folder / "made" / "orgmfa.zip"
    return build_package(output, architecture=ARCHITECTURE, python=PYTHON, config=config, progress=lambda _: None)


@pytest.fixture(scope="session")
def names(package: Package) -> list[str]:
    with ZipFile(package.path) as archive:
        return archive.namelist()


@pytest.fixture(scope="session")
def unpacked(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with ZipFile(package.path) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in a folder that is all that pip may look at."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = write_wheel(folder / "sample-1.0-py3-none-any.whl")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return wheel
