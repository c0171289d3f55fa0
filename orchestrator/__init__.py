"""orgmfa: find IAM users without MFA in every account of an AWS Organization, and enforce MFA on them."""

__version__ = "0.1.0"
