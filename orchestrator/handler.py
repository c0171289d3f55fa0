"""The address that the Lambda functions of the stacks name."""

from orchestrator.lambdas.run import lambda_handler

__all__ = ["lambda_handler"]
