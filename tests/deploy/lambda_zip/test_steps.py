"""The steps of a package build: lock and runtime, selection, wheels, bytecode; and what is said where one fails."""

import hashlib
import json
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from orchestrator.deploy.lambda_zip import build_package
from orchestrator.deploy.lambda_zip.build import LOCK as LOCK_FILE
from orchestrator.deploy.lambda_zip.build import (
    TEMPLATE,
    _lay_out,
    _read_settings,
    compile_folder,
    find_interpreter,
    replacing,
)
from orchestrator.deploy.lambda_zip.dependencies import Runtime, fetch_wheels, render_sbom, unpack
from orchestrator.deploy.lambda_zip.file_selection import is_needed, select_modules
from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.errors import ConfigError, OrgmfaError, StartError
from tests.deploy.lambda_zip.packages import ARM, PYTHON, read_lock

# -- lock and runtime ------------------------------------------------------------------------------------------------


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


# -- what is chosen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("botocore/client.py", True),
        ("botocore/data/endpoints.json", True),
        ("botocore/data/iam/2010-05-08/service-2.json.gz", True),
        ("botocore/data/iam/2010-05-08/examples-1.json", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("boto3/data/iam/2010-05-08/resources-1.json", False),
        ("boto3-1.44.5.dist-info/METADATA", True),
        ("boto3-1.44.5.dist-info/LICENSE", True),
        ("boto3-1.44.5.dist-info/NOTICE.txt", True),
        ("boto3-1.44.5.dist-info/RECORD", False),
        ("boto3-1.44.5.dist-info/WHEEL", False),
        ("structlog-26.1.0.dist-info/licenses/LICENSE-MIT", True),
        ("structlog/testing.py", True),
        ("annotated_types/test_cases.py", False),
        ("package/tests/test_it.py", False),
        ("six.py", True),
        ("pydantic/py.typed", False),
        ("pydantic_core/_pydantic_core.cpython-313-aarch64-linux-gnu.so", True),
        ("slack_sdk/web/client.py", True),
        ("slack_sdk/socket_mode/client.py", False),
        ("slack/__init__.py", False),
        ("aws_lambda_powertools/metrics/metrics.py", True),
        ("aws_lambda_powertools/utilities/__init__.py", True),
        ("aws_lambda_powertools/utilities/jmespath_utils/__init__.py", True),
        ("aws_lambda_powertools/utilities/parser/models/s3.py", False),
    ],
)
def test_of_a_package_goes_in_what_is_needed(path: str, needed: bool) -> None:
    assert is_needed(PurePosixPath(path)) is needed


def test_of_our_modules_go_in_those_that_the_functions_import_now_or_later(tmp_path: Path) -> None:
    sources = {
        "__init__.py": "",
        "handler.py": "from orchestrator.run import go\ndef late():\n    from orchestrator.store import sub\n",
        "run.py": "import orchestrator.words.plain\nimport orchestrator_of_others\n",
        "words/__init__.py": "",
        "words/plain.py": "",
        "words/fancy.py": "",
        "store/__init__.py": "",
        "store/sub.py": "from orchestrator import handler\n",
        "lambdas/__init__.py": "",
        "lambdas/step.py": "from orchestrator.words import spoken\n",
        "words/spoken.py": "",
        "cli.py": "from orchestrator.handler import late\n",
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    chosen = select_modules(tmp_path)

    left_out = {"cli.py", "words/fancy.py"}
    assert set(chosen) == {f"orchestrator/{name}" for name in sources.keys() - left_out}


def test_data_that_modules_read_goes_in_beside_them(tmp_path: Path) -> None:
    _lay_out(tmp_path, [], {})

    data = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".py"}
    assert data == {"remedies.ini", "nudge.txt", "page.html", "page.css", "page.js", "template.yaml"}


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


# -- wheels ----------------------------------------------------------------------------------------------------------


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


# -- bytecode --------------------------------------------------------------------------------------------------------


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


# -- failures leave nothing ------------------------------------------------------------------------------------------


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


def test_wheel_and_sdist_bring_along_what_stands_outside_of_the_package() -> None:
    with Path("pyproject.toml").open("rb") as file:
        targets = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]

    assert {LOCK_FILE, TEMPLATE} <= set(targets["wheel"]["only-include"]) & set(targets["sdist"]["only-include"])
    for name in (LOCK_FILE, TEMPLATE):
        folder = name.partition("/")[0]
        assert targets["wheel"]["sources"][folder] == f"orchestrator/_templates/{folder}"


def test_missing_file_of_the_program_is_an_error_with_a_remedy() -> None:
    with pytest.raises(OrgmfaError, match=r"requirements/none\.txt is missing: reinstall orgmfa"):
        read_shipped("requirements/none.txt")
