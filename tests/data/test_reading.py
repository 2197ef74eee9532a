"""Large text files: types by the first rows must be those that all rows allow."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from functional_clf.data import reading
from functional_clf.data.reading import FIRST_ROWS, line_of_row, read_table

LATE = {
    "numbers": "7",
    "a late fraction": "0.5",
    "a late exponent": "1e-3",
    "a late word": "x",
    "a late date": "2024-02-01",
    "a late sign": "+3",
    "a late blank": " 3",
    "a late infinity": "inf",
    "a late large number": "99999999999999999999",
    "a late truth": "true",
    "a late missing": "?",
    "nothing": "",
}


@pytest.mark.parametrize("first", ["1", "0.25", "word", "", "true"])
@pytest.mark.parametrize("kind", LATE)
def test_the_first_rows_tell_no_other_types_than_all_rows(first, kind, tmp_path, monkeypatch):
    path = tmp_path / "large.csv"
    lines = ["value,name"] + [f"{first},a"] * (FIRST_ROWS + 5) + [f"{LATE[kind]},b"]
    path.write_text("\n".join(lines) + "\n")
    quick = read_table(path)
    monkeypatch.setattr(reading, "FIRST_ROWS", FIRST_ROWS + 10)
    whole = read_table(path)
    assert quick.height == FIRST_ROWS + 6
    assert_frame_equal(quick, whole)


@pytest.mark.parametrize(
    ("line", "told"),
    [("1,a\n", 0), ("1,a,b\n", "line 12 has 3 cells"), ("1\n", "line 12 has 1 cell"), ("\n", 1)],
)
def test_lines_are_counted_alike_whichever_way(line, told, tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text("x,y\n" + "0,a\n" * 10 + line + "2,b\n")
    if isinstance(told, str):
        with pytest.raises(ValueError, match=told):
            read_table(path)
    else:
        assert read_table(path).height == 12 - told


def test_a_cell_too_many_and_one_too_few_do_not_cancel_out(tmp_path):
    path = tmp_path / "uneven.csv"
    path.write_text("x,y\n0,a\n1,a,b\n2\n3,c\n")
    with pytest.raises(ValueError, match="line 3 has 3 cells"):
        read_table(path)


def test_rows_have_lines_where_files_have(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text('x,y\n0,a\n\n1,"two\nlines"\n2,b\n')
    assert [line_of_row(path, row) for row in range(3)] == [2, 4, 6]
    pl.DataFrame({"x": [1, 2]}).write_parquet(tmp_path / "t.parquet")
    assert line_of_row(tmp_path / "t.parquet", 0) is None
