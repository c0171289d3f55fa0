"""What runs behind the Lambda functions: one run, a step of a run, events, metrics."""
