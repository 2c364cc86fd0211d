"""One table or test for each of MiMo's message rules, on the values."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Part,
    Reasoning,
    Role,
    Sampling,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from service.core.errors import InvalidRequest
from service.core.models import ModelFacts
from service.core.upstreams.repair import (
    MAX_FILE_BYTES,
    file_as_text,
    in_range,
    left_out,
    linked_files,
    media_of,
    with_calls_as_functions,
    with_errors_told,
    with_fetched_files,
    with_files_as_text,
    with_leading_system_merged,
    with_media_outside_results,
    with_media_the_model_reads,
    with_text_set,
)
from service.core.web_search import WEB_SEARCH
from tests.strategies import Wire, conversations

IMAGE = Media(kind=MediaKind.IMAGE, url="http://h/i.png")
AUDIO = Media(kind=MediaKind.AUDIO, data="aGk=", mime_type="audio/wav")
READS_TEXT = ModelFacts(model_id="text-model")
READS_IMAGES = ModelFacts(model_id="image-model", media=frozenset({MediaKind.IMAGE}))


def text(words: str) -> Text:
    return Text(text=words)


def system(*parts: Part) -> Turn:
    return Turn(role=Role.SYSTEM, parts=parts)


def user(*parts: Part) -> Turn:
    return Turn(role=Role.USER, parts=parts)


def assistant(*parts: Part) -> Turn:
    return Turn(role=Role.ASSISTANT, parts=parts)


def tool(*parts: Part) -> Turn:
    return Turn(role=Role.TOOL, parts=parts)


def result(*parts: Text | Media, call_id: str = "c1") -> ToolResult:
    return ToolResult(call_id=call_id, parts=parts)


def conversation(*turns: Turn) -> Conversation:
    return Conversation(model="m", turns=turns)


# --- files --------------------------------------------------------------------------------------------------


def file(content: bytes | str, **fields: str) -> Media:
    raw = content.encode() if isinstance(content, str) else content
    return Media(kind=MediaKind.FILE, data=base64.b64encode(raw).decode(), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("media", "shown"),
    [
        pytest.param(file("hi", filename="a.md"), '<file name="a.md">\nhi\n</file>', id="text"),
        pytest.param(file("hi"), '<file name="file">\nhi\n</file>', id="no name"),
        pytest.param(
            file("hi", filename='a"b\n c'),
            '<file name="a\'b c">\nhi\n</file>',
            id="a name cannot end the mark",
        ),
        pytest.param(file("\ufeffhi", filename="a"), '<file name="a">\nhi\n</file>', id="byte order mark"),
        pytest.param(file(b"\xe9t\xe9", filename="a"), '<file name="a">\nété\n</file>', id="Latin-1"),
        pytest.param(file("", filename="a"), '<file name="a">\n\n</file>', id="empty"),
        pytest.param(
            file("{}", filename="a", mime_type="application/octet-stream"),
            '<file name="a">\n{}\n</file>',
            id="the content tells, not the type",
        ),
    ],
)
def test_a_text_file_becomes_text(media: Media, shown: str) -> None:
    assert file_as_text(media) == shown


@pytest.mark.parametrize(
    ("media", "message"),
    [
        (Media(kind=MediaKind.FILE, url="http://h/a"), "A file must be sent as base64 data."),
        (Media(kind=MediaKind.FILE, data="é"), "The data of the file 'file' is not valid base64."),
        (Media(kind=MediaKind.FILE, data="a"), "The data of the file 'file' is not valid base64."),
        (
            file("%PDF-1.7", filename="a.pdf"),
            "MiMo does not read PDF files; send the text of 'a.pdf', or its pages as images.",
        ),
        (file(b"PK\x03\x04", filename="a.docx"), "Only text files can be read; 'a.docx' is not one."),
        (file("x" * (MAX_FILE_BYTES + 1)), f"The file 'file' is larger than {MAX_FILE_BYTES} bytes."),
    ],
)
def test_other_files_are_refused(media: Media, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        file_as_text(media)
    assert (caught.value.message, caught.value.param) == (message, "messages")


def test_files_are_read_everywhere() -> None:
    sent = conversation(user(text("see"), file("a"), IMAGE), tool(result(file("b"), text("c"))))
    read = with_files_as_text(sent)
    assert read.turns[0].parts == (text("see"), text('<file name="file">\na\n</file>'), IMAGE)
    assert read.turns[1].parts == (result(text('<file name="file">\nb\n</file>'), text("c")),)


# --- media --------------------------------------------------------------------------------------------------


def read_by(facts: ModelFacts, *turns: Turn) -> tuple[tuple[Turn, ...], list[str]]:
    notes: list[str] = []
    return with_media_the_model_reads(conversation(*turns), facts, notes).turns, notes


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param((user(text("see"), IMAGE),), id="in the request's turn"),
        pytest.param((user(text("a")), assistant(text("b")), user(IMAGE)), id="in the last of many"),
        pytest.param(
            (user(text("a")), assistant(text("b")), user(IMAGE), system(text("c"))),
            id="before an instruction",
        ),
        pytest.param(
            (
                user(text("a")),
                assistant(ToolCall(call_id="c1", name="f", arguments="{}")),
                tool(result(IMAGE)),
            ),
            id="in a fresh tool result",
        ),
    ],
)
def test_fresh_media_for_a_text_model_is_a_400(turns: tuple[Turn, ...]) -> None:
    """Not the upstream's 404, which Claude Code reads as "the model does not exist"."""
    with pytest.raises(InvalidRequest, match="text-model does not take image input") as caught:
        read_by(READS_TEXT, *turns)
    assert caught.value.code == "unsupported_media"


