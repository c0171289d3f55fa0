import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from orchestrator.concurrency import pool as cores
from orchestrator.concurrency.pool import one_core

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone binds threads to a core")


def cores_after(bind: Callable[[], None]) -> set[int]:
    """Return the cores that a new thread may run on, once it has called this."""
    found: list[set[int]] = []

    def work() -> None:
        bind()
        found.append(os.sched_getaffinity(0))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


@on_linux
def test_thread_is_bound_to_a_core_that_the_caller_may_run_on_and_the_caller_is_not() -> None:
    before = os.sched_getaffinity(0)

    found = cores_after(one_core())

    assert len(found) == 1
    assert found <= before
    assert os.sched_getaffinity(0) == before


@on_linux
def test_core_is_the_one_that_the_caller_runs_on() -> None:
    """A caller that may run on one core alone runs on that."""
    before = os.sched_getaffinity(0)
    try:
        for core in before:
            os.sched_setaffinity(0, {core})
            bind = one_core()
            os.sched_setaffinity(0, before)
            assert cores_after(bind) == {core}
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("told", "core"),
    [
        (f"7 (account_1) S {' '.join(map(str, range(4, 53)))}", 39),
        (f"7 (a (b) c) S {' '.join(map(str, range(4, 53)))}", 39),
        ("7 (account_1) S 4 5 6", None),
        ("", None),
        (None, None),
    ],
    ids=["usual", "a name with brackets", "fewer fields", "nothing", "no such file"],
)
def test_core_is_read_from_what_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, core: int | None
) -> None:
    if told is not None:
        (tmp_path / "stat").write_text(told)
    monkeypatch.setattr(cores, "_ABOUT_THIS_THREAD", tmp_path / "stat")
    asked: list[object] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, chosen: asked.append(chosen), raising=False)

    one_core()()

    assert asked == ([] if core is None else [{core}])


def test_nothing_is_bound_where_the_system_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)

    one_core()()


def test_nothing_is_bound_where_python_runs_several_threads_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, chosen: asked.append(chosen), raising=False)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)

    one_core()()

    assert asked == []


def test_core_that_is_no_longer_there_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(cores, "_find_core", lambda: 7)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)

    one_core()()
