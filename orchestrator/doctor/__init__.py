"""`orgmfa doctor`: checks what a run needs, says what to do about it, and changes nothing in any account.

`settings`, `scp` and `report` are pure; `hub`, `deployment` and `accounts` look through `instruments` and make a line
of every failure; `examination` goes through it all; `table` prints it, and is for the command line alone.
"""

from orchestrator.doctor.ports import DoctorContext, DoctorRequest
from orchestrator.doctor.report import Check, CheckName, CheckStatus, DoctorReport
from orchestrator.doctor.run import DoctorRun, run_checks

__all__ = [
    "Check",
    "CheckName",
    "CheckStatus",
    "DoctorContext",
    "DoctorReport",
    "DoctorRequest",
    "DoctorRun",
    "run_checks",
]
