"""RunReport: its schema, how it is built, written and read again, the history of runs, and the archive."""
