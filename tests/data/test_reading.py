import gzip
import io
import os
import re

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from functional_clf.data.reading import read_table

ROWS = pl.DataFrame({"age": [31, 47, None], "sex": ["f", None, "m"], "fee": [1.5, 2.0, -0.25]})
TEXT = "age,sex,fee\n31,f,1.5\n47,,2.0\n,m,-0.25\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file in the working folder, and give its name as a user would."""
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return name

    return write


def bytes_of(write):
    into = io.BytesIO()
    write(into)
    return into.getvalue()


PARQUET = bytes_of(ROWS.write_parquet)
ARROW = bytes_of(ROWS.write_ipc)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", TEXT),
        ("T.CSV", TEXT),
        ("t.csv", "\ufeff" + TEXT),
        ("t.csv", TEXT.replace("\n", "\r\n")),
        ("t.csv", TEXT.replace("\n", "\r")),
        ("t.csv", TEXT.replace(",", " , ")),
        ("t.csv", TEXT.replace("47,,2.0\n", "47,?,2.0\n\n  \n") + "\n\n"),
        ("t.csv", TEXT.replace("47,,2.0\n", '"47","?",2.0\n\n') + "\n"),
        ("t.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),
        ("t.tsv", TEXT.replace(",", "\t")),
        ("t.parquet", PARQUET),
        ("t.arrow", ARROW),
        ("t.feather", ARROW),
        ("t.ipc", ARROW),
        ("t.ipc", bytes_of(ROWS.write_ipc_stream)),
        ("t[1]*.csv", TEXT),
        ("a=1.parquet", PARQUET),
    ],
)
def test_the_same_table_is_read_out_of_every_kind_of_file(file, name, content):
    assert_frame_equal(read_table(file(name, content)), ROWS, check_dtypes=False)


