"""I/O: Redis."""
