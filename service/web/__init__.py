"""I/O: the aiohttp server side."""
