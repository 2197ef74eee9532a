import datetime
import json
import os
import re
import subprocess
import sys
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
import scipy.sparse
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import Bunch

from functional_clf.data.batches import draw_chunk
from functional_clf.data.dataset import Dataset
from functional_clf.data.seeds import replicate
from functional_clf.data.splits import split
from functional_clf.data.tables import from_arrays, table

N = 60


def rows(n=N, seed=0):
    """Rows of all kinds of cells, some of them missing."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "age": rng.integers(20, 80, n),
            "fee": rng.normal(size=n).round(3),
            "sex": rng.choice(["f", "m"], n),
            "smokes": rng.random(n) < 0.4,
            "seen": [datetime.date(2024, 1, 1) + datetime.timedelta(int(d)) for d in range(n)],
            "ward": [f"ward {i % 6}" for i in range(n)],
            "sick": rng.choice(["no", "yes"], n),
        }
    )
    blank = pl.Series(rng.random(n) < 0.15)
    return frame.with_columns(
        pl.when(~blank).then(pl.col(name)) for name in ("age", "fee", "sex", "smokes", "seen")
    )


ROWS = rows()
X = np.random.default_rng(0).normal(size=(N, 3))
Y = np.arange(N) % 2


def prepared(data, seed=0):
    return data.prepared(data.sample(0), data.split(0.2, seed))


def assert_same(one, other):
    assert one.describe() == other.describe()
    for ours, theirs in zip(prepared(one), prepared(other), strict=True):
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.y, theirs.y)


class Index(list):  # as pandas has it
    def __getitem__(self, places):
        return Index([list.__getitem__(self, i) for i in places])

    def equals(self, other):
        return list(self) == list(other)


class Column:
    """One column as pandas has it, of what is used here."""

    def __init__(self, values, index):
        self._values, self.index = np.asarray(values), index
        self.dtype = self._values.dtype

    def isna(self):
        kinds = (float, np.floating)
        return np.array([v is None or (isinstance(v, kinds) and v != v) for v in self._values])

    def tolist(self):
        return self._values.tolist()

    def to_numpy(self, dtype=None, na_value=None):
        return self._values.astype(dtype)


class Frame:
    """A data frame as pandas has it, of what is used here."""

    def __init__(self, columns, index=None):
        self._columns = {name: np.asarray(values) for name, values in columns.items()}
        n = len(next(iter(self._columns.values())))
        self.columns, self.index = Index(columns), Index(range(n) if index is None else index)
        self.dtypes, self.shape, self.iloc = [], (n, len(columns)), self

    def __getitem__(self, places):  # of a frame by names, of its iloc by row numbers or a column
        if isinstance(places, tuple):
            return Column(self._columns[list(self.columns)[places[1]]], self.index)
        if isinstance(places, Index):
            return Frame({name: self._columns[name] for name in places}, self.index)
        return Frame({name: values[places] for name, values in self._columns.items()})


def like_pandas(frame):
    def values(name):
        series = frame[name]
        if series.dtype == pl.Date:
            return series.cast(pl.Datetime("ns")).to_numpy()
        if series.dtype.is_numeric():
            return series.to_numpy()
        return np.array(series.to_list(), dtype=object)

    return Frame({name: values(name) for name in frame.columns})


# --- The same table, however it comes


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "arrow", "feather"])
def test_a_file_of_any_kind_is_the_same_table(tmp_path, ending):
    path = tmp_path / f"patients.{ending}"
    if ending in ("csv", "tsv"):
        ROWS.write_csv(path, separator="," if ending == "csv" else "\t")
    else:
        getattr(ROWS, "write_parquet" if ending == "parquet" else "write_ipc")(path)
    found = table(path, "sick")
    assert_same(found, table(ROWS, "sick", name="patients"))
    assert str(found) == repr(found) == "patients(60 rows, 6 columns)"
    assert isinstance(found, Dataset)


@pytest.mark.parametrize(
    "other",
    [
        ROWS.lazy(),
        ROWS.with_columns(pl.col("sick").cast(pl.Categorical), pl.col("age").cast(pl.Float32)),
        ROWS.with_columns(pl.col("sex").cast(pl.Enum(["never", "m", "f"]))),
        ROWS.with_columns(
            pl.col("seen").cast(pl.Datetime("ms")), pl.col("age").cast(pl.Decimal(9, 2))
        ),
        like_pandas(ROWS),
    ],
)
def test_the_container_and_its_types_do_not_matter(other):
    assert_same(table(other, "sick"), table(ROWS, "sick"))


def test_pandas_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {name: ROWS[name].to_list() for name in ROWS.columns}, index=range(9, 9 + N)
    )
    frame["seen"] = pandas.to_datetime(frame["seen"])
    assert_same(table(frame, "sick"), table(ROWS, "sick"))
    frame["sex"] = frame["sex"].astype("category")
    frame["age"] = frame["age"].astype("Int64")
    frame["smokes"] = frame["smokes"].astype("boolean")
    frame["sick"] = frame["sick"].astype("string")
    assert_same(table(frame, "sick"), table(ROWS, "sick"))
    encoder = make_column_transformer((OneHotEncoder(), ["sex"]), ("drop", ["ward"]))
    assert table(frame, "sick", prepare=encoder).n_features == 3


def test_arrays_of_any_kind_are_the_same_table():
    names = [f"feature {i}" for i in range(3)]
    framed = pl.DataFrame(X, schema=names)
    known = from_arrays(X, Y, name="table")
    for x in (X.tolist(), torch.tensor(X), scipy.sparse.csr_array(X), framed, X.astype(object)):
        for y in (Y.tolist(), Y.astype(float), pl.Series(Y), torch.tensor(Y), Y.astype(str)):
            assert_same(table((x, y)), known)
    bunch = Bunch(data=X, target=Y, feature_names=names, target_names=np.array(["no", "yes"]))
    assert table(bunch).describe()["content"] == known.describe()["content"]
    assert table(bunch).class_names == ("no", "yes")
    assert table(Bunch(data=framed, target=pl.Series(Y))).describe() == known.describe()


@pytest.mark.parametrize(
    "change",
    [
        pl.col("age") + 1,
        pl.col("age").reverse(),
        (pl.col("sex") + "x").alias("sex"),
        pl.col("sick").replace({"no": "none"}),
        pl.col("fee").alias("cost"),
        pl.when(pl.int_range(N) > 5).then("fee").alias("fee"),
    ],
)
def test_other_content_is_told_apart(change):
    known, other = table(ROWS, "sick").describe(), ROWS.with_columns(change)
    assert table(other, "sick").describe()["content"] != known["content"]


def test_what_is_dropped_is_no_part_of_the_content():
    more = ROWS.with_columns(pl.lit(3).alias("constant"), pl.int_range(N).alias("id"))
    assert_same(table(more, "sick", drop="id"), table(ROWS, "sick"))
    assert_same(table(more, "sick", drop=["id", "constant"]), table(ROWS, "sick"))


def test_it_describes_itself_alike_in_another_process(tmp_path, monkeypatch):
    ROWS.write_csv(tmp_path / "t.csv")
    code = """