def test_old_media_for_a_text_model_is_described() -> None:
    mark = text("[image left out: this model does not read it]")
    turns, notes = read_by(
        READS_TEXT,
        user(text("see"), IMAGE),
        assistant(ToolCall(call_id="c1", name="f", arguments="{}")),
        tool(result(text("r"), IMAGE)),
        assistant(text("b")),
        user(text("and?")),
    )
    assert turns[0].parts == (text("see"), mark)
    assert turns[2].parts == (result(text("r"), mark),)
    assert notes == ["media of earlier turns was left out: text-model does not read it"]


def test_media_that_the_model_reads_stays() -> None:
    sent = (user(IMAGE), assistant(text("b")), user(IMAGE))
    assert read_by(READS_IMAGES, *sent) == (sent, [])


def test_each_kind_is_judged_by_itself() -> None:
    turns, _ = read_by(READS_IMAGES, user(IMAGE, AUDIO), assistant(text("b")), user(text("c")))
    assert turns[0].parts == (IMAGE, text("[audio left out: this model does not read it]"))


def test_media_in_results_moves_behind_all_results_of_the_answer() -> None:
    sent = conversation(
        tool(result(text("r"), IMAGE), result(text("s"), call_id="c2")),
        tool(result(AUDIO, call_id="c3")),
        assistant(text("b")),
        tool(result(IMAGE, call_id="c4")),
    )
    mark = text("[1 media item(s) follow in the next user message]")
    assert with_media_outside_results(sent).turns == (
        tool(result(text("r"), mark), result(text("s"), call_id="c2")),
        tool(result(mark, call_id="c3")),
        user(
            text("Media from the result of tool call c1:"),
            IMAGE,
            text("Media from the result of tool call c3:"),
            AUDIO,
        ),
        assistant(text("b")),
        tool(result(mark, call_id="c4")),
        user(text("Media from the result of tool call c4:"), IMAGE),
    )


# --- text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "merged"),
    [
        pytest.param((user(text("a")),), (user(text("a")),), id="none"),
        pytest.param((system(text("s"), text("t")),), (system(text("s"), text("t")),), id="one, as it is"),
        pytest.param(
            (system(text("s"), text("t")), system(text("")), system(text("u")), user(text("a"))),
            (system(text("st\n\nu")), user(text("a"))),
            id="several at the head",
        ),
        pytest.param(
            (user(text("a")), system(text("s")), system(text("t"))),
            (user(text("a")), system(text("s")), system(text("t"))),
            id="later ones keep their place",
        ),
    ],
)
def test_system_turns(turns: tuple[Turn, ...], merged: tuple[Turn, ...]) -> None:
    assert with_leading_system_merged(conversation(*turns)).turns == merged


