"""Adapters to AWS: only modules of this package, and the sandbox, import boto3 or botocore.

`clients` builds the shared clients, `transport` signs and sends their calls over `connections`, `sessions` assumes
roles, `organizations` lists accounts, `iam` and `enforcement` read and change an account, `simulator` asks what its
users may do, `hub_services` and `deployment` work in the caller's own account, `errors` translates errors, `retries`
retries and pages. No decisions about users or accounts are made here.
"""
