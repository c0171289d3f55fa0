"""The lock and the runtime, and the wheels that are fetched for them."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from orchestrator.deploy.lambda_zip.build import LOCK as LOCK_FILE
from orchestrator.deploy.lambda_zip.dependencies import Runtime, fetch_wheels, render_sbom, unpack
from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.errors import StartError
from tests.deploy.lambda_zip.packages import ARM, read_lock


def test_lock_is_the_same_for_every_runtime() -> None:
    """pip evaluates environment markers for the machine that it runs on, not for the runtime that it installs for.

    A package that only some runtimes need goes into the dependencies of pyproject.toml without a marker.
    """
    text = read_shipped(LOCK_FILE).decode()

    assert {name for name, _, _ in read_lock()} >= {"boto3", "botocore", "pydantic-core", "slack-sdk"}
    assert sum(len(hashes) for _, _, hashes in read_lock()) == text.count("--hash=")
    assert len(read_lock()) == text.count("==")
    assert ";" not in text


@pytest.mark.parametrize(("python", "newest"), [("3.11", "manylinux_2_26_aarch64"), ("3.12", "manylinux_2_34_aarch64")])
def test_wheels_fit_the_linux_of_the_runtime(python: str, newest: str) -> None:
    platforms = Runtime("arm64", python).platforms

    assert platforms[0] == newest
    assert platforms[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]


def test_wheel_is_fetched_and_unpacked_without_its_commands(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(sample.read_bytes()).hexdigest()
    folder = tmp_path / "zip"
    for name in ("PIP_ROOT", "PIP_PREFIX"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))

    [wheel] = fetch_wheels(f"sample==1.0 --hash=sha256:{digest}".encode(), ARM, tmp_path)
    unpack(wheel, folder)

    [component] = json.loads(render_sbom([wheel], version="0.1.0", runtime=ARM))["components"]
    assert (component["name"], component["version"]) == ("sample", "1.0")
    assert component["hashes"] == [{"alg": "SHA-256", "content": digest}]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"sample/__init__.py", "more.py", "sample-1.0.dist-info/METADATA"}


@pytest.mark.parametrize(
    ("pin", "told"),
    [
        (f"sample==1.0 --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES"),
        (f"sample==2.0 --hash=sha256:{'0' * 64}", "sample==2.0.*PIP_INDEX_URL"),
        ("sample==1.0", "Hashes are required"),
    ],
)
def test_wheel_that_is_missing_or_not_the_locked_one_is_an_error_with_pips_words(
    sample: Path, tmp_path: Path, pin: str, told: str
) -> None:
    with pytest.raises(StartError, match=told) as caught:
        fetch_wheels(pin.encode(), ARM, tmp_path)

    assert "Linux arm64, Python 3.13" in str(caught.value)


def test_index_that_does_not_answer_is_said(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")

    with pytest.raises(StartError, match="the index did not answer"):
        fetch_wheels(f"sample==1.0 --hash=sha256:{'0' * 64}".encode(), ARM, tmp_path)


def test_missing_pip_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)

    with pytest.raises(StartError, match="pip is missing"):
        fetch_wheels(b"", ARM, tmp_path)
