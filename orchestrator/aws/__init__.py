"""The adapters to AWS: all that imports boto3 or botocore stands here.

`clients` builds the shared clients, `transport` signs and sends their calls over `connections`, `sessions` assumes the
member roles, `organizations` lists accounts, `iam` and `policies` read and change an account, `errors` translates,
`retrying` retries. Nothing here decides anything.
"""
