"""The naive job with a thread pool and a session per account. `python -m benchmarks.thread_pool`."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from benchmarks.naive import WORKERS, enforce
from benchmarks.organization import ROLE_NAME

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient


def work_on(account: str, sts: "STSClient") -> int:
    """Assume the role of an account and do the job there."""
    role = f"arn:aws:iam::{account}:role/{ROLE_NAME}"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="thread-pool")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    return enforce(session, account)


def main() -> None:
    """Do the job in every account, and print what was done."""
    pages = boto3.client("organizations").get_paginator("list_accounts").paginate()
    accounts = [account["Id"] for page in pages for account in page["Accounts"]]
    sts = boto3.client("sts", config=Config(max_pool_connections=WORKERS))
    with ThreadPoolExecutor(WORKERS) as pool:
        enforced = sum(pool.map(partial(work_on, sts=sts), accounts))
    print(json.dumps({"enforced": enforced}))


if __name__ == "__main__":
    main()
