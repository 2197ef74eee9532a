"""Tables out of files: a file that is no plain table is refused in one line, never half read."""

import csv
import functools
import gzip
import io
import itertools
import os
import re
import stat
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from functional_clf.support.errors import one_line
from functional_clf.support.forks import use_threads
from functional_clf.support.memory import amount, memory_limit

MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?")
"""What stands for a missing value in a text file."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
FIRST_ROWS = 10_000
"""So many tell the types of a text file's columns, where the later ones agree."""

ENDINGS = (".csv", ".tsv", ".parquet", ".arrow", ".feather", ".ipc")

_NAMES = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
_BEGINNINGS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"SQLite format": "an SQLite database",
    b"PAR1": "a parquet file",
    b"ARROW1": "an Arrow file",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
}


def read_table(path: str | os.PathLike[str]) -> pl.DataFrame:
    r"""A table out of a file: .csv, .tsv (.gz, too), .parquet, .arrow, .feather or .ipc.

    Text is UTF-8 with a header; types come of all rows, and `MISSING` lists what stands for a
    missing value. Dates are read where a column holds nothing but ISO dates.

    Args:
        path: of the file.

    Returns:
        At least two rows; names of columns without blanks around them.

    Raises:
        TypeError: when it is not a path.
        ValueError: when there is no such file, or it is not a whole, plain table.
        RuntimeError: in a process forked from one that has used polars.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "patients.csv")
        ...     _ = file.write_text("age, sick\n31,no\n?,yes\n")
        ...     read_table(file).rows()
        [(31, 'no'), (None, 'yes')]
    """
    use_threads()
    try:
        given = os.fspath(path)
    except TypeError:
        raise TypeError(f"path is a {type(path).__name__}; it must be a text or a Path") from None
    shown, ending = repr(given), _ending(given)
    _check_file(given)
    if ending not in ENDINGS:
        raise ValueError(
            f"{shown} is of no known kind; the name of a table ends in "
            f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        )
    with _reachable(given):
        _check_size(os.stat(given).st_size, shown)
        data = Path(given).read_bytes()
    if not data:
        raise ValueError(f"{shown} is empty")
    if ending in DELIMITERS:
        return _named(_read_text(data, DELIMITERS[ending], shown), shown)
    return _named(_read_binary(data, ending, shown), shown)


def line_of_row(path: str | os.PathLike[str], row: int) -> int | None:
    r"""The line of a text file on which a row of its table begins; None of files without lines.

    Args:
        path: of a file that `read_table` has read.
        row: its number, from 0.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "patients.csv")
        ...     _ = file.write_text("age,sick\n31,no\n\n40,yes\n")
        ...     line_of_row(file, 1)
        4
    """
    given = os.fspath(path)
    if (delimiter := DELIMITERS.get(_ending(given))) is None:
        return None
    text = _text(Path(given).read_bytes(), repr(given))
    if "\n" not in text:
        text = text.replace("\r", "\n")
    rows = (line for line, cells in _rows(text, delimiter, repr(given)) if "".join(cells).strip())
    return next(itertools.islice(rows, row + 1, None), None)


def as_values(words: pl.Series) -> pl.Series:
    """Words of a text file without blanks around them, as numbers or dates where all are such.

    Example:
        >>> as_values(pl.Series([" 3", "+4", " ?"])).to_list()
        [3.0, 4.0, None]
        >>> as_values(pl.Series(["2024-02-01", None])).dtype
        Date
    """
    stripped = words.str.strip_chars()
    stripped = stripped.set(stripped.is_in(MISSING).fill_null(False), None)
    n_missing = stripped.null_count()
    if n_missing == len(stripped):
        return stripped
    numbers = stripped.cast(pl.Float64, strict=False)
    if numbers.null_count() == n_missing:
        return numbers
    folded = stripped.str.to_lowercase()
    if folded.is_in(("true", "false")).all():
        return folded == "true"
    first = stripped.drop_nulls()[0]
    for pattern, form in (
        (r"\d{4}-\d\d-\d\d", None),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", "%H:%M"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?", "%H:%M:%S%.f"),
    ):
        if re.fullmatch(pattern, first):
            if form is None:
                dates = stripped.str.to_date("%Y-%m-%d", strict=False)
            else:
                spaced = stripped.str.replace("T", " ", literal=True)
                dates = spaced.str.to_datetime(f"%Y-%m-%d {form}", strict=False, time_unit="us")
            if dates.null_count() == n_missing:
                return dates
    return stripped


def _ending(given: str) -> str:
    name = Path(given).name.lower()
    ending = Path(name).suffix
    return Path(name.removesuffix(".gz")).suffix if ending == ".gz" else ending


