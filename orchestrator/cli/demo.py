"""The demonstration of `make demo`: `orgmfa apply` on the embedded organization, and what to do next."""

import subprocess
import sys

EXPECTED = 1

NEXT_STEPS = """
That was an embedded organization. For your own, once its member roles are deployed (README.md):
  1. export AWS_PROFILE=security-account
  2. .venv/bin/orgmfa plan           reads every account, writes nothing
  3. .venv/bin/orgmfa apply          shows the plan and asks"""


def main() -> int:
    """Run `orgmfa apply --sandbox --yes`, explain its exit code 1, and return 0 for that code, else 1."""
    print("$ orgmfa apply --sandbox --yes\n", flush=True)
    code = subprocess.run([sys.executable, "-m", "orchestrator", "apply", "--sandbox", "--yes"], check=False).returncode
    if code != EXPECTED:
        print(f"\nThe demonstration ended with exit code {code}; {EXPECTED} was expected.", file=sys.stderr)
        return 1
    print(f"\nExit code {code}, as it should be: an account could not be entered, and some users are to fix.")
    print(NEXT_STEPS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
