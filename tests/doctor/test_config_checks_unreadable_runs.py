"""An archive in which files can be written, while its runs cannot be read."""

from orchestrator.domain.errors import ArchiveError
from tests.doctor.ward import ACCOUNT, Ward, states


def test_runs_that_cannot_be_read_are_one_problem_and_all_else_is_checked(ward: Ward) -> None:
    healthy = ward.run_checks()
    ward.unannounced = ArchiveError("the archive: cannot list runs/: Access Denied")

    report = ward.run_checks()

    assert states(report) == states(healthy) | {"onboarding": "problem"}
    assert [check.name for check in report.checks] == [check.name for check in healthy.checks]
    (told,) = [check.message for check in report.checks if check.name == "onboarding"]
    assert told == "the archive: cannot list runs/: Access Denied"
    assert ACCOUNT in {check.account_id for check in report.checks}