@pytest.mark.parametrize(
    ("turn", "repaired"),
    [
        pytest.param(user(text("a")), user(text("a")), id="text"),
        pytest.param(user(IMAGE), user(IMAGE, text(" ")), id="media alone"),
        pytest.param(user(IMAGE, text("")), user(IMAGE, text(" ")), id="media and an empty text"),
        pytest.param(user(text("a"), text("")), user(text("a")), id="an empty text beside another"),
        pytest.param(user(text("")), user(text(" ")), id="an empty message"),
        pytest.param(user(), user(text(" ")), id="no part at all"),
        pytest.param(assistant(text("")), assistant(), id="an empty answer"),
        pytest.param(system(text("a"), text("")), system(text("a")), id="system"),
        pytest.param(
            tool(result(text(""), text("r"), IMAGE)), tool(result(text("r"), IMAGE)), id="within a result"
        ),
        pytest.param(
            assistant(Reasoning(text=""), text("a")),
            assistant(Reasoning(text=""), text("a")),
            id="reasoning stays",
        ),
    ],
)
def test_text_is_set(turn: Turn, repaired: Turn) -> None:
    assert with_text_set(turn) == repaired


def test_a_turn_that_needs_nothing_is_itself() -> None:
    """Nothing is touched without need: the prompt cache is prefix-based."""
    turn = assistant(text("a"), ToolCall(call_id="c", name="f", arguments="{}"))
    assert with_text_set(turn) is turn
    assert with_calls_as_functions(turn) is turn


def test_calls_of_freeform_tools_become_calls_of_functions() -> None:
    custom = ToolCall(call_id="c1", name="patch", arguments='a "b"', is_custom=True)
    plain = ToolCall(call_id="c2", name="f", arguments="{}")
    turn = with_calls_as_functions(assistant(text("a"), custom, plain))
    assert turn.parts == (
        text("a"),
        ToolCall(call_id="c1", name="patch", arguments='{"input":"a \\"b\\""}'),
        plain,
    )


@pytest.mark.slow
@settings(max_examples=30)
@given(conversations(Wire()))
def test_no_repair_loses_text(sent: Conversation) -> None:
    """Slow: random conversations take a while to draw."""

    def all_text(turns: tuple[Turn, ...]) -> str:
        return "".join(
            item.text
            for turn in turns
            for part in turn.parts
            for item in (part.parts if isinstance(part, ToolResult) else (part,))
            if isinstance(item, Text)
        ).replace("\n", "")

    merged = with_leading_system_merged(sent)
    assert all_text(merged.turns) == all_text(sent.turns)
    repaired = tuple(map(with_text_set, sent.turns))
    assert all_text(repaired).replace(" ", "") == all_text(sent.turns).replace(" ", "")
    moved = with_media_outside_results(sent)
    assert [m for turn in moved.turns for m in media_of(turn)] == [
        m for turn in sent.turns for m in media_of(turn)
    ]
    assert not any(media_of(turn) for turn in moved.turns if turn.role is Role.TOOL)


# --- parameters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "taken", "note"),
    [
        pytest.param({}, {}, None, id="nothing said"),
        pytest.param({"temperature": 1.5}, {"temperature": 1.5}, None, id="at the edge"),
        pytest.param(
            {"temperature": 2.0}, {"temperature": 1.5}, "temperature 2.0 became 1.5", id="temperature"
        ),
        pytest.param({"top_p": 0.0}, {"top_p": 0.01}, "top_p 0.0 became 0.01", id="top_p's floor"),
        pytest.param({"top_p": 1.5}, {"top_p": 1}, "top_p 1.5 became 1", id="top_p's ceiling"),
        pytest.param(
            {"presence_penalty": -3.0},
            {"presence_penalty": -2},
            "presence_penalty -3.0 became -2",
            id="presence",
        ),
        pytest.param(
            {"frequency_penalty": 3.0},
            {"frequency_penalty": 2},
            "frequency_penalty 3.0 became 2",
            id="frequency",
        ),
        pytest.param(
            {"max_output_tokens": 200_000},
            {"max_output_tokens": 131_072},
            "max_tokens 200000 became 131072",
            id="a cap above the model's",
        ),
        pytest.param(
            {"max_output_tokens": 0}, {"max_output_tokens": 1}, "max_tokens 0 became 1", id="no tokens"
        ),
        pytest.param(
            {"max_output_tokens": 131_072}, {"max_output_tokens": 131_072}, None, id="the model's cap"
        ),
    ],
)
def test_numbers_are_brought_into_range(
    sent: dict[str, float], taken: dict[str, float], note: str | None
) -> None:
    notes: list[str] = []
    sampling = in_range(Sampling(**sent), ModelFacts(model_id="m"), notes)  # type: ignore[arg-type]
    assert sampling == Sampling(**taken)  # type: ignore[arg-type]
    assert notes == ([note] if note else [])