def _check_file(given: str) -> None:
    if "\0" in given:  # which no system's names hold
        raise ValueError(f"there is no file {given!r}")
    with _reachable(given):
        mode = os.stat(given).st_mode
    if stat.S_ISDIR(mode):
        raise ValueError(f"{given!r} is a folder; it must be a file, as in 'patients.csv'")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{given!r} is no plain file; save the table as one")


@contextmanager
def _reachable(given: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"there is no file {given!r}") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ValueError(f"{given!r} cannot be read: {why}") from error


def _read_binary(data: bytes, ending: str, shown: str) -> pl.DataFrame:
    kind = "parquet" if ending == ".parquet" else "Arrow"
    magic = b"PAR1" if ending == ".parquet" else b"ARROW1"
    is_stream = ending != ".parquet" and data.startswith(b"\xff\xff\xff\xff")
    if not is_stream:
        if not data.startswith(magic):
            raise ValueError(f"{shown} is no {kind} file{_seems(data)}")
        if not data.endswith(magic):
            raise ValueError(f"{shown} breaks off: the end of its {kind} data is missing")
    if not is_stream:
        n_rows = _declared_rows(data, kind)
        _check_size(n_rows, shown, f"its {n_rows} rows need")  # a label takes a byte
    readers: dict[str, Any] = {"parquet": pl.read_parquet, "Arrow": pl.read_ipc}
    try:
        return (pl.read_ipc_stream if is_stream else readers[kind])(io.BytesIO(data))
    except (Exception, pl.exceptions.PanicException) as error:  # it says where, not what
        raise ValueError(f"{shown} cannot be read as {kind}: it is damaged") from error


def _declared_rows(data: bytes, kind: str) -> int:
    """How many rows a file says that it has: some bytes may stand for any number of them."""
    scan: Any = pl.scan_parquet if kind == "parquet" else pl.scan_ipc
    try:
        return scan(io.BytesIO(data)).select(pl.len()).collect().item()
    except (Exception, pl.exceptions.PanicException):  # told where it is read
        return 0


def _check_size(n_bytes: int, shown: str, what: str = "it needs") -> None:
    limit = memory_limit()
    if limit is not None and n_bytes > limit.bytes:
        raise ValueError(
            f"{shown} is too large: {what} at least {amount(n_bytes)} of memory, and {limit.what} "
            f"{amount(limit.bytes)}"
        )


def _read_text(data: bytes, delimiter: str, shown: str) -> pl.DataFrame:
    text = _text(data, shown)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old spreadsheets end lines
    if not text.strip():
        raise ValueError(f"{shown} is empty")
    if not text.partition("\n")[0].strip():
        raise ValueError(f"{shown}: its first line is empty; it must name the columns")
    header = _header(text, delimiter, shown)
    blank = _blank_rows(text, delimiter, len(header), shown)
    try:
        found = _parsed(text.encode(), delimiter)
    except (Exception, pl.exceptions.PanicException) as error:
        why = one_line(error).rstrip(".:")
        raise ValueError(f"{shown} cannot be read as a table: {why}") from error
    if blank:
        found = found.with_row_index("\0").filter(~pl.col("\0").is_in(blank)).drop("\0")
    found.columns = [f"{number}" for number in range(found.width)]  # polars renames the repeated
    found = found.with_columns(
        as_values(column) for column in found.iter_columns() if column.dtype == pl.String
    )
    found.columns = header
    return found


def _parsed(data: bytes, delimiter: str) -> pl.DataFrame:
    """A frame of the types that all rows allow.

    Looking through all rows takes ten times as long as reading them by types that are known. So
    the first rows tell, unless a later one does not fit, or they say nothing of a column.
    """
    read = functools.partial(pl.read_csv, data, separator=delimiter, null_values=list(MISSING))
    mark = delimiter.encode()
    # Of which later rows may hold some, and the first none: the types are others then.
    odd = (mark + b" ", b" " + mark, b"\n ", b" \n", mark + b"+", b"\n+")
    if any(one in data for one in odd):
        return read(infer_schema_length=None)
    try:
        found = read(infer_schema_length=FIRST_ROWS)
        first = found.head(FIRST_ROWS)
        texts = [one for one in first.iter_columns() if one.dtype == pl.String]
        if found.height <= FIRST_ROWS or all(one.null_count() < len(one) for one in texts):
            return found
    except pl.exceptions.PolarsError:
        pass
    return read(infer_schema_length=None)


def _header(text: str, delimiter: str, shown: str) -> list[str]:
    header = [name.strip() for name in next(_rows(text, delimiter, shown))[1]]
    if len(header) == 1:
        counts = {mark: header[0].count(mark) for mark in _NAMES if mark != delimiter}
        likely = max(counts, key=counts.__getitem__)
        if counts[likely]:
            name = _NAMES[likely]
            wanted = "commas" if delimiter == "," else "tabs"
            raise ValueError(f"{shown}: its delimiter seems to be {name}; save it with {wanted}")
    _check_names(header, shown)
    return header