@pytest.mark.parametrize("word", ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?"])
def test_words_for_missing_values(file, word):
    found = read_table(file("t.csv", f"a,b\n1,x\n{word},{word}\n2,y\n"))
    assert found.rows() == [(1, "x"), (None, None), (2, "y")]


def test_types_come_of_all_rows(file):
    rows = "".join(f"{i},{i}\n" for i in range(300))
    found = read_table(file("t.csv", f"a,b\n{rows}0.5,late\n"))
    assert found.dtypes == [pl.Float64, pl.String]
    found = read_table(file("t.csv", "a,b,c,d\n+1,True,007,3\n.5,false,1,x\n"))
    assert found.rows() == [(1.0, True, 7, "3"), (0.5, False, 1, "x")]


def test_iso_dates_are_dates_and_nothing_else_is(file):
    lines = ["day,moment,american,wrong", "2024-02-29,2024-02-29 10:30,02/03/2024,2024-02-30"]
    found = read_table(file("t.csv", "\n".join([*lines, "?,2024-02-29T11:00,02/04/2024,?", ""])))
    assert found.dtypes == [pl.Date, pl.Datetime("us"), pl.String, pl.String]
    assert [str(value) for value in found["moment"]] == [
        "2024-02-29 10:30:00",
        "2024-02-29 11:00:00",
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "", "'t.csv' is empty"),
        ("t.parquet", "", "'t.parquet' is empty"),
        ("t.csv", "\n\n", "'t.csv' is empty"),
        ("t.csv", "\na,b\n1,2\n", "its first line is empty; it must name the columns"),
        ("t.csv", "a,b", "'t.csv' has a header and no rows"),
        ("t.csv", "a,b\n\n\n", "'t.csv' has a header and no rows"),
        ("t.csv", "a,b\n1,2\n", "'t.csv' has 1 row; a table needs more"),
        ("t.ipc", bytes_of(ROWS.head(1).write_ipc), "'t.ipc' has 1 row; a table needs more"),
        ("t.parquet", bytes_of(ROWS.head(0).write_parquet), "has a header and no rows"),
        ("t.csv", "a,b,a\n1,2,3\n4,5,6\n", "2 columns are named 'a'; each needs a name of its"),
        ("t.csv", "a,b, a\n1,2,3\n4,5,6\n", "2 columns are named 'a'"),
        ("t.csv", ",a\n0,1\n1,2\n", "column 1 has no name; name it in the header"),
        ("t.csv", "a,  \n0,1\n1,2\n", "column 2 has no name"),
        ("t.csv", "a;b\n1;2\n3;4\n", "its delimiter seems to be ';'; save it with commas"),
        ("t.csv", "a\tb\n1\t2\n3\t4\n", "its delimiter seems to be a tab; save it with commas"),
        ("t.csv", "a|b\n1|2\n3|4\n", "its delimiter seems to be '|'; save it with commas"),
        ("t.tsv", TEXT, "its delimiter seems to be ','; save it with tabs"),
        ("t.csv", "a,b\n1,é\n3,4\n".encode("cp1252"), "line 2 is not UTF-8; its encoding seems to "
         "be Windows-1252 (or Latin-1); save it as UTF-8"),
        ("t.csv", "a,b\n1,日本\n3,4\n".encode("gbk"), "line 2 is not UTF-8; save it as UTF-8"),
        ("t.csv", TEXT.encode("utf-16"), "its encoding seems to be UTF-16; save it as UTF-8"),
        ("t.csv", TEXT.encode("utf-16-le"), "its encoding seems to be UTF-16; save it as UTF-8"),
        ("t.csv", TEXT.encode("utf-32"), "its encoding seems to be UTF-32; save it as UTF-8"),
        ("t.csv", "a,b\n1,2\n3\n", "line 3 has 1 cell; the header names 2 columns"),
        ("t.csv", "a,b\n1,2\n\n3,4,5\n", "line 4 has 3 cells; the header names 2 columns"),
        ("t.csv", 'a,b\n"1\n\n2",3\n3\n', "line 5 has 1 cell; the header names 2 columns"),
        ("t.csv", 'a,b\n1,2\n3,"4\n5,6\n', "line 3 cannot be read: a quote is not closed"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "'t.csv' is no text; it seems to be a PNG im"),
        ("t.csv", "<!DOCTYPE html><html>", "'t.csv' is no text; it seems to be a web page"),
        ("t.csv", PARQUET, "'t.csv' is no text; it seems to be a parquet file"),
        ("t.csv", bytes(range(256)), "'t.csv' is no text, but binary data"),
        (
            "t.csv.gz",
            gzip.compress(TEXT.encode(), mtime=0)[:-12],
            "'t.csv.gz' cannot be unpacked: ",
        ),
        ("t.parquet", TEXT, "'t.parquet' is no parquet file"),
        ("t.parquet", b"PK\3\4" + PARQUET, "no parquet file; it seems to be a ZIP archive or a sp"),
        ("t.parquet", PARQUET[:-20], "breaks off: the end of its parquet data is missing"),
        ("t.parquet", PARQUET[:20] + b"PAR1", "cannot be read as parquet: it is damaged"),
        ("t.arrow", ARROW[:-20], "breaks off: the end of its Arrow data is missing"),
        ("t.arrow", b"ARROW1" + bytes(99) + b"ARROW1", "cannot be read as Arrow: it is damaged"),
        ("t.xlsx", "PK", "'t.xlsx' is of no known kind; the name of a table ends in .csv, .tsv, "),
        ("table", TEXT, "'table' is of no known kind"),
    ],
)  # fmt: skip
def test_what_is_no_plain_table_is_refused_in_a_line(file, name, content, words):
    with pytest.raises(ValueError, match=r"^'[tT]") as caught:
        read_table(file(name, content))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "polars" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere.csv", "there is no file 'nowhere.csv'"),
        ("nowhere.xlsx", "there is no file 'nowhere.xlsx'"),
        ("t.csv/t.csv", "there is no file 't.csv/t.csv'"),
        ("\0.csv", r"there is no file '\x00.csv'"),
        (".", "'.' is a folder; it must be a file, as in 'patients.csv'"),
        (os.devnull, f"{os.devnull!r} is no plain file"),
    ],
)
def test_what_is_no_file_is_told_as_the_user_named_it(file, path, words):
    file("t.csv", TEXT)
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        read_table(path)


def test_a_file_that_may_not_be_read(file, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    name = file("t.csv", TEXT)
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(ValueError, match=r"^'t\.csv' cannot be read: Permission denied$"):
        read_table(name)


def test_a_wrong_type_of_path_is_refused():
    with pytest.raises(TypeError, match="path is a int; it must be a text or a Path"):
        read_table(3)
