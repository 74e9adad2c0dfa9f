"""V9: every odd caption has an outcome that is told: cleaned with a note, or left out."""

import pytest

from mmdiff.data.sources.caption import MAX_CHARACTERS, Caption, clean_caption
from mmdiff.media.rejection import Reason, RejectedMedia

CLEANED = {
    "byte order mark": ("\ufeffa cat", "a cat", "byte order mark"),
    "byte order mark in bytes": (b"\xef\xbb\xbfa cat", "a cat", "byte order mark"),
    "control characters": ("a\x07 cat\x1b[1m", "a  cat [1m", "2 control characters"),
    "delete and C1": ("a\x7fcat\x85s", "a cat s", "2 control characters"),
    "lone surrogate": ("a cat \ud83d", "a cat", "1 lone surrogates"),
    "two faults": ("\ufeffa\x01cat", "a cat", "byte order mark"),
}
REFUSED = {
    "nothing": (None, "not there"),
    "empty": ("", "empty"),
    "space": (" \t\n ", "empty"),
    "invisible": ("\u200b\u2060", "empty"),
    "mark only": (b"\xef\xbb\xbf", "empty"),
    "controls only": ("\x01\x02", "empty"),
    "100k characters": ("x" * 100_000, "100,000 characters"),
    "one too many": ("x" * (MAX_CHARACTERS + 1), "at most 10,000"),
    "latin-1": ("café".encode("latin-1"), "not UTF-8"),
    "latin-1 from a table": ("caf\udce9", "not UTF-8"),
    "UTF-16": ("a cat".encode("utf-16"), "not UTF-8"),
    "UTF-16 without mark": ("a cat".encode("utf-16-le"), "not UTF-8"),
    "number": (7, "type int"),
    "list": (["a", "cat"], "type list"),
}
KEPT = [
    "a cat",
    "x" * MAX_CHARACTERS,
    'say "hello", twice',
    "two\nlines",
    "кот",
    "猫",
    "👨‍👩‍👧",
    "قط",
    "7",
]


@pytest.mark.parametrize("case", CLEANED)
def test_v9_cleaned_with_a_note(case: str) -> None:
    raw, text, note = CLEANED[case]
    found = clean_caption(raw, file="a.mp4")
    assert isinstance(found, Caption) and found.text == text
    assert any(note in line for line in found.notes)
    assert clean_caption(found.text, file="a.mp4") == Caption(text)  # cleaning ends


@pytest.mark.parametrize("case", REFUSED)
def test_v9_left_out_with_the_reason(case: str) -> None:
    raw, fault = REFUSED[case]
    with pytest.raises(RejectedMedia) as error:
        clean_caption(raw, file="folder/a.mp4")
    found = error.value.rejection
    assert found.reason is Reason.BAD_CAPTION
    assert found.stage == "list" and found.file == "folder/a.mp4"
    assert fault in found.message and "'folder/a.mp4'" in found.message


@pytest.mark.parametrize("text", KEPT)
def test_v9_good_captions_stay_as_they_are(text: str) -> None:
    assert clean_caption(text, file="a.mp4") == Caption(text)
    assert clean_caption(text.encode(), file="a.mp4") == Caption(text)


def test_v9_line_ends_and_outer_space_are_no_part_of_a_caption() -> None:
    assert clean_caption(b"one\r\ntwo\rthree\n\n", file="a.mp4") == Caption("one\ntwo\nthree")
