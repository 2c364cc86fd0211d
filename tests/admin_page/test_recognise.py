"""What the tab makes of a pasted text is what the server makes of it: the same texts, both readers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from service.core.errors import InvalidRequest
from service.core.pasted import MAX_CHARS, decode_pasted, pasted_origin
from tests.core.test_pasted import TEXTS

CASES = [
    *(param.values[0] for param in TEXTS),
    *(
        "",
        "   ",
        "sk-abc",
        "tp-x_1",
        "ttp-1",
        " sk-with-blanks \n",
        "sk-",
        "key",
        "userId=5",
        "curl",
        "curly",
    ),
    "serviceToken=hidden; myuserId=5; xiaomichatbot_ph=x",
    "serviceToken=; userId=5; xiaomichatbot_ph=x",
    "curl 'https://aistudio.example/' -H 'x: $'",
    "curl https://api.example/v1/chat/completions -H 'Authorization: Bearer sk-from-curl' -d '{}'",
    'curl https://token-plan-sgp.example:8443/v1/models -H "api-key: tp-from-curl"',
    "curl 'https://x.example' -H 'X-API-Key: ttp-9' -H 'cookie: serviceToken=a; userId=1'",
    "curl 'https://x.example?xiaomichatbot_ph=%zz' -b 'serviceToken=a; userId=1'",
    "<img src=x onerror=alert(1)>",
    "x" * (MAX_CHARS + 1),
]
READ = """async ([path, texts]) => {
  const { credentialOf, cookieHeader } = await import(path);
  return texts.map((text) => credentialOf(text));
}"""


@pytest.fixture(scope="module")
def told(browser, served) -> list[dict | None]:
    page: Page = browser.new_page(base_url=served.base_url)
    page.goto("/admin")
    found = page.evaluate(READ, ["/admin/assets/recognise.js", CASES])
    page.close()
    return found


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number][:32])
def test_tab_and_server_agree(told: list[dict | None], number: int) -> None:
    text, mine = CASES[number], told[number]
    try:
        theirs = decode_pasted(text)
    except InvalidRequest:
        assert mine is None
        return
    assert mine is not None
    if "api_key" in theirs:
        assert mine["api_key"] == theirs["api_key"]
        assert mine.get("base_url", "") == pasted_origin(text)
    else:
        assert decode_pasted(mine["cookie"]) == theirs, "what the tab sends says the same"
