from pathlib import Path

import pytest

from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.errors import StartError


def test_file_is_read_from_the_checkout_where_the_package_has_none() -> None:
    assert b"EnforcementPolicy" in read_shipped("member_role/template.yaml")


def test_packaged_copy_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "_templates" / "member_role").mkdir(parents=True)
    (tmp_path / "_templates" / "member_role" / "template.yaml").write_text("packaged")
    monkeypatch.setattr("orchestrator.domain.bundled_files.resources.files", lambda _: tmp_path)

    assert read_shipped("member_role/template.yaml") == b"packaged"


def test_missing_file_says_what_to_do() -> None:
    with pytest.raises(StartError, match=r"member_role/none\.yaml is missing: reinstall orgmfa"):
        read_shipped("member_role/none.yaml")
