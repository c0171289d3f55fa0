"""The zip of the Lambda functions: what is in it, that it is the same each time, and that it is complete.

One zip is built for the whole session: conftest.py.
"""

import ast
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import source_hash
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from orchestrator.aws.clients import Clients
from orchestrator.deploy.lambda_zip import Package
from orchestrator.deploy.lambda_zip.build import TEMPLATE, compile_folder, write_zip
from orchestrator.deploy.lambda_zip.file_selection import ENTRY_POINTS, SERVICES
from orchestrator.domain.bundled_files import read_shipped
from tests.deploy.lambda_zip.packages import (
    COMMAND_LINE,
    CONFIG,
    MOST_BYTES,
    OURS,
    PYTHON,
)

pytestmark = pytest.mark.thorough

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="what is compiled in the zip runs on Linux alone")


def run_alone(folder: Path, script: str) -> Any:
    """Run a script that has the zip's folder and the standard library alone, and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", f"import json, sys\nsys.path.insert(0, {str(folder)!r})\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# -- what is built ---------------------------------------------------------------------------------------------------


def test_package_tells_where_it_is_and_what_it_is(package: Package) -> None:
    content = package.path.read_bytes()

    assert package.size == len(content) < MOST_BYTES
    assert package.sha256 == hashlib.sha256(content).hexdigest()
    assert package.bill == package.path.with_name("orgmfa.cdx.json")
    assert sorted(path.name for path in package.path.parent.iterdir()) == ["orgmfa.cdx.json", "orgmfa.zip"]


def test_bytes_depend_on_the_files_alone(package: Package, unpacked: Path, tmp_path: Path) -> None:
    again = tmp_path / "laid out elsewhere"
    files = [path for path in unpacked.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in reversed(files):
        copy = again / path.relative_to(unpacked)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        os.utime(copy, (time.time(), 10**9))
    compile_folder(again, PYTHON, lambda _: None)
    write_zip(again, tmp_path / "again.zip")

    assert hashlib.sha256((tmp_path / "again.zip").read_bytes()).hexdigest() == package.sha256


def test_entries_are_sorted_and_of_one_time_and_two_modes(package: Package) -> None:
    with ZipFile(package.path) as archive:
        entries = archive.infolist()

    assert [entry.filename for entry in entries] == sorted({entry.filename for entry in entries})
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.compress_type for entry in entries} == {ZIP_DEFLATED}
    modes = {entry.external_attr >> 16 for entry in entries if not entry.filename.endswith(".so")}
    assert modes == {0o100644}
    assert {entry.external_attr >> 16 for entry in entries if entry.filename.endswith(".so")} == {0o100755}


def test_only_what_the_lambda_runs_is_in_it(names: list[str]) -> None:
    modules = {PurePosixPath(name).parts[1].removesuffix(".py") for name in names if name.startswith("orchestrator/")}

    assert {"handler", "wiring", "pipeline", "lambdas", "aws", "output", "_templates"} <= modules
    assert modules & COMMAND_LINE == set()


def test_no_tests_and_no_traces_of_an_installation_are_in_it(names: list[str]) -> None:
    parts = {part for name in names for part in PurePosixPath(name).parts}

    assert parts & {"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "bin", "tests", "test", "py.typed"} == set()
    assert [name for name in names if name.endswith((".pyi", ".c", ".whl"))] == []


def test_licence_of_every_package_is_in_it(names: list[str]) -> None:
    folders = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    licensed = {name.partition("/")[0] for name in names if ".dist-info/lic" in name.lower()}

    assert folders == licensed
    assert {f"{folder}/METADATA" for folder in folders} <= set(names)


def test_botocore_knows_the_services_used_and_no_other(names: list[str]) -> None:
    known = {PurePosixPath(name).parts[2] for name in names if name.startswith("botocore/data/")}

    shared = {"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"}
    assert known == SERVICES | shared
    assert [name for name in names if name.startswith("boto3/data/") or "/examples" in name] == []


def test_template_and_configuration_are_where_the_handler_looks(unpacked: Path) -> None:
    script = """
