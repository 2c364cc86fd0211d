"""The directive language: words, quotes, counters."""

import pytest

from service.simulator.directives import Directive, DirectiveError, Script, parse_directive, split_directives


def resolve(script, text, account="a", has_results=False):
    blocks = split_directives(text)[1]
    return dict(
        script.resolve(
            blocks, account=account, endpoint="messages", has_results=has_results, is_answering=True
        ).words
    )


@pytest.mark.parametrize(
    ("text", "left", "words"),
    [
        ("no directive [[at all]]", "no directive [[at all]]", []),
        ("[[sim: status=429 retry_after=2]]", "", [{"status": "429", "retry_after": "2"}]),
        ("before [[sim: no_usage]] after", "before  after", [{"no_usage": ""}]),
        ('[[sim: say="a ]] b \\"c\\" \\n é"]]', "", [{"say": 'a ]] b "c" \n é'}]),
        ('[[sim: say="two\nlines\tand a tab"]]', "", [{"say": "two\nlines\tand a tab"}]),
        ("[[sim:raw_base64=PHg+/w==]]", "", [{"raw_base64": "PHg+/w=="}]),
        ("[[sim: rst]] x [[sim: slice=1 ]]", "x", [{"rst": ""}, {"slice": "1"}]),
        ("[[sim:]]", "", [{}]),
    ],
)
def test_blocks_are_split_from_the_text(text, left, words):
    kept, blocks = split_directives(text)
    assert kept == left
    assert [block.words for block in blocks] == words


@pytest.mark.parametrize(
    "text", ["[[sim: statsu=1]]", "[[sim: status=1", "[[sim: =]]", '[[sim: say="a]]', '[[sim: say="\\q"]]']
)
def test_unreadable_blocks_are_refused(text):
    with pytest.raises(DirectiveError):
        split_directives(text)


def test_header_and_script_need_no_brackets():
    assert parse_directive("status=503")[0].words == {"status": "503"}
    assert [block.words for block in parse_directive("[[sim: rst]] [[sim: html]]")] == [
        {"rst": ""},
        {"html": ""},
    ]
    assert parse_directive(" ") == []


def test_values_are_read_by_type():
    directive = Directive({"say": "x", "slice": "", "status": "x", "pace_ms": "250"})
    assert directive.text("say") == "x"
    assert Directive({"raw": "x", "raw_base64": "eQ=="}).text("raw") == "y"
    assert directive.number("slice") == 1
    assert directive.number("cut_after") is None
    assert directive.seconds("pace_ms") == 0.25
    with pytest.raises(DirectiveError):
        directive.number("status")
    with pytest.raises(DirectiveError):
        Directive({"raw_base64": "%"}).text("raw")


def test_times_counts_its_own_block_only():
    script = Script()
    text = "[[sim: status=503 times=2]] [[sim: pieces=4]]"
    seen = [resolve(script, text) for _ in range(3)]
    assert [words.get("status") for words in seen] == ["503", "503", None]
    assert all(words["pieces"] == "4" for words in seen)
    script.reset()
    assert resolve(script, text)["status"] == "503"


def test_the_same_id_counts_together_whatever_stands_beside_it():
    script = Script()
    assert "status" in resolve(script, "[[sim: id=x status=500 times=1]]")
    assert "status" not in resolve(script, "[[sim: id=x status=503 times=1]]")


def test_every_counts_from_the_first():
    script = Script()
    hits = ["status" in resolve(script, "[[sim: status=503 every=3]]") for _ in range(7)]
    assert hits == [False, False, True, False, False, True, False]


def test_account_and_phase_choose():
    script = Script()
    assert resolve(script, "[[sim: account=b rst]]", account="a") == {}
    assert "rst" in resolve(script, "[[sim: account=b rst]]", account="b")
    assert resolve(script, "[[sim: on=result rst]]") == {}
    assert "rst" in resolve(script, "[[sim: on=result rst]]", has_results=True)
    assert resolve(script, "[[sim: tool_leak=seam]]", has_results=True) == {}
    assert "tool_leak" in resolve(script, "[[sim: tool_leak=seam]]")


def test_a_request_s_own_words_win_over_the_standing_ones():
    script = Script(parse_directive("status=500 message=standing"))
    assert resolve(script, "[[sim: status=503]]") == {"status": "503", "message": "standing"}
    script.play()
    assert resolve(script, "Hi") == {}


def test_endpoint_chooses_and_others_need_to_be_named():
    script = Script(
        parse_directive("[[sim: status=500]] [[sim: endpoint=models rst]] [[sim: endpoint=messages html]]")
    )
    assert resolve(script, "Hi") == {"status": "500", "endpoint": "messages", "html": ""}
    models = script.resolve((), account="a", endpoint="models", has_results=False, is_answering=False)
    assert models.words == {"endpoint": "models", "rst": ""}
