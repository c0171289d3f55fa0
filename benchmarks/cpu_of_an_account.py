"""CPU that one account takes on one thread, without latency, over TLS.

`python -m benchmarks.cpu_of_an_account [LEVER]...`

Prints milliseconds an account (minimum and median of 59) and the calls made. A LEVER named on the command line is
switched off: `transport`, `user_agent`, `dates`, `quoting`.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time, sleep
from urllib.parse import quote_plus

from benchmarks.measuring import ROOT, certificates, make_environment, serving
from benchmarks.organization import Scenario

ACCOUNTS = 60
LEASE_SECONDS = 5.0


def switch_off(levers: list[str]) -> None:
    """Have botocore do again what the levers spare it."""
    from botocore.utils import parse_timestamp  # noqa: PLC0415 - in the child alone

    from orchestrator.aws import clients, transport  # noqa: PLC0415 - as above

    for lever in levers:
        if lever == "transport":
            vars(clients)["send_through"] = lambda client, *_: client
        elif lever == "user_agent":
            vars(clients)["_make_user_agent"] = lambda _: None
        elif lever == "dates":
            vars(transport)["read_timestamp"] = parse_timestamp
        else:
            vars(transport)["_quote"] = {"quoting": quote_plus}[lever]


def work() -> None:
    """Inspect and apply one account after the other, and print what that took."""
    import structlog  # noqa: PLC0415 - in the child alone

    from orchestrator import wiring  # noqa: PLC0415 - as above
    from orchestrator.concurrency.cancellation import Cancellation  # noqa: PLC0415 - as above
    from orchestrator.domain.config import ArchiveConfig, Config  # noqa: PLC0415 - as above
    from orchestrator.domain.model import Mode, RunRequest, Trigger  # noqa: PLC0415 - as above
    from orchestrator.pipeline.apply import Progress, apply_account  # noqa: PLC0415 - as above
    from orchestrator.pipeline.inspection import inspect_account  # noqa: PLC0415 - as above
    from orchestrator.pipeline.ports import Unobserved  # noqa: PLC0415 - as above

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    hub = wiring.make_hub(Config(archive=ArchiveConfig(location=str(Path.cwd() / "runs"))), os.environ)
    request = RunRequest(run_id="run-1", mode=Mode.APPLY, trigger=Trigger.CLI, started_at=wiring.utc_now())
    sleep(1)  # so that every credential report is younger than the run, whatever part of a second it began in
    context = wiring.build_context(
        hub, request, cancellation=Cancellation(), observer=Unobserved(), confirm=None, send_digest=False
    )
    took: list[float] = []
    if why := context.permit.acquire(LEASE_SECONDS):
        sys.exit(why)
    for account in context.directory.list_accounts():
        began_at = process_time()
        apply_account(inspect_account(account, context), context, Progress())
        took.append(1000 * (process_time() - began_at))
    context.permit.close()
    calls = context.counter.calls
    took = took[1:]  # the first opens connections and reads service models
    print(f"{min(took):.1f} ms at least, {median(took):.1f} ms in the median, {calls / ACCOUNTS:.0f} calls")


def main() -> None:
    """Serve an organization, and work through it in a process of its own."""
    scenario = Scenario(accounts=ACCOUNTS, latency_ms=0)
    with certificates() as folder, serving(scenario, folder) as port, TemporaryDirectory() as place:
        command = [sys.executable, "-m", "benchmarks.cpu_of_an_account", "--child", *sys.argv[1:]]
        environment = make_environment(port, folder) | {"PYTHONPATH": str(ROOT)}
        subprocess.run(command, env=environment, cwd=place, check=True)  # noqa: S603 - our own module


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        switch_off(sys.argv[2:])
        work()
    else:
        main()
