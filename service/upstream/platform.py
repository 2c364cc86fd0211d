"""The official platform over HTTP: accounts with API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.config import Account, Secret
from service.core.conversation import Conversation
from service.core.upstreams.mimo_platform import (
    MODELS_PATH,
    decode_error,
    decode_models,
    decoder_for,
    encode_request,
)
from service.core.upstreams.studio_thread import Thread
from service.upstream.http import Call, Http, error_body, retry_after_s, without_credentials
from service.upstream.media import MediaFetcher


class PlatformUpstream:
    """Fits gateway.ports.Upstream by shape."""

    def __init__(self, http: Http, fetcher: MediaFetcher, *, sends_trace: bool = True) -> None:
        self._http = http
        self._sends_trace = sends_trace
        self._fetcher = fetcher

    async def open(
        self,
        account: Account,
        conversation: Conversation,
        *,
        request_id: str,
        trace_headers: Mapping[str, str] | None = None,
        thread: Thread | None = None,
    ) -> Call:
        """Send the conversation. Raises an UpstreamError for a status that is no answer, and InvalidRequest
        for a file that cannot be had; other media is fetched by the platform itself."""
        request = encode_request(await self._fetcher.budget().with_files_read(conversation))
        timeouts = self._http.timeouts
        # An answer that does not stream sends its head when it is whole: the idle timer cannot see it live.
        first_byte_s = timeouts.first_byte_s if conversation.streams else timeouts.total_s
        response = await self._http.post(
            account.base_url + request.path,
            body=request.body,
            headers={
                **platform_headers(account),
                "Content-Type": "application/json",
                "X-Request-Id": request_id,
                **(trace_headers if trace_headers and self._sends_trace else {}),
            },
            first_byte_s=first_byte_s,
        )
        if response.status != 200:
            body = await error_body(response, account, timeouts)
            raise decode_error(response.status, body, retry_after_s=retry_after_s(response.headers))
        return Call(response, decoder_for(conversation), timeouts=timeouts, notes=request.notes)

    async def models(self, account: Account) -> Sequence[str]:
        """The chat models that `/v1/models` lists for the account. Raises an UpstreamError."""
        status, body = await self._http.fetch(
            "GET", account.base_url + MODELS_PATH, headers=platform_headers(account)
        )
        if status != 200:
            raise decode_error(status, without_credentials(body, account), retry_after_s=None)
        return decode_models(body)

    async def probe(self, account: Account) -> None:
        """The model list costs no chat. It proves the key, not the quota: a used-up plan still lists its
        models (mimo-api.md 3)."""
        await self.models(account)


def platform_headers(account: Account) -> dict[str, str]:
    """What proves the account."""
    # `api-key` is the documented header on every endpoint; `x-api-key` is not (mimo-api.md 1.1).
    return {"api-key": (account.api_key or Secret("")).reveal()}
