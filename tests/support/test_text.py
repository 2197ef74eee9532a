from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from functional_clf.support.text import printable, shortened

NAMES = st.lists(st.text(min_size=1, max_size=80).map(printable), min_size=1, unique=True)


@given(st.text(), st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252"]))
def test_what_is_printable_is_one_line_that_can_be_encoded(text, encoding):
    shown = printable(text, encoding)
    assert shown.encode(encoding).decode(encoding) == shown
    assert shown.isprintable()
    assert printable(shown, encoding) == shown
    if text.isascii() and text.isprintable():
        assert shown == text


def test_what_hides_or_turns_text_is_escaped():
    assert printable("a\x1b[2J\u202eb\u200b\udc80\t\n") == r"a\x1b[2J\u202eb\u200b\udc80\t\n"
    assert printable("one\ntwo\r", keep="\n") == "one\ntwo\\r"


@given(NAMES, st.integers(8, 40), st.sampled_from(["…", "..."]))
def test_shortened_names_fit_and_still_differ(names, width, ellipsis):
    short = shortened(names, width, ellipsis)
    assert len(short) == len(names)
    assert all(cell_len(name) <= width for name in short)
    assert len(set(short)) == len(set(names))
    for name, one in zip(names, short, strict=True):
        assert one == name or ellipsis in one or "#" in one


def test_names_are_left_alone_where_there_is_room():
    names = ["模型一", "a" * 8]
    assert shortened(names, 8) == names


def test_names_that_no_cut_tells_apart_are_numbered():
    names = [f"{a}{'x' * 60}{b}{'y' * 60}" for a in "pq" for b in "12"]
    assert shortened(names, 9) == ["pxxxxx…#1", "pxxxxx…#2", "qxxxxx…#3", "qxxxxx…#4"]
