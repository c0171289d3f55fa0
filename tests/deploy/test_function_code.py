"""Packages that were built before."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from orchestrator.deploy.function_code import read_code, read_packed_config
from orchestrator.domain.errors import ConfigError


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no orchestrator/handler.py"),
        (None, "no package of orgmfa"),
        (
            {"orchestrator/handler.py": "", "orgmfa.cdx.json": "x86_64"},
            "built for x86_64, but the functions run on arm64",
        ),
    ],
)
def test_file_that_is_no_package_for_these_functions_is_refused(
    tmp_path: Path, files: dict[str, str] | None, words: str
) -> None:
    path = tmp_path / "code.zip"
    path.write_bytes(b"nothing")
    if files is not None:
        with ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, bill(text) if text else "")

    with pytest.raises(ConfigError, match=words):
        read_code(path, architecture="arm64", python="3.13")


def test_package_is_known_by_its_hash_and_brings_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("orchestrator/handler.py", "")
        archive.writestr("orgmfa.cdx.json", bill("arm64"))
        archive.writestr("config.yaml", "policy: {name: OurMfa}\n")

    code = read_code(path, architecture="arm64", python="3.13")

    assert code.content == path.read_bytes()
    assert code.key == f"artifacts/orgmfa-{code.sha256[:16]}.zip"
    assert read_packed_config(path).policy.name == "OurMfa"


def bill(architecture: str) -> str:
    properties = [
        {"name": "orgmfa:architecture", "value": architecture},
        {"name": "orgmfa:python", "value": "3.13"},
    ]
    return json.dumps({"metadata": {"properties": properties}})
