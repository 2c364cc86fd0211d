"""Whole gateways, as tests/web starts them."""

from tests.web.conftest import start  # noqa: F401 - a fixture
