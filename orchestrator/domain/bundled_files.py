"""Reads files that are shipped with the program but are outside its package in a checkout."""

from importlib import resources
from pathlib import Path

from orchestrator.domain.errors import StartError


def read_shipped(name: str) -> bytes:
    """Return the content of a file by its path in the checkout; a wheel has it in `_templates/`. Raises StartError."""
    packaged = resources.files("orchestrator").joinpath("_templates", *name.split("/"))
    checkout = Path(__file__).parents[2] / name
    for place in (packaged, checkout):
        if place.is_file():
            return place.read_bytes()
    raise StartError(f"{name} is missing: reinstall orgmfa")
