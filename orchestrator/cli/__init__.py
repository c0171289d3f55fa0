"""The command line: `main` has the options, a module each the commands."""
