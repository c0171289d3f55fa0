"""The naive job with botocove. `python -m benchmarks.with_botocove`."""

import json

from botocove import CoveSession, cove

from benchmarks.naive import WORKERS, enforce
from benchmarks.organization import ROLE_NAME


@cove(rolename=ROLE_NAME, thread_workers=WORKERS, raise_exception=True)  # type: ignore[untyped-decorator] # not installed where types are checked
def work_on(session: CoveSession) -> int:
    """Do the job in the account of the session."""
    return enforce(session, session.session_information["Id"])


if __name__ == "__main__":
    print(json.dumps({"enforced": sum(result["Result"] for result in work_on()["Results"])}))
