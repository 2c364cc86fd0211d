"""MiMo Gateway: one base_url that makes Xiaomi's MiMo models usable from every AI client."""

__version__ = "0.1.0"
