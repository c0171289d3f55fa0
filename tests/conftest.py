"""What every test runs under: no real credentials, no configuration of the machine, and an AWS of its own on demand."""

import gc
import os
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.hooks
import botocore.loaders
import botocore.session
import moto.core.responses
import pytest
import structlog
from botocore.compat import accepts_kwargs
from botocore.handlers import BUILTIN_HANDLERS
from botocore.hooks import EventAliaser
from hypothesis import settings
from moto.core.utils import method_names_from_class

from tests.aws_server import AwsServer

# How long an example takes is the machine's business. CI tries more of them.
settings.register_profile("everyday", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "everyday")


def pytest_collection_finish() -> None:
    """Have the collector pass over what was imported, moto and the service models above all: it stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def looked_up_once() -> Iterator[None]:
    """Have botocore and moto look up once what never changes: models, names of events, handlers, operations.

    botocore keeps it in a session, of which the program makes one a process; but here it is started some hundred times.
    moto looks through the operations of a service at each call.
    """
    kept: defaultdict[str | None, dict[Any, Any]] = defaultdict(dict)
    names: dict[str, str] = {}
    builtin = {handler for _, handler, *_ in BUILTIN_HANDLERS}

    def make_loader(search_path: str | None = None) -> Any:
        loader: Any = botocore.loaders.create_loader(search_path)
        loader._cache = kept[search_path]
        return loader

    class Aliaser(EventAliaser):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._alias_name_cache = names

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", make_loader)
        patch.setattr(botocore.session, "EventAliaser", Aliaser)
        patch.setattr(botocore.hooks, "accepts_kwargs", lambda handler: handler in builtin or accepts_kwargs(handler))
        patch.setattr(moto.core.responses, "method_names_from_class", cache(method_names_from_class))
        yield


@pytest.fixture(autouse=True)
def no_real_aws(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Break real credentials and settings, so that a test can reach nothing but what it starts itself."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ORGMFA_", "BOTO_"))]:
        monkeypatch.delenv(name)
    missing = tmp_path_factory.getbasetemp() / "missing"  # not `tmp_path`: most tests need no folder
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEHUB000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(missing / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(missing / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Give each test a log configuration and log context of its own."""
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def served_aws() -> Iterator[AwsServer]:
    """One AWS server for the whole test session; use `aws`, which empties it first."""
    with AwsServer() as server:
        yield server


@pytest.fixture
def aws(served_aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    """An empty AWS served over loopback HTTP, to which this test's AWS_ENDPOINT_URL points."""
    served_aws.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", served_aws.url)
    return served_aws
