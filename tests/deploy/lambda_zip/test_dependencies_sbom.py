"""The bill of materials of the zip."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from orchestrator.deploy.lambda_zip import Package
from orchestrator.deploy.lambda_zip.dependencies import render_sbom
from tests.deploy.lambda_zip.packages import ARM, read_lock, write_wheel

pytestmark = pytest.mark.thorough


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


def test_bill_is_what_its_format_asks_for(package: Package) -> None:
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(package.bill.read_text("utf-8"))

    assert fault is None, fault.data.message


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
