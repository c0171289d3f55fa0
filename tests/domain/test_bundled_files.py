import tomllib
from pathlib import Path

import pytest

from orchestrator.deploy.lambda_zip.build import LOCK as LOCK_FILE
from orchestrator.deploy.lambda_zip.build import TEMPLATE
from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.errors import StartError


def test_file_is_read_from_the_checkout_where_the_package_has_none() -> None:
    assert b"EnforcementPolicy" in read_shipped("member_role/template.yaml")


def test_packaged_copy_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "_templates" / "member_role").mkdir(parents=True)
    (tmp_path / "_templates" / "member_role" / "template.yaml").write_text("packaged")
    monkeypatch.setattr("orchestrator.domain.bundled_files.resources.files", lambda _: tmp_path)

    assert read_shipped("member_role/template.yaml") == b"packaged"


@pytest.mark.parametrize("name", ["member_role/none.yaml", "requirements/none.txt"])
def test_missing_file_says_what_to_do(name: str) -> None:
    with pytest.raises(StartError, match=f"{name} is missing: reinstall orgmfa"):
        read_shipped(name)


def test_wheel_and_sdist_bring_along_what_stands_outside_of_the_package() -> None:
    with Path("pyproject.toml").open("rb") as file:
        targets = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]

    assert {LOCK_FILE, TEMPLATE} <= set(targets["wheel"]["only-include"]) & set(targets["sdist"]["only-include"])
    for name in (LOCK_FILE, TEMPLATE):
        folder = name.partition("/")[0]
        assert targets["wheel"]["sources"][folder] == f"orchestrator/_templates/{folder}"
