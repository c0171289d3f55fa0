"""Packages that were damaged, locked or edited by hand."""

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from orchestrator.deploy.function_code import read_code, read_packed_config
from orchestrator.domain.errors import ConfigError

BILL, CONFIG = "orgmfa.cdx.json", "config.yaml"
TEXT = "the same text again and again, so that it is packed " * 40
ENCRYPTED = 0x01


def make_zip(path: Path, files: dict[str, str | bytes]) -> bytes:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in {"orchestrator/handler.py": "", **files}.items():
            archive.writestr(name, content)
    return path.read_bytes()


@pytest.mark.parametrize(
    "bill",
    [
        "{",
        "[]",
        "7",
        '{"metadata": []}',
        '{"metadata": {"properties": 7}}',
        '{"metadata": {"properties": [{}]}}',
        '{"metadata": {"properties": ["x"]}}',
        '{"metadata": {"properties": [{"name": [], "value": 1}]}}',
        b"\xff\xfe",
    ],
)
def test_package_with_a_bill_that_cannot_be_read_is_refused(tmp_path: Path, bill: str | bytes) -> None:
    path = tmp_path / "code.zip"
    make_zip(path, {BILL: bill})

    with pytest.raises(ConfigError, match=rf"--package: .*code.zip is no package of orgmfa: its {BILL}"):
        read_code(path, architecture="arm64", python="3.13")


def test_packed_configuration_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    make_zip(path, {CONFIG: b"policy: \xff"})

    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_packed_config(path)


@pytest.mark.parametrize("name", [BILL, CONFIG])
def test_package_whose_content_was_damaged_on_the_way_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "code.zip"
    whole = make_zip(path, {name: TEXT})
    start = whole.index(name.encode()) + len(name)
    path.write_bytes(whole[:start] + b"\xff" * 8 + whole[start + 8 :])

    with pytest.raises(ConfigError, match=r"--package: .*code.zip is no package of orgmfa"):
        _ = read_code(path, architecture="arm64", python="3.13") if name == BILL else read_packed_config(path)


def test_package_that_is_encrypted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    content = bytearray(make_zip(path, {CONFIG: TEXT}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of a file, and of its entry
        place = content.index(signature, content.index(signature) + 1)
        content[place + offset] |= ENCRYPTED
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"--package: .*code.zip is no package of orgmfa"):
        read_packed_config(path)
