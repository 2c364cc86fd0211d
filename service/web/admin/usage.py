"""`GET /admin/api/usage`: what was used and what it cost, as JSON or CSV."""

from __future__ import annotations

import orjson
from aiohttp import web

from service.core.errors import InvalidRequest
from service.gateway.usage import csv_of, decode_query, facts_of
from service.web.context import SERVICES
from service.web.errors import request_id_headers

_FORMATS = ("json", "csv")


async def show(request: web.Request) -> web.Response:
    """See docs/usage.md. Raises InvalidRequest, StoreUnavailable."""
    reports, words = request.app[SERVICES].usage, request.query
    answer_format = words.get("format") or "json"
    if answer_format not in _FORMATS:
        raise InvalidRequest(f"format must be one of {', '.join(_FORMATS)}.", param="format")
    report = await reports.report(decode_query(words, today=reports.today()))
    headers = request_id_headers(request)
    if answer_format == "json":
        body = orjson.dumps(facts_of(report))
        return web.Response(body=body, content_type="application/json", headers=headers)
    name = f"usage-{report.query.first}-{report.query.last}.csv"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return web.Response(text=csv_of(report), content_type="text/csv", charset="utf-8", headers=headers)
