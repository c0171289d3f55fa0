"""Writes the bill of materials: what is in the zip, as CycloneDX 1.6 in JSON. Pure: wheels' facts in, text out.

The few fields are written here; a test holds them against the format's own schema.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.metadata import RawMetadata

from orchestrator.deploy.lambda_zip.runtime import Target

_OUR_LICENCE = "Apache-2.0"
_LICENCE_CLASSIFIER = "License :: "
_LONGEST_NAME = 100
"""The field License may hold the whole text of a licence."""


@dataclass(frozen=True, slots=True)
class Component:
    """A package in the zip, and the hash of the wheel that it comes from."""

    name: str
    version: str
    sha256: str
    metadata: RawMetadata


def render_bill(components: Iterable[Component], *, version: str, target: Target) -> str:
    """Return the bill of a zip of this version of orgmfa; the same text for the same components."""
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                **_named("application", "orgmfa", version),
                "licenses": [{"license": {"id": _OUR_LICENCE}}],
            },
            "properties": [
                {"name": "orgmfa:architecture", "value": target.architecture},
                {"name": "orgmfa:python", "value": target.python},
            ],
        },
        "components": [_render(component) for component in components],
    }
    serial = uuid5(NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=2, sort_keys=True) + "\n"


def _render(component: Component) -> dict[str, Any]:
    licence = _licence(component.metadata)
    return {
        **_named("library", component.name, component.version),
        "hashes": [{"alg": "SHA-256", "content": component.sha256}],
        **({"licenses": [licence]} if licence else {}),
    }


def _named(kind: str, name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": kind, "bom-ref": purl, "purl": purl, "name": name, "version": version}


def _licence(metadata: RawMetadata) -> dict[str, Any] | None:
    """Return a package's licence, by the surest of the three fields that may name it; None where none does.

    With several classifiers, License is a word such as "Dual License", which names none of them.
    """
    if expression := metadata.get("license_expression"):
        return {"expression": expression}
    classified = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get("classifiers", ())
        if classifier.startswith(_LICENCE_CLASSIFIER)
    ]
    written = metadata.get("license", "").strip()
    is_name = 0 < len(written) <= _LONGEST_NAME and len(classified) <= 1
    name = written if is_name else " / ".join(classified)
    return {"license": {"name": name}} if name else None
