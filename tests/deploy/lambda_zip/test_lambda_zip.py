"""The zip of the Lambda functions: what is in it, that it is the same each time, and what is said where it fails.

One zip is built for the whole session, for this machine's own processor and Python, from the index that set-up uses.
"""

import ast
import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib.util import source_hash
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name
from pydantic import TypeAdapter

import orchestrator
from orchestrator.aws.clients import Clients
from orchestrator.deploy.lambda_zip import Package, build_package
from orchestrator.deploy.lambda_zip.build import LOCK as LOCK_FILE
from orchestrator.deploy.lambda_zip.build import TEMPLATE, _lay_out
from orchestrator.deploy.lambda_zip.bytecode import compile_folder, find_interpreter
from orchestrator.deploy.lambda_zip.dependencies import fetch_wheels, unpack
from orchestrator.deploy.lambda_zip.file_selection import ENTRY_POINTS, SERVICES, is_needed, select_modules
from orchestrator.deploy.lambda_zip.reproducible_zip import replacing, write_zip
from orchestrator.deploy.lambda_zip.runtime import Runtime
from orchestrator.deploy.lambda_zip.sbom import render_sbom
from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.errors import ConfigError, OrgmfaError, StartError

OURS = Path(orchestrator.__file__).parent
ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
PYTHON = f"3.{sys.version_info.minor}"
MOST_BYTES = 15_000_000
COMMAND_LINE = {"__main__", "cli", "deploy", "sandbox"}
CONFIG = "enforcement: {mode: apply}\n"
ARM = Runtime("arm64", "3.13")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="what is compiled in the zip runs on Linux alone")


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

    assert {"slack_sdk", "smart_open", "aws_lambda_powertools", "orchestrator.handler"} <= set(loaded)


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
    """Each costs time at every cold start; slack_sdk, smart_open and powertools wait until they are needed."""
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


# -- the bill of materials -------------------------------------------------------------------------------------------


def test_bill_lists_every_package_with_the_hash_of_the_lock(package: Package, unpacked: Path) -> None:
    bill = json.loads(package.bill.read_text("utf-8"))
    pins = {canonicalize_name(name): (version, hashes) for name, version, hashes in read_lock()}

    listed = {component["name"]: component for component in bill["components"]}
    assert list(listed) == sorted(listed) == sorted(pins)
    for name, (version, hashes) in pins.items():
        [digest] = listed[name]["hashes"]
        assert f"sha256:{digest['content']}" in hashes
        assert listed[name]["version"] == version
        assert listed[name]["licenses"]
    assert (unpacked / "orgmfa.cdx.json").read_bytes() == package.bill.read_bytes()


def read_lock() -> list[tuple[str, str, list[str]]]:
    """Return name, version and hashes of what the lock of the Lambda pins."""
    pinned = re.findall(r"^(\S+)==(\S+)((?: \\\n    --hash=\S+)+)$", read_shipped(LOCK_FILE).decode(), re.MULTILINE)
    return [(name, version, re.findall(r"--hash=(\S+)", hashes)) for name, version, hashes in pinned]


def test_bill_is_what_its_format_asks_for(package: Package) -> None:
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(package.bill.read_text("utf-8"))

    assert fault is None, fault.data.message


def write_wheel(path: Path, *fields: str, version: str = "1.0") -> Path:
    """Write a wheel with these lines of metadata."""
    metadata = "".join(
        f"{line}\n" for line in ("Metadata-Version: 2.4", "Name: sample", f"Version: {version}", *fields)
    )
    files = {
        "sample/": "",
        "sample/__init__.py": "",
        f"sample-{version}.dist-info/METADATA": metadata,
        f"sample-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"sample-{version}.data/purelib/more.py": "",
        f"sample-{version}.data/scripts/run.sh": "",
    }
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: MIT"], [{"expression": "MIT OR Apache-2.0"}]),
        (["License: BSD-3-Clause"], [{"license": {"name": "BSD-3-Clause"}}]),
        (
            [
                f"License: {'Permission is hereby granted, ' * 9}",
                "Classifier: License :: OSI Approved :: MIT License",
            ],
            [{"license": {"name": "MIT License"}}],
        ),
        (
            [
                "License: Dual License",
                *(f"Classifier: License :: OSI Approved :: {name} License" for name in ("BSD", "MIT")),
            ],
            [{"license": {"name": "BSD License / MIT License"}}],
        ),
        (["Classifier: Topic :: Security"], None),
        ([], None),
    ],
)
def test_licence_is_told_as_surely_as_the_package_tells_it(
    tmp_path: Path, metadata: list[str], licences: object
) -> None:
    wheel = write_wheel(tmp_path / "sample-1.0-py3-none-any.whl", *metadata)

    text = render_sbom([wheel], version="0.1.0", runtime=ARM)

    [component] = json.loads(text)["components"]
    assert component.get("licenses") == licences
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_bills_of_other_contents_have_other_serial_numbers(tmp_path: Path) -> None:
    numbers = set()
    for version in ("1.0", "1.0", "1.1"):
        wheel = write_wheel(tmp_path / f"sample-{version}-py3-none-any.whl", version=version)
        numbers.add(json.loads(render_sbom([wheel], version="0.1.0", runtime=ARM))["serialNumber"])

    assert len(numbers) == 2


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


def test_without_a_configuration_none_is_packed(tmp_path: Path) -> None:
    _lay_out(tmp_path, [], None)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["orchestrator"]
    assert (tmp_path / "orchestrator/_templates/member_role/template.yaml").is_file()


# -- wheels ----------------------------------------------------------------------------------------------------------


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
