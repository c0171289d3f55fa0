"""Finds the files that come along with the program but stand outside of its package in a checkout."""

from importlib import resources
from pathlib import Path

from orchestrator.domain.errors import StartError


def read_shipped(name: str) -> bytes:
    """Return a file by its path in the checkout, such as `requirements/lambda.txt`; a wheel has it in `_templates/`.

    Raises StartError where it is in neither.
    """
    packaged = resources.files("orchestrator").joinpath("_templates", *name.split("/"))
    checkout = Path(__file__).parents[2] / name
    for place in (packaged, checkout):
        if place.is_file():
            return place.read_bytes()
    raise StartError(f"{name} is missing: reinstall orgmfa")
