"""The naive job with runacross. `python -m benchmarks.with_runacross`."""

import json

import boto3
from runacross import Account, map_accounts
from runacross.organizations import list_accounts

from benchmarks.naive import WORKERS, enforce
from benchmarks.organization import ROLE_NAME


def work_on(session: boto3.Session, account: Account) -> int:
    """Do the job in an account."""
    return enforce(session, account.id)


def main() -> None:
    """Do the job in every account, and print what was done."""
    results = map_accounts(work_on, accounts=list_accounts(), role_name=ROLE_NAME, max_workers=WORKERS)
    failed = [result.error for result in results if result.error is not None]
    if failed:
        raise failed[0]
    print(json.dumps({"enforced": sum(result.value or 0 for result in results)}))


if __name__ == "__main__":
    main()
