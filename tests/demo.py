"""The demonstration of `make demo`: `orgmfa apply` on the embedded organization, and what to do next."""

import subprocess
import sys

EXPECTED = 1
COMMAND = ("apply", "--sandbox", "--yes", "--quiet")
NEXT_STEPS = """
Exit code 1, as it should be: an account could not be entered, and some users are to fix. See more of this run:
  .venv/bin/orgmfa report --sandbox                        the table, with what to do about each
  .venv/bin/orgmfa apply --sandbox                         again: nobody is left to enforce
  .venv/bin/orgmfa report --sandbox --html orgmfa.html --csv orgmfa.csv
A plan of your own organization, with nothing deployed and by sessions that can only read (README.md):
  AWS_PROFILE=... .venv/bin/orgmfa plan --role OrganizationAccountAccessRole"""


def main() -> int:
    """Run `orgmfa apply --sandbox`, explain its exit code 1, and return 0 for that code, else 1."""
    print(f"$ orgmfa {' '.join(COMMAND)}\n", flush=True)
    code = subprocess.run([sys.executable, "-m", "orchestrator", *COMMAND], check=False).returncode
    if code != EXPECTED:
        print(f"\nThe demonstration ended with exit code {code}; {EXPECTED} was expected.", file=sys.stderr)
        return 1
    print(NEXT_STEPS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
