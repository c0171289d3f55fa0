"""All that moto holds, as bytes: what a test set up by many calls is put back by one.

moto keeps a backend for each service, account and Region. What they hold is pickled together, since objects of several
services refer to one another; the backends themselves stay, and are named in the pickle by where they are.
"""

import pickle
from io import BytesIO
from typing import Any

from moto.backends import get_backend
from moto.core.base_backend import BackendDict, BaseBackend

SERVICES = ("iam", "sts", "organizations", "s3", "secretsmanager")
"""The services that can be put back. SSM cannot: moto keeps functions in it. A test that needs a parameter puts it."""

Place = tuple[str, str, str]


def empty_moto() -> None:
    """Empty every backend of every service."""
    BackendDict.reset()
    _masters().clear()


def dump_moto() -> bytes:
    """Return what the backends of the services hold; no other service may hold anything."""
    used = {backends.service_name for backends in _used_backends()}
    assert used <= set(SERVICES), used
    backends = {
        (service, account_id, region): backend
        for service in SERVICES
        for account_id, region, backend in _backends(service).iter_backends()
    }
    buffer = BytesIO()
    _Pickler(buffer, backends).dump(({place: vars(one) for place, one in backends.items()}, _masters()))
    return buffer.getvalue()


def load_moto(state: bytes) -> None:
    """Put back what `dump_moto` returned, and nothing else."""
    empty_moto()
    held, masters = _Unpickler(BytesIO(state)).load()
    for place, values in held.items():
        vars(_find_backend(place)).update(values)
    _masters().update(masters)


class _Pickler(pickle.Pickler):
    def __init__(self, file: BytesIO, backends: dict[Place, BaseBackend]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._places = {id(backend): place for place, backend in backends.items()}

    def persistent_id(self, obj: Any) -> Place | None:
        return self._places[id(obj)] if isinstance(obj, BaseBackend) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> BaseBackend:
        return _find_backend(pid)


def _find_backend(place: Place) -> BaseBackend:
    service, account_id, region = place
    found: BaseBackend = _backends(service)[account_id][region]
    return found


def _backends(service: str) -> Any:
    return get_backend(service)  # type: ignore[call-overload]


def _used_backends() -> list[Any]:
    backend_dict: Any = BackendDict
    used: list[Any] = backend_dict._instances  # moto tells it nowhere else
    return used


def _masters() -> dict[str, tuple[str, str]]:
    """Return which management account each member account belongs to: moto keeps it beside the backends."""
    masters: dict[str, tuple[str, str]] = _backends("organizations").master_accounts
    return masters
