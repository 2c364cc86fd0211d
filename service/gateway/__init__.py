"""Use cases. Async, but no aiohttp and no Redis: they reach both through ports.py."""