import json, sys
import functional_clf.data.bundled
assert "sklearn" not in sys.modules  # which takes its time
import numpy as np
from functional_clf import table
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
own = make_pipeline(SimpleImputer(), FunctionTransformer(np.tanh))
numbers = table("t.csv", "sick", drop=["sex", "smokes", "seen", "ward"], prepare=own)
described = json.dumps([table("t.csv", "sick").describe(), numbers.describe()])
"""
    folder = os.path.abspath(os.path.join(__file__, "../../.."))
    env = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": folder}
    run = [sys.executable, "-c", code + "print(described)"]
    found = json.loads(subprocess.check_output(run, cwd=tmp_path, env=env))
    monkeypatch.chdir(tmp_path)
    here = {}
    exec(code.replace("assert", "#"), here)
    assert found == json.loads(here["described"])
    assert found[1]["prepare"]["class"] == "sklearn.pipeline.Pipeline"


# --- What it says and gives


def test_what_a_table_says_of_itself():
    data = table(ROWS, "sick", drop=["seen"], groups="ward", name="patients")
    assert (data.is_fixed, data.is_table, data.is_own) == (True, True, True)
    assert (data.kind, data.n_classes, data.n_samples) == ("table", 2, N)
    assert data.class_names == ("no", "yes")
    assert data.feature_names == ("age", "fee", "sex", "smokes")
    assert data.n_features == len(data.prepared_names) == prepared(data).train.x.shape[1]
    assert not data.has_own_test
    assert not data.is_plane
    described = data.describe()
    content = described.pop("content")
    assert len(content) == 24
    assert described == {
        "kind": "table",
        "name": "patients",
        "n_samples": N,
        "n_classes": 2,
        "is_fixed": True,
        "columns": ["age", "fee", "sex", "smokes"],
        "classes": ["no", "yes"],
        "target": "sick",
        "groups": "ward",
        "stratify": False,
        "own_test": False,
        "preparation": data.contents.preparation.settings,
    }


def test_rows_are_raw_and_held_once():
    data = table(ROWS, "sick", drop=["seen", "ward"])
    sample = data.sample(0)
    assert sample.x is data.sample(7).x
    assert sample.y is data.sample(7).y
    assert (sample.x.dtype, sample.y.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(sample.x[:, 0], ROWS["age"].cast(float).fill_null(np.nan))
    sex = ROWS["sex"].replace_strict({"f": 0.0, "m": 1.0}, default=None)
    np.testing.assert_array_equal(sample.x[:, 2], sex.fill_null(np.nan))
    np.testing.assert_array_equal(sample.y, ROWS["sick"] == "yes")
    with pytest.raises(ValueError, match="read-only"):
        sample.x[0, 0] = 0


def test_labels_follow_the_default_floating_point_type(float64):
    data = from_arrays(X, Y)
    assert data.sample(0).y.dtype == np.float64
    assert prepared(data).train.x.dtype == np.float64
    torch.set_default_dtype(torch.float32)
    assert data.sample(0).y.dtype == prepared(data).train.x.dtype == np.float32


def test_features_are_fitted_to_the_training_part_alone():
    data = from_arrays(X, Y)
    for seed in range(3):
        parts = data.split(0.2, seed)
        found = data.prepared(data.sample(0), parts)
        scaler = StandardScaler().fit(X[parts.train])
        for ours, part in zip(found, parts, strict=True):
            np.testing.assert_allclose(ours.x, scaler.transform(X[part]), rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(ours.y, Y[part])
        points = data.prepared_points(X[:5] + 1, parts)
        np.testing.assert_allclose(points, scaler.transform(X[:5] + 1), rtol=1e-5, atol=1e-6)


def test_a_chunk_is_drawn_of_a_table():
    chunk = [replicate(seed, "split") for seed in range(3)]
    data = table(ROWS, "sick")
    drawn = draw_chunk(data, chunk, 0.2, torch.device("cpu"))
    assert drawn.train.x.shape == (3, 48, data.n_features)
    assert bool(torch.isfinite(drawn.train.x).all())


def test_two_numbers_are_a_plane():
    assert from_arrays(X[:, :2], Y).is_plane
    assert not from_arrays(X, Y).is_plane


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (["b", "a"], ("a", "b")),
        (["10", "9"], ("10", "9")),
        ([10, 9], ("9", "10")),
        ([10.0, -9.0], ("-9", "10")),
        ([0.5, 0.25], ("0.25", "0.5")),
        ([True, False], ("False", "True")),
        ([Decimal("1.5"), Decimal("2")], ("1.5", "2.0")),
        ([2**60, 2**60 + 1], (str(2**60), str(2**60 + 1))),
        ([2**90, 2**90 + 1], (str(2**90), str(2**90 + 1))),
        ([datetime.date(2024, 1, 2), datetime.date(2023, 1, 2)], ("2023-01-02", "2024-01-02")),
    ],
)
def test_labels_of_any_type(y, names):
    data = from_arrays(X, y * (N // 2))
    assert data.class_names == names
    wanted = [sorted(y).index(value) for value in y] * (N // 2)
    np.testing.assert_array_equal(data.sample(0).y, wanted)
    renamed = from_arrays(X, y * (N // 2), class_names=["one", "two"])
    assert renamed.class_names == ("one", "two")


@pytest.mark.parametrize(
    ("y", "gone"),
    [
        ([None, "a", "b", "a", "b", "a"], [0]),
        ([1, 2, 1, float("nan"), 2, float("nan")], [3, 5]),
        (pl.Series(["", "a", "b", "a", "b", "a"], dtype=pl.Categorical), [0]),
    ],
)
def test_rows_without_a_label_are_left_out_and_told(y, gone):
    data = from_arrays(np.arange(12.0).reshape(6, 2), y, groups=list("aabbcc"), name="own")
    assert data.n_samples == 6 - len(gone)
    left = np.delete(np.arange(6), gone)
    np.testing.assert_array_equal(data.sample(0).x[:, 0], 2.0 * left)
    have = "has no label and is" if len(gone) == 1 else "have no label and are"
    assert data.notices == (f"data set 'own': {len(gone)} of 6 rows of the table {have} left out",)


# --- Splits


def test_splits_keep_the_shares_of_the_classes():
    y = np.r_[np.zeros(50, int), np.ones(10, int)]
    data = from_arrays(X, y)
    parts = data.split(0.2, 3)
    wanted = StratifiedShuffleSplit(1, test_size=0.2, random_state=3).split(X, y)
    for ours, theirs in zip(parts, next(wanted), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert data.sizes(0.2) == (48, 12) == tuple(map(len, parts))
    assert data.describe()["stratify"] is True
    plain = from_arrays(X, y, stratify=False)
    for ours, theirs in zip(plain.split(0.2, 3), split(N, 0.2, 3), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert plain.describe()["stratify"] is False
    with pytest.raises(ValueError, match=r"leaves 59 to train on and 1 to test on, too few for 2"):
        data.sizes(0.01)


def test_groups_stay_on_one_side():
    groups = np.repeat([f"g{i}" for i in range(12)], 5)
    data = from_arrays(X, Y, groups=groups)
    for seed in range(5):
        parts = data.split(0.25, seed)
        assert not set(groups[parts.train]) & set(groups[parts.test])
        assert tuple(map(len, parts)) == data.sizes(0.25)
    framed = pl.DataFrame(X).with_columns(pl.Series("y", Y), pl.Series("who", groups))
    other = table(framed, "y", groups="who")
    assert "who" not in other.feature_names
    np.testing.assert_array_equal(other.split(0.25, 1).train, data.split(0.25, 1).train)
    lopsided = from_arrays(X, Y, groups=["big"] * 58 + ["small"] * 2)
    with pytest.raises(ValueError, match="group 'big' holds"):
        lopsided.sizes(0.2)


def test_test_rows_given_apart_are_always_the_test_rows(tmp_path):
    ROWS.head(40).write_csv(tmp_path / "train.csv")
    ROWS.tail(20).write_parquet(tmp_path / "test.parquet")
    marked = ROWS.with_columns(part=pl.Series(["Train"] * 40 + ["testing"] * 20))
    shuffled = pl.concat([marked.tail(20), marked.head(40)])
    kinds = [
        table(tmp_path / "train.csv", "sick", test=tmp_path / "test.parquet", name="t"),
        table(ROWS.head(40), "sick", test=ROWS.tail(20).select(ROWS.columns[::-1]), name="t"),
        table(like_pandas(ROWS.head(40)), "sick", test=like_pandas(ROWS.tail(20)), name="t"),
        table(marked, "sick", split_column="part", name="t"),
        table(shuffled, "sick", split_column="part", name="t"),
    ]
    for data in kinds:
        assert data.has_own_test
        assert data.describe()["own_test"] is True
        assert data.n_samples == N
        assert data.sizes(0.2) == data.sizes(0.5) == (40, 20)
        for seed in (0, 9):
            train, test = data.split(0.7, seed)
            np.testing.assert_array_equal(np.r_[train, test], np.arange(N))
        assert data.feature_names == kinds[0].feature_names
        assert_same(data, kinds[0])


def test_categories_of_the_test_rows_alone_are_unknown_ones():
    train = pl.DataFrame({"c": list("abab") * 5, "y": [0, 0, 1, 1] * 5})
    data = table(train, "y", test=pl.DataFrame({"c": ["a", "z", None], "y": [0, 1, 0]}))
    np.testing.assert_array_equal(data.sample(0).x[20:, 0], [0, 2, np.nan])
    assert data.prepared_names == ("c = a", "c = b", "c: rare or unknown")


# --- A transformer of the user's


class Frames(TransformerMixin, BaseEstimator):
    """Says what it was given, and gives two numbers."""

    def fit(self, rows, y=None):
        assert len(y) == rows.shape[0]
        self.kind_ = type(rows)
        return self

    def transform(self, rows):
        assert isinstance(rows, self.kind_)
        seen.append(rows)
        return np.ones((rows.shape[0], 2)) * np.arange(rows.shape[0])[:, None]


seen = []


@pytest.mark.parametrize("apart", [{}, {"test": True}, {"split_column": "part"}])
@pytest.mark.parametrize("kind", [pl.DataFrame, Frame, np.ndarray])
def test_it_is_given_the_rows_as_they_came(kind, apart, monkeypatch):
    frame = ROWS.select("age", "fee", "sick").with_columns(part=pl.Series(["train", "test"] * 30))
    make = {pl.DataFrame: lambda one: one, Frame: like_pandas}.get(kind)
    names = ["age", "fee"]
    seen.clear()
    if make is None:
        if "split_column" in apart:
            return
        more = {"test": (X[:5], Y[:5])} if apart else {}
        data = from_arrays(X, Y, prepare=Frames(), **more)
    else:
        concat = lambda frames, ignore_index: Frame(  # noqa: E731
            {n: np.concatenate([f._columns[n] for f in frames]) for n in frames[0].columns}
        )
        monkeypatch.setattr(sys.modules[Frame.__module__], "concat", concat, raising=False)
        monkeypatch.setitem(sys.modules, Frame.__module__.partition(".")[0], sys.modules[__name__])
        more = {"test": make(frame.head(6))} if "test" in apart else apart
        data = table(make(frame), "sick", drop="part" if not more or "test" in more else (),
                     prepare=Frames(), **more)  # fmt: skip
        assert all([*map(str, one.columns)] == names for one in seen)
    prepared(data)
    assert seen
    assert all(type(one) is kind for one in seen)
    assert (data.n_features, data.is_own) == (2, False)


def test_a_transformer_of_scikit_learns_in_place_of_ours():
    own = make_pipeline(StandardScaler(), PCA(2, svd_solver="full"))
    data = from_arrays(X, Y, prepare=own)
    parts = data.split(0.2, 4)
    fitted = make_pipeline(StandardScaler(), PCA(2, svd_solver="full")).fit(X[parts.train])
    found = data.prepared(data.sample(0), parts)
    np.testing.assert_allclose(found.test.x, fitted.transform(X[parts.test]), atol=1e-5)
    np.testing.assert_allclose(
        data.prepared_points(X[:4], parts), fitted.transform(X[:4]), atol=1e-5
    )
    described = data.describe()["prepare"]
    assert described["class"] == "sklearn.pipeline.Pipeline"
    other = from_arrays(X, Y, prepare=PCA(2, svd_solver="full")).describe()["prepare"]
    assert described["outcome"] != other["outcome"]
    framed = table(pl.DataFrame(X).with_columns(y=pl.Series(Y)), "y", prepare=own)
    np.testing.assert_allclose(
        framed.prepared_points(X[:4], parts), fitted.transform(X[:4]), atol=1e-5
    )


def test_a_transformer_that_fails_is_told_in_a_line():
    with pytest.raises(
        ValueError, match=r"^data set 'arrays': prepare failed on .*: no such thing$"
    ):
        from_arrays(X, Y, prepare=FunctionTransformer(failing))
    with pytest.raises(TypeError, match="prepare is 'scale'; it must be a transformer"):
        from_arrays(X, Y, prepare="scale")
    words = table(ROWS.select("sex", "sick").fill_null("?"), "sick", prepare=OneHotEncoder())
    with pytest.raises(ValueError, match="points can be prepared only where all columns are num"):
        words.prepared_points(np.zeros((1, 1)), words.split(0.2, 0))


def failing(x):
    raise RuntimeError("no such thing")


# --- What is told of the columns


def test_what_says_nothing_is_left_out_and_told():
    frame = pl.DataFrame(X).with_columns(
        pl.Series("id", [f"p{i}" for i in range(N)]),
        pl.lit(1).alias("constant"),
        pl.lit(None).alias("blank"),
        y=pl.Series(Y),
    )
    data = table(frame, "y")
    assert data.dropped == {
        "id": "an identifier, another one in each row",
        "constant": "constant",
        "blank": "all missing",
    }
    assert data.notices == (
        "data set 'table': columns left out, as they say nothing: 'id' (an identifier, another one "
        "in each row), 'constant' (constant), 'blank' (all missing)",
    )
    assert data.feature_names == ("column_0", "column_1", "column_2")


@pytest.mark.parametrize(
    ("leak", "is_told"),
    [
        (pl.Series("leak", np.where(Y, "sick", "well")), True),
        (pl.Series("leak", 3.5 - Y), True),
        (pl.Series("leak", [None if label else 1.0 for label in Y]), True),
        (pl.Series("leak", np.where(np.arange(N) == 7, 1 - Y, Y)), False),
        (pl.Series("leak", np.arange(N) % 4), False),
    ],
)
def test_the_target_by_another_name_is_told(leak, is_told):
    data = table(pl.DataFrame(X).with_columns(leak, y=pl.Series(Y)), "y")
    told = [line for line in data.notices if "by another name" in line]
    assert bool(told) == is_told
    if told:
        assert "column 'leak' is the target by another name" in told[0]
        assert told[0].endswith("drop it with --drop leak")


def test_a_word_for_missing_values_among_numbers_is_told():
    numbers = [str(i) for i in range(N)]
    numbers[3] = "-"
    data = table(pl.DataFrame(X).with_columns(odd=pl.Series(numbers), y=pl.Series(Y)), "y")
    again = table(pl.DataFrame({"odd": numbers[:12] * 6, "y": [0, 1, 1] * 24}), "y")
    assert "odd" in data.dropped  # as no value is frequent
    assert "odd" in again.feature_names
    for one in (data, again):
        told = "column 'odd' is taken for words, though all but '-' are numbers"
        assert told in one.notices[0]


# --- What is refused


FRAME = pl.DataFrame(X, schema=["a", "b", "c"]).with_columns(
    pl.Series("who", np.repeat(range(12), 5)), y=pl.Series(np.where(Y, "yes", "no"))
)


def replaced(name, values, dtype=None):
    return FRAME.with_columns(pl.Series(name, values, dtype=dtype))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: table(FRAME), "target is None; it must name the column to predict, one of 'a', "),
        (lambda: table(FRAME, "Y"), "target is 'Y'; the table has no such column (did you mean 'y"),
        (lambda: table(FRAME, "diagnosis"), "no such column (it has 'a', 'b', 'c', 'who', 'y')"),
        (
            lambda: table(FRAME, "y", groups="whom"),
            "groups is 'whom'; the table has no such column (did you mean 'who'?)",
        ),
        (lambda: table(FRAME, "y", drop=["whoo"]), "drop is 'whoo'; the table has no such column"),
        (lambda: table(FRAME, "y", split_column="wo"), "split_column is 'wo'; the table has no"),
        (lambda: table((X, Y), "y"), "target is 'y', and labels come apart; give one of the two"),
        (lambda: table(load_iris(), "target"), "target is 'target', and labels come apart"),
        (lambda: table(FRAME, "y", drop=["y"]), "drop holds 'y', which is the target"),
        (lambda: table(FRAME, "y", groups="y"), "groups is 'y', which is the target, too"),
        (lambda: table(FRAME, "y", groups="who", drop="who"), "drop holds 'who', which is the gr"),
        (lambda: table(FRAME, "y", split_column="y"), "split_column is 'y', which is the target"),
        (lambda: table(FRAME, "y", drop=["a", "b", "c", "who"]), "no column left to learn from"),
        (lambda: table(FRAME.select("y"), "y"), "the table has no column left to learn from"),
        (lambda: table(FRAME.select(pl.lit(1).alias("a"), "y"), "y"), "'a' (constant)"),
        (
            lambda: table(FRAME, "y", stratify=True, groups="who"),
            "stratify is True, and groups are",
        ),
        (
            lambda: table(FRAME, "y", stratify=True, test=FRAME),
            "stratify is True, but with test no",
        ),
        (
            lambda: table(FRAME, "y", groups="who", test=FRAME),
            "groups keep rows together in splits;",
        ),
        (
            lambda: table(FRAME, "y", split_column="who", test=FRAME),
            "test and split_column both say",
        ),
        (lambda: table(replaced("y", [None] * N), "y"), "target 'y' holds only missing values"),
        (
            lambda: table(replaced("y", ["a"] * N), "y"),
            "target 'y' holds only 'a'; it needs two cl",
        ),
        (lambda: from_arrays(X, np.ones(N)), "y holds only '1'; it needs two classes at least"),
        (
            lambda: table(load_diabetes()),
            "y has 214 different values, and 100 classes are the most; "
            "to predict a number is not what this is for",
        ),
        (
            lambda: table(replaced("y", [*["a", "b"] * 29, "a", "c"]), "y"),
            "target 'y': class 'c' has "
            "1 row; each needs at least 2: drop it, or merge it with another",
        ),
        (lambda: from_arrays(X, [*[0.0, 1.0] * 29, 0.0, np.inf]), "y holds infinite numbers"),
        (
            lambda: from_arrays(X, [*["a", "b"] * 29, "a", 3]),
            "y holds 'a' and 3; it must be of one",
        ),
        (
            lambda: from_arrays(X, [[1]] * N),
            "y holds objects, such as [1]; it must be numbers, words",
        ),
        (lambda: from_arrays(X, Y[:, None]), "y has shape (60, 1); it must be (row,)"),
        (lambda: from_arrays(X, Y[:9]), "x has 60 rows, and y has 9"),
        (lambda: from_arrays(X[:, 0], Y), "x has shape (60,); it must be (row, column)"),
        (
            lambda: from_arrays(X.astype(str), Y),
            "it must be numbers (a table with words comes as a",
        ),
        (
            lambda: from_arrays([["a", 1]] * N, Y),
            "it must be numbers (a table with words comes as a",
        ),
        (lambda: from_arrays(X.astype(complex), Y), "x holds "),
        (lambda: from_arrays([[1], [1, 2]], [0, 1]), "x has rows of unlike lengths"),
        (lambda: from_arrays([[10**400]] * N, Y), "x, column 0, holds a value out of range"),
        (lambda: from_arrays(X, Y, feature_names=["a"]), "feature_names holds 1; x has 3 columns"),
        (lambda: from_arrays(X, Y, feature_names=["a", "a", "b"]), "feature_names holds 'a' twice"),
        (lambda: from_arrays(X, Y, class_names=["a"]), "class_names holds 1; y has 2 different"),
        (lambda: from_arrays(X, Y, class_names=["a", "a"]), "each class needs a name of its own"),
        (lambda: from_arrays(X, Y, groups=[1]), "groups holds 1 values; there are 60 rows"),
        (
            lambda: from_arrays(X, Y, groups=[1] * N),
            "groups holds only '1'; a split needs two groups",
        ),
        (
            lambda: from_arrays(X, Y, groups=[None] + [1, 2] * 29 + [1]),
            "groups: 1 row has no group",
        ),
        (
            lambda: table(replaced("who", [None, None, 1] * 20), "y", groups="who"),
            "groups 'who': 40 rows have no group",
        ),
        (
            lambda: table(replaced("b", [[1]] * N), "y"),
            "column 'b' holds lists (List(Int64)); it must",
        ),
        (lambda: table(replaced("b", [{"k": 1}] * N), "y"), "column 'b' holds lists"),
        (lambda: table(replaced("b", [b"x"] * N), "y"), "column 'b' holds bytes (Binary)"),
        (lambda: table(replaced("b", [object()] * N), "y"), "column 'b' holds objects (Object)"),
        (
            lambda: table(replaced("b", [*range(59), np.inf], pl.Float64), "y"),
            "column 'b' holds inf at row 60 of the table; it must be finite numbers, or missing",
        ),
        (
            lambda: table(like_pandas(FRAME.rename({"b": " "})), "y"),
            "the table: column 2 has no name",
        ),
        (
            lambda: table((Frame({"a": X[:, 0]}), Column(Y, Index(range(1, N + 1))))),
            "x and y have different indices",
        ),
        (lambda: table(FRAME, "y", split_column="who"), "split_column 'who' holds no words"),
        (
            lambda: table(replaced("b", ["train", "val"] * 30), "y", split_column="b"),
            "split_column 'b' holds 'val'; each row must say 'train' or 'test'",
        ),
        (
            lambda: table(replaced("b", ["train", None] * 30), "y", split_column="b"),
            "holds missing va",
        ),
        (
            lambda: table(replaced("b", ["train"] * N), "y", split_column="b"),
            "says 'test' of no row",
        ),
        (
            lambda: table(FRAME, "y", test=FRAME.drop("b", "c")),
            "test has no column 'b', 'c', which",
        ),
        (
            lambda: table(FRAME, "y", test=FRAME.drop("y")),
            "test has no column 'y', which the table",
        ),
        (
            lambda: table(FRAME, "y", test=FRAME.with_columns(d=1)),
            "test has a column 'd', which the",
        ),
        (
            lambda: table(FRAME, "y", test=replaced("b", ["w"] * N)),
            "column 'b' holds words in the test rows and numbers in the training rows",
        ),
        (
            lambda: table(replaced("b", ["w"] * N), "y", test=FRAME),
            "column 'b' holds numbers in the",
        ),
        (
            lambda: table(FRAME, "y", test=replaced("y", ["maybe"] * N)),
            "target 'y' of the test rows holds 'maybe'; no training row has this label",
        ),
        (lambda: table(FRAME, "y", test=FRAME.clear()), "target 'y' of the test rows holds only"),
        (lambda: table(FRAME, "y", test=replaced("a", [np.inf] * N)), "inf at row 1 of test"),
        (lambda: table(FRAME, "y", test=(X, Y)), "test is of another kind than source"),
        (
            lambda: from_arrays(X, Y, test=(X[:, :2], Y)),
            "test has 2 columns; the training rows have 3",
        ),
        (lambda: from_arrays(X, Y, name=" "), "name is ' ', which is empty"),
        (lambda: table("nowhere.csv", "y"), "there is no file 'nowhere.csv'"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_a_line(build, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: table(3, "y"), "source is 3; it must be a path, a data frame, (X, y), or a Bunch"),
        (lambda: table([X, Y], "y"), "source is a list; it must be a path"),
        (lambda: table(FRAME, "y", test=3), "test is 3; it must be a path"),
        (lambda: table(FRAME, "y", drop=3), "drop is 3; it must be names of columns"),
        (lambda: table(FRAME, "y", drop=[None]), "drop is None; it must be the name of a column"),
        (lambda: table(FRAME, 1.5), "target is 1.5; it must be the name of a column"),
        (lambda: table(FRAME, "y", stratify="yes"), "stratify is 'yes'; it must be True, False or"),
        (lambda: from_arrays(X, Y, test=X), "test is a ndarray; it must be (x, y)"),
        (lambda: from_arrays(X, Y, groups="who"), "groups is 'who'; it must be one value a row"),
        (lambda: from_arrays(X, Y, name=3), "name is 3; a data set needs a text"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(build, words):
    with pytest.raises(TypeError) as caught:
        build()
    assert str(caught.value).startswith(words)


def test_the_file_and_its_row_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "a,b,y\n1,2,0\n3,4,\n5,6,1\n7,-inf,0\n9,8,1\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=r"^column 'b' holds -inf at row 4 of 't\.csv'; "):
        table("t.csv", "y")
    with pytest.raises(ValueError, match=r"^target is 'z'; 't\.csv' has no such column"):
        table("t.csv", "z")
    (tmp_path / "t.csv").write_text(text.replace("-inf", "6"))
    data = table("t.csv", "y")
    assert data.notices[0] == ("data set 't': 1 of 5 rows of 't.csv' has no label and is left out")
    (tmp_path / "u.csv").write_text("a,y\n1,0\n2,1\n")
    with pytest.raises(ValueError, match=r"^'u\.csv' has no column 'b', which the table has"):
        table("t.csv", "y", test="u.csv")


def test_numbers_of_any_size():
    x = X.copy()
    x[:, 0] *= 1e100  # beyond float32, and standardised all the same
    found = prepared(from_arrays(x, Y))
    assert np.isfinite(found.train.x).all()
    np.testing.assert_allclose(found.train.x[:, 0].std(), 1, rtol=1e-5)
    with pytest.raises(ValueError, match=r"feature 'x0' is .*e\+\d+ once prepared, beyond the ran"):
        prepared(from_arrays(x, Y, prepare=FunctionTransformer(feature_names_out=names_out)))


def names_out(transformer, names):
    return [f"x{i}" for i in range(3)]


def centred(by):
    class Centred(BaseEstimator, TransformerMixin):
        def fit(self, x, y=None):
            self.mean_ = by(x)
            return self

        def transform(self, x):
            return x - self.mean_

    return Centred()


def test_transformers_of_one_name_are_told_apart_by_their_code():
    x, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    whole = x.mean(0)
    honest, leaking, again = (
        from_arrays(x, y, prepare=centred(by)).describe()
        for by in (lambda x: x.mean(0), lambda x: whole, lambda x: x.mean(0))
    )
    assert honest["prepare"] == leaking["prepare"]  # of all rows both make the same
    assert honest["code"] not in (None, leaking["code"])
    assert honest == again


def test_true_and_false_are_the_same_words_in_either_file(tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("smokes,y\n" + "true,ill\nFalse,well\nmaybe,ill\nmaybe,well\n" * 10)
    test.write_text("smokes,y\n" + "true,ill\nfalse,well\ntrue,well\n" * 10)
    for first, second, both in ((train, test, 30), (test, train, 20)):
        data = table(first, "y", test=second)
        rows = data.split(0.2, 0)
        _, held_out = data.prepared(data.sample(0), rows)
        known = np.abs(held_out.x).sum(1) > 0
        assert known.sum() >= both
        assert not data.notices


def test_test_rows_that_are_written_otherwise_are_told(tmp_path):
    rows = {"city": ["Rome", "Oslo"] * 10, "n": list(range(20)), "y": [0, 0, 1, 1] * 5}
    train = pl.DataFrame(rows)
    test = train.with_columns(pl.col("city").str.to_uppercase())
    [notice] = table(train, "y", test=test).notices
    assert "column 'city': 20 of 20 test rows hold a value that no training row has" in notice


def test_broken_numbers_are_labels_in_test_rows_of_whole_ones_alone():
    x = np.arange(8.0).reshape(4, 2)
    data = from_arrays(x, [0.5, 1.0, 0.5, 1.0], test=(x[:2], [1.0, 1.0]))
    assert data.sample(0).y.tolist() == [0, 1, 0, 1, 1, 1]
