"""Lets `python -m orchestrator` stand for the `orgmfa` command."""

from orchestrator.cli.main import main

if __name__ == "__main__":
    main()
