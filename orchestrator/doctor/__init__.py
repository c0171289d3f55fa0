"""`orgmfa doctor`: checks what a run needs, says what to do about it, and changes nothing in any account.

`run` makes all checks: `config_checks` of the configuration and what it names, `deployment` of the caller's account,
`control_policies` of the organization, `accounts` of each account. They read through `ports`; a failure becomes a check
too. `scp` and `report` are pure.
"""

from orchestrator.doctor.ports import DoctorContext
from orchestrator.doctor.report import Check, CheckName, CheckStatus, DoctorReport
from orchestrator.doctor.run import DoctorRun, run_checks

__all__ = ["Check", "CheckName", "CheckStatus", "DoctorContext", "DoctorReport", "DoctorRun", "run_checks"]
