"""The built-in simulator: both MiMo wires, deterministic, strict, with scripted faults."""
