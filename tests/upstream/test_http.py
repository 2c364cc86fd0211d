"""The client of the upstreams: whom it never connects to."""

from __future__ import annotations

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from service.config import Timeouts
from service.core.errors import UpstreamUnavailable
from service.upstream.http import Http, client_session


class Names(AbstractResolver):
    """Every name leads to one address, as that of an attacker may."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=self._address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None: ...


@pytest.mark.parametrize("host", ["api.example", "169.254.169.254"])
async def test_no_credential_goes_to_a_metadata_address_whatever_name_led_there(host: str) -> None:
    async with client_session(Timeouts()) as session:
        session.connector._resolver = Names("169.254.169.254")  # type: ignore[union-attr]
        with pytest.raises(UpstreamUnavailable) as caught:
            await Http(session, Timeouts()).fetch(
                "GET", f"http://{host}/v1/models", headers={"api-key": "sk"}
            )
    assert isinstance(caught.value.__cause__.__cause__, PermissionError), "refused before a packet was sent"
