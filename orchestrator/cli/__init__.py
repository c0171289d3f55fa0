"""The command line of orgmfa: `main` has commands and options, each `*_command` module runs one of them."""