def _blank_rows(text: str, delimiter: str, width: int, shown: str) -> list[int]:
    """Numbers of the rows without a cell, once every other one has a cell for each column."""
    blank, number = [], -1
    if '"' not in text and _is_even(text, delimiter, width):
        return []
    if '"' in text:
        counted = ((line, len(row), row) for line, row in _rows(text, delimiter, shown))
    else:  # much quicker
        lines = enumerate(text.removesuffix("\n").split("\n"), 1)
        counted = ((line, row.count(delimiter) + 1, (row,)) for line, row in lines)
    for number, (line, found, row) in enumerate(counted, -1):
        if found == width:
            continue
        if not "".join(row).strip():
            blank.append(number)
            continue
        cells = "1 cell" if found == 1 else f"{found} cells"
        raise ValueError(f"{shown}: line {line} has {cells}; the header names {width} columns")
    if number < 0 or number + 1 == len(blank):
        raise ValueError(f"{shown} has a header and no rows")
    return blank


def _is_even(text: str, delimiter: str, width: int) -> bool:
    """Whether every line has a cell for each column, told a hundred times as fast as line by line.

    False where it cannot be told so.
    """
    if width < 2 or not text.endswith("\n") or "\r" in text:
        return False
    data = np.frombuffer(text.encode(), np.uint8)
    ends, marks = (np.flatnonzero(data == ord(mark)) for mark in ("\n", delimiter))
    if len(ends) < 2 or len(marks) != len(ends) * (width - 1):
        return False
    first, last = marks[:: width - 1], marks[width - 2 :: width - 1]
    return bool((last < ends).all() and (first[1:] > ends[:-1]).all())


def _rows(text: str, delimiter: str, shown: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 0
    try:
        for row in reader:
            yield line + 1, row
            line = reader.line_num
    except csv.Error as error:
        why = "a quote is not closed" if "end of data" in str(error) else str(error)
        raise ValueError(f"{shown}: line {line + 1} cannot be read: {why}") from error


def _text(data: bytes, shown: str) -> str:
    if data.startswith(b"\x1f\x8b"):
        try:
            data = _unpacked(data, shown)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{shown} cannot be unpacked: {one_line(error)}") from error
    for mark, encoding in (
        (b"\xff\xfe\0\0", "UTF-32"),
        (b"\0\0\xfe\xff", "UTF-32"),
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
    ):
        if data.startswith(mark):
            raise ValueError(f"{shown}: its encoding seems to be {encoding}; save it as UTF-8")
    if seems := _seems(data):
        raise ValueError(f"{shown} is no text{seems}")
    head = data[:4096]
    if b"\0" in head:
        if max(head[0::2].count(0), head[1::2].count(0)) > 0.4 * len(head) / 2:
            raise ValueError(f"{shown}: its encoding seems to be UTF-16; save it as UTF-8")
        raise ValueError(f"{shown} is no text, but binary data")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{shown}: line {line} is not UTF-8{_likely_encoding(data)}; save it as UTF-8"
        ) from None


def _unpacked(data: bytes, shown: str) -> bytes:
    """What is packed, as long as it fits: a thousandth of its size may stand for it."""
    parts, n_bytes = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        while part := file.read(2**24):
            parts.append(part)
            n_bytes += len(part)
            _check_size(3 * n_bytes, shown)  # in parts, as one, and as text
    return b"".join(parts)


def _seems(data: bytes) -> str:
    head = data[:200].lstrip().lower()
    return next(
        (
            f"; it seems to be {kind}"
            for beginning, kind in _BEGINNINGS.items()
            if head.startswith(beginning.lower())
        ),
        "",
    )


def _likely_encoding(data: bytes) -> str:
    # Accented letters of western languages stand alone; other scripts' bytes come in runs.
    runs = re.findall(rb"[\x80-\xff]+", data[:1_000_000])
    alone = sum(len(run) == 1 for run in runs)
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    if 2 * alone < len(runs):
        return ""
    return "; its encoding seems to be Windows-1252 (or Latin-1)"


def _named(found: pl.DataFrame, shown: str) -> pl.DataFrame:
    names = [name.strip() for name in found.columns]
    if not names:
        raise ValueError(f"{shown} has no columns")
    _check_names(names, shown)
    if found.height < 2:
        rows = "1 row" if found.height else "a header and no rows"
        raise ValueError(f"{shown} has {rows}; a table needs more")
    found.columns = names
    return found


def _check_names(names: Sequence[str], shown: str) -> None:
    if "" in names:
        raise ValueError(
            f"{shown}: column {names.index('') + 1} has no name; name it in the header (pandas "
            "writes such a one unless index=False)"
        )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{shown}: {count} columns are named {name!r}; each needs a name of its own"
        )
