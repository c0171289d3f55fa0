"""Renders the bill of materials (SBOM) of the zip from its wheels, as CycloneDX 1.6 in JSON.

A test validates it against the schema of the format.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from orchestrator.deploy.lambda_zip.dependencies import Runtime

_LONGEST_NAME = 100
"""A longer License field contains the text of a licence, not its name."""


def render_sbom(wheels: Iterable[Path], *, version: str, runtime: Runtime) -> str:
    """Return the bill of materials; the same text for the same wheels in any order."""
    properties = {"orgmfa:architecture": runtime.architecture, "orgmfa:python": runtime.python}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {**_named("application", "orgmfa", version), "licenses": [{"license": {"id": "Apache-2.0"}}]},
            "properties": [{"name": name, "value": value} for name, value in properties.items()],
        },
        "components": sorted(map(_component, wheels), key=lambda component: str(component["name"])),
    }
    serial = uuid5(NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=2, sort_keys=True) + "\n"


def _component(wheel: Path) -> dict[str, Any]:
    [package] = distributions(path=[str(wheel)])
    return {
        **_named("library", re.sub(r"[-_.]+", "-", package.name).lower(), package.version),
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        **_licences(package.metadata.json),
    }


def _named(kind: str, name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": kind, "bom-ref": purl, "purl": purl, "name": name, "version": version}


def _licences(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a package's licence from the most reliable of three metadata fields, or nothing without any.

    With several classifiers, License is a word such as "Dual License", which names none of them.
    """
    if expression := metadata.get("license_expression"):
        return {"licenses": [{"expression": expression}]}
    classifiers = metadata.get("classifier", ())
    classified = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")]
    written = metadata.get("license", "").strip()
    is_name = 0 < len(written) <= _LONGEST_NAME and len(classified) <= 1
    name = written if is_name else " / ".join(classified)
    return {"licenses": [{"license": {"name": name}}]} if name else {}
