"""Pure protocol code: values in, values out. Standard library and orjson only; no clock, no socket, no
await."""
