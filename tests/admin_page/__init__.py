"""A package, so that its browser ends with its last test: while it runs, no asynchronous test can."""