def test_what_is_left_out_is_told_in_a_steady_order_and_length() -> None:
    assert left_out({"b": 1, "thinking": {"budget_tokens": 9}, "a" * 100: 2, WEB_SEARCH: {}}) == [
        f"{'a' * 64} is not a parameter of MiMo and was left out",
        "b is not a parameter of MiMo and was left out",
        "of thinking only on or off was kept",
    ]


# --- files by URL -------------------------------------------------------------------------------------------


def test_files_by_url_become_data_and_other_media_stays() -> None:
    linked = Media(kind=MediaKind.FILE, url="https://x.test/a/notes.md?v=1")
    named = Media(kind=MediaKind.FILE, url="https://x.test/", filename="own.txt")
    held = Media(kind=MediaKind.FILE, data="QQ==")
    image = Media(kind=MediaKind.IMAGE, url="https://x.test/a.png")
    asked = Conversation(model="m", turns=(Turn(role=Role.USER, parts=(linked, named, held, image)),))
    assert linked_files(asked) == [linked, named]
    content = {"https://x.test/a/notes.md?v=1": b"A", "https://x.test/": b"B"}
    (turn,) = with_fetched_files(asked, content).turns
    assert turn.parts == (
        Media(kind=MediaKind.FILE, data="QQ==", filename="notes.md"),
        Media(kind=MediaKind.FILE, data="Qg==", filename="own.txt"),
        held,
        image,
    )


def test_a_pdf_is_refused_by_name_and_its_own_field() -> None:
    pdf = base64.b64encode(b"%PDF-1.7").decode()
    media = Media(kind=MediaKind.FILE, data=pdf, filename="a.pdf", at="messages.0.content.1.source.data")
    with pytest.raises(InvalidRequest, match=r"does not read PDF files.*a\.pdf") as caught:
        file_as_text(media)
    assert caught.value.param == "messages.0.content.1.source.data"


@pytest.mark.parametrize(
    ("is_error", "texts", "told"),
    [
        pytest.param(True, ("no such file",), ("Error: no such file",), id="an error"),
        pytest.param(True, ("Error: ENOENT",), ("Error: ENOENT",), id="one that says so"),
        pytest.param(True, ("<error>x</error>",), ("<error>x</error>",), id="one that says so in a tag"),
        pytest.param(True, (), ("Error: ",), id="an empty one"),
        pytest.param(True, ("a", "b"), ("Error: a", "b"), id="in two texts"),
        pytest.param(False, ("fine",), ("fine",), id="no error"),
        pytest.param(None, ("fine",), ("fine",), id="not said"),
    ],
)
def test_result_that_is_an_error_says_so(
    is_error: bool | None, texts: tuple[str, ...], told: tuple[str, ...]
) -> None:
    result = ToolResult(call_id="c", parts=tuple(Text(text=text) for text in texts), is_error=is_error)
    (part,) = with_errors_told(Turn(role=Role.TOOL, parts=(result,))).parts
    assert tuple(item.text for item in part.parts) == told


def test_picture_of_an_error_has_the_word_before_it() -> None:
    picture = Media(kind=MediaKind.IMAGE, url="https://h/a.png")
    result = ToolResult(call_id="c", parts=(picture,), is_error=True)
    (part,) = with_errors_told(Turn(role=Role.TOOL, parts=(result,))).parts
    assert part.parts == (Text(text="Error:"), picture)


def test_turn_of_another_role_tells_no_error() -> None:
    turn = Turn(role=Role.USER, parts=(Text(text="x"),))
    assert with_errors_told(turn) is turn
