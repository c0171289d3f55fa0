"""SCPs of `orgmfa policy --scp` that are attached: where, how they differ from the configuration, whom they block.

`release` takes nobody out of an SCP, so both doctor and `release` tell of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from orchestrator.doctor.ports import DoctorContext, HubReader
from orchestrator.doctor.report import Check, CheckName, fine, problem
from orchestrator.domain.deployed import ControlPolicy
from orchestrator.domain.errors import ArchiveError, ConfigError
from orchestrator.domain.model import Account
from orchestrator.domain.scp import is_ours, list_differences, read_scp, render_scp
from orchestrator.domain.selection import is_in_ous

WAY_OUT = (
    "Detach it (in the management account), or exempt them and put the SCP that orgmfa policy --scp prints in place"
)


@dataclass(frozen=True, slots=True)
class Lock:
    """An SCP of ours: its name, its text, and what it is attached to, the names by ID."""

    name: str
    document: str
    targets: Mapping[str, str]

    @property
    def ou_ids(self) -> list[str]:
        """The root and the OUs that it is attached to."""
        return [target for target in self.targets if not target.isdecimal()]

    @property
    def where(self) -> str:
        """What it is attached to, in words."""
        return ", ".join(self.targets.values())

    def reaches(self, account: Account, management_account_id: str) -> bool:
        """Return whether it holds in an account, as far as the OUs above the account are known."""
        if account.id == management_account_id:
            return False
        is_below = any(target.startswith("r-") for target in self.targets) or (
            bool(self.ou_ids) and is_in_ous(account, self.ou_ids)
        )
        return is_below or account.id in self.targets

    def spares(self, name: str, account_id: str, at: datetime) -> bool:
        """Return whether it is known to spare a user."""
        try:
            return read_scp(self.document).spares(name, account_id, at)
        except ValueError:
            return False


def find_locks(policies: Iterable[ControlPolicy], hub: HubReader) -> Iterator[Lock]:
    """Yield the SCPs of ours that are attached to anything. Raises AwsError where that cannot be read."""
    for policy in policies:
        with suppress(ValueError):  # no JSON, so no SCP of ours
            if is_ours(policy.document) and (targets := hub.list_targets(policy.id)):
                yield Lock(policy.name, policy.document, targets)


def check_locks(policies: Sequence[ControlPolicy], tools: DoctorContext) -> Iterator[Check]:
    """Yield a check for each attached SCP of ours: where it is, and where it differs. Raises AwsError."""
    locks = tuple(find_locks(policies, tools.hub))
    if not locks:
        yield fine(CheckName.LOCK, "no SCP of orgmfa policy --scp is attached")
    for lock in locks:
        told = f"the SCP {lock.name} blocks IAM users without MFA in {lock.where}; orgmfa release frees nobody from it"
        try:
            wanted = read_scp(render_scp(tools.config, tools.caller.partition, tools.now()).text)
            found = list_differences(read_scp(lock.document), wanted, tools.now())
        except (ValueError, ConfigError) as error:
            found = [f"it cannot be compared with the configuration: {error}"]
        if blocked := _list_released(lock, tools):
            found.append(f"released, and blocked all the same where it holds: {', '.join(blocked)}")
        if found:
            remedy = f"Put the SCP that orgmfa policy --scp prints in place of {lock.name}, or detach it (docs/scp.md)."
            yield problem(CheckName.LOCK, f"{told}; {'; '.join(found)}", remedy)
        else:
            yield fine(CheckName.LOCK, f"{told}; its exemptions are those of the configuration")


def _list_released(lock: Lock, tools: DoctorContext) -> list[str]:
    """Return the users of releases in force whom it does not spare, in accounts that it may reach."""
    try:
        released = tools.archive.released_until(tools.now())
    except ArchiveError:
        return []  # the check of the releases reports it
    return sorted(
        f"{release.user_name} ({account_id})"
        for (account_id, _), release in released.items()
        if (lock.ou_ids or account_id in lock.targets) and not lock.spares(release.user_name, account_id, tools.now())
    )
