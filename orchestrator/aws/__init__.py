"""Adapters to AWS: only modules of this package, and the sandbox, import boto3 or botocore.

`clients` builds the shared clients, whose calls `transport` sends over `connections`, `retries` repeats and `errors`
translates; the other modules each have a service, or what a run, `doctor` or `deploy` asks of several. No decisions
about users or accounts are made here.
"""
