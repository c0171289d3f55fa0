"""`orgmfa deploy` on the command line: options, view, adapters."""
