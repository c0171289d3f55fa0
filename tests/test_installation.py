"""A wheel installed alone into a fresh environment, on each Python from the oldest to the newest that is here.

`make zip` runs it. The project names Python 3.11 and newer; where a newer one is missing, its case says so.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.13", "3.14")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def uv(*arguments: str | Path, folder: Path = ROOT) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", "--offline" if arguments[0] == "venv" else "--no-progress"]
    subprocess.run([*command, *arguments], cwd=folder, check=True)


def find_python(version: str) -> Path | None:
    """Return an interpreter of a version that runs: one of the path may be a shim for a version that is not chosen."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for found in (which(f"python{version}"), *root.glob(f"versions/{version}*/bin/python{version}")):
        if found and subprocess.run([found, "-V"], capture_output=True, check=False).returncode == 0:
            return Path(found)
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--no-build-isolation", "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_plain_install_runs_the_command_line(wheel: Path, tmp_path: Path, python: str) -> None:
    if (interpreter := find_python(python)) is None:
        pytest.skip(f"Python {python} is not here")
    environment = tmp_path / "environment"
    uv("venv", "--python", interpreter, environment)
    uv("pip", "install", "--python", environment / "bin" / "python", "-c", ROOT / "requirements" / "cli.txt", wheel)

    def orgmfa(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(environment / "bin" / "orgmfa"), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert orgmfa("--version").returncode == 0
    assert '"Version": "2012-10-17"' in orgmfa("policy").stdout
    assert orgmfa("config", "--check").returncode == 0
    assert orgmfa("plan", "--help").returncode == 0
    sandbox = orgmfa("plan", "--sandbox")
    assert sandbox.returncode == 2
    assert "orgmfa[sandbox]" in sandbox.stderr
    assert "Traceback" not in sandbox.stderr


def test_what_the_functions_run_is_what_the_command_line_runs_but_for_its_own() -> None:
    """One core over both: the same libraries from the same versions on."""
    core = set(PROJECT["project"]["dependencies"])
    functions = set(PROJECT["dependency-groups"]["lambda"])

    assert {name.partition(">")[0] for name in core - functions} == {"click", "pip", "rich"}
    assert {name.partition(">")[0] for name in functions - core} == {"aws-lambda-powertools"}