import os
from orchestrator.domain.config_file import load_config
from orchestrator.domain.policy_document import render_enforcement_policy
from orchestrator.lambdas.runtime import PACKAGED_CONFIG
mode = load_config(None, {}, fallback=PACKAGED_CONFIG).enforcement.mode
statements = render_enforcement_policy(partition="aws", access_keys="deny")["Statement"]
print(json.dumps([mode, len(statements)]))
"""

    mode, statements = run_alone(unpacked, script) if sys.platform == "linux" else ("apply", 1)

    assert (mode, statements > 0) == ("apply", True)
    template = unpacked / "orchestrator/_templates/member_role/template.yaml"
    assert template.read_bytes() == read_shipped(TEMPLATE)
    assert (unpacked / "config.yaml").read_text("utf-8") == CONFIG


def test_every_module_is_compiled_and_nothing_else_is_in_pycache(package: Package, names: list[str]) -> None:
    compiled = {name for name in names if "__pycache__/" in name}
    sources = [PurePosixPath(name) for name in names if name.endswith(".py")]

    tag = f"cpython-{PYTHON.replace('.', '')}"
    assert package.bytecode is not None
    assert compiled == {f"{path.parent}/__pycache__/{path.stem}.{tag}.pyc".removeprefix("./") for path in sources}


def test_bytecode_is_tied_to_its_source_and_names_the_lambdas_paths(unpacked: Path) -> None:
    [compiled] = (unpacked / "orchestrator" / "__pycache__").glob("handler.*.pyc")
    content = compiled.read_bytes()

    is_checked_by_hash = 0b11
    assert int.from_bytes(content[4:8], "little") == is_checked_by_hash
    assert content[8:16] == source_hash((unpacked / "orchestrator" / "handler.py").read_bytes())
    assert b"/var/task/orchestrator/handler.py" in content
    assert str(OURS).encode() not in content


# -- whether it is complete ------------------------------------------------------------------------------------------


@on_linux
def test_every_import_of_our_modules_succeeds_with_the_zip_alone(unpacked: Path) -> None:
    modules = sorted((unpacked / "orchestrator").rglob("*.py"))
    ours = {(".".join(path.relative_to(unpacked).with_suffix("").parts), "") for path in modules}
    wanted = sorted(ours.union(*map(imports_of, modules)))
    script = f"""
import importlib
for module, name in {wanted!r}:
    found = importlib.import_module(module)
    if name and not hasattr(found, name):
        importlib.import_module(module + "." + name)
print(json.dumps(sorted(sys.modules)))
"""

    loaded = run_alone(unpacked, script)

    assert {"slack_sdk", "aws_lambda_powertools", "orchestrator.handler"} <= set(loaded)


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what a module imports at some time, as (module, name in it); what only type checkers see is left out."""
    open_nodes: list[ast.AST] = [ast.parse(path.read_bytes())]
    while open_nodes:
        node = open_nodes.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import(names=aliases):
                yield from ((alias.name, "") for alias in aliases)
            case ast.ImportFrom(module=str(module), names=aliases):
                yield from ((module, alias.name) for alias in aliases)
        open_nodes += ast.iter_child_nodes(node)


@on_linux
@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_importing_an_entry_point_loads_these_packages_and_no_other(unpacked: Path, entry_point: str) -> None:
    """Each costs time at every cold start; slack_sdk and powertools wait until they are needed."""
    script = f"""
import {entry_point}
files = {{name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}}
print(json.dumps(sorted({{name.partition(".")[0] for name, file in files.items() if file.startswith(sys.path[0])}})))
"""

    assert run_alone(unpacked, script) == [
        "annotated_types",
        "boto3",
        "botocore",
        "dateutil",
        "jmespath",
        "orchestrator",
        "pydantic",
        "pydantic_core",
        "s3transfer",
        "six",
        "structlog",
        "tenacity",
        "typing_extensions",
        "typing_inspection",
        "urllib3",
        "yaml",
    ]


@on_linux
def test_every_client_can_be_made_with_the_data_that_is_left(unpacked: Path) -> None:
    services = sorted(name for name, value in vars(Clients).items() if type(value).__name__ == "cached_property")
    script = f"""
import os
os.environ.update(AWS_ACCESS_KEY_ID="AKIAEXAMPLEHUB000000", AWS_SECRET_ACCESS_KEY="no", AWS_DEFAULT_REGION="eu-west-1")
from orchestrator.aws.clients import make_clients
clients = make_clients(connections=1)
made = [getattr(clients, name).meta.service_model.service_name for name in {services!r}]
others = [clients.hub.client(name).meta.region_name for name in {sorted(SERVICES)!r}]
print(json.dumps(made))
"""

    made = run_alone(unpacked, script)

    assert set(made) <= SERVICES
    assert len(made) == len(services)
