"""RunReport: its schema, how it is built, serialized and read, the history of runs, and the archive."""
