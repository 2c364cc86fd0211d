"""I/O: the aiohttp client side."""
