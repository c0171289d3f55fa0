"""How a package is built: settings and bytecode go in, and a build that fails leaves nothing."""

import sys
from pathlib import Path

import pytest

from orchestrator.deploy.lambda_zip import build_package
from orchestrator.deploy.lambda_zip.build import _lay_out, _read_settings, compile_folder, find_interpreter, replacing
from orchestrator.domain.errors import ConfigError, StartError
from tests.deploy.lambda_zip.packages import PYTHON


@pytest.mark.parametrize(
    ("architecture", "python", "told"),
    [
        ("mips", "3.13", "--architecture: 'mips' is not one of arm64, x86_64"),
        ("aarch64", "3.13", "--architecture"),
        ("arm64", "3.10", "--python: '3.10'"),
        ("arm64", "3.13.1", "--python"),
        ("arm64", "python3.13", "--python"),
        ("arm64", "", "--python"),
    ],
)
def test_unknown_runtime_is_refused_before_anything_is_made(
    tmp_path: Path, architecture: str, python: str, told: str
) -> None:
    output = tmp_path / "made" / "orgmfa.zip"

    with pytest.raises(ConfigError, match=told):
        build_package(output, architecture=architecture, python=python, config=None, progress=lambda _: None)

    assert not output.parent.exists()


def test_without_a_configuration_none_is_packed(tmp_path: Path) -> None:
    _lay_out(tmp_path, [], {})

    assert sorted(path.name for path in tmp_path.iterdir()) == ["orchestrator"]
    assert (tmp_path / "orchestrator/_templates/member_role/template.yaml").is_file()


def test_text_of_messages_is_packed_beside_the_configuration_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "settings.yaml"
    config.write_text("nudge: {text: ours.txt}", encoding="utf-8")
    (tmp_path / "ours.txt").write_text("Set up MFA: {users}", encoding="utf-8")

    _lay_out(tmp_path / "zip", [], _read_settings(config))

    assert (tmp_path / "zip/ours.txt").read_text("utf-8") == "Set up MFA: {users}"
    assert (tmp_path / "zip/config.yaml").is_file()


@pytest.mark.parametrize("text", ["/etc/motd", "../ours.txt", "missing.txt"])
def test_text_of_messages_that_is_elsewhere_is_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(f"nudge: {{text: {text}}}", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"nudge\.text"):
        _read_settings(config)


def test_the_running_python_compiles_for_its_own_version() -> None:
    assert find_interpreter(PYTHON) == sys.executable


def test_a_python_that_does_not_run_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "python3.99"
    stub.write_text("#!/bin/sh\nexit 127\n")
    stub.chmod(0o755)
    broken = tmp_path / "python3.98"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert [find_interpreter(f"3.{minor}") for minor in (97, 98, 99)] == [None, None, None]


def test_zip_without_bytecode_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told: list[str] = []

    assert compile_folder(tmp_path, "3.97", told.append) is None
    assert told == ["no python3.97 here to compile with: the Lambda will do it itself, at each cold start"]


def test_a_module_that_cannot_be_compiled_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def\n", encoding="utf-8")

    with pytest.raises(StartError, match=r"cannot compile .*broken\.py"):
        compile_folder(tmp_path, PYTHON, lambda _: None)


def test_package_without_index_fails_and_leaves_the_older_one(sample: Path, tmp_path: Path) -> None:
    output = tmp_path / "made" / "orgmfa.zip"
    output.parent.mkdir()
    output.write_bytes(b"older")
    told: list[str] = []

    with pytest.raises(StartError, match="cannot fetch the packages"):
        build_package(output, architecture="arm64", python="3.13", config=None, progress=told.append)

    assert told
    assert [path.name for path in output.parent.iterdir()] == ["orgmfa.zip"]
    assert output.read_bytes() == b"older"


@pytest.mark.parametrize("output", [Path(), Path("/")])
def test_output_without_a_name_is_refused(output: Path) -> None:
    with pytest.raises(ConfigError, match=r"--output: cannot write .*is a folder; name a file"):
        build_package(output, architecture="arm64", python="3.13", config=None, progress=pytest.fail)


@pytest.mark.parametrize(("output", "told"), [("file/orgmfa.zip", "file"), ("folder", "is a folder")])
def test_output_that_cannot_be_written_is_refused_before_anything_is_fetched(
    tmp_path: Path, output: str, told: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(ConfigError, match=rf"--output: cannot write .*{told}"):
        build_package(tmp_path / output, architecture="arm64", python="3.13", config=None, progress=pytest.fail)

    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ["enforcement: {mood: apply}", "a: &b {}", None])
def test_configuration_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path, text: str | None) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"config\.yaml"):
        build_package(tmp_path / "a.zip", architecture="arm64", python="3.13", config=config, progress=pytest.fail)

    assert [path for path in tmp_path.iterdir() if path != config] == []


def test_file_that_is_given_up_half_way_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"older")

    def give_up() -> None:
        with replacing(path) as folder:
            folder.joinpath(path.name).write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()

    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.zip", b"older")]
