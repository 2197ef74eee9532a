"""Scores out of frames of every kind, and the numbers that they are compared by."""

import numpy as np
import polars as pl
import pytest

from functional_clf.score_tables.reading import Names, Reading, read_scores

A, B = [0.5, 0.625, 0.75, 0.5], [0.75, 0.75, 0.875, 1.0]
LONG = {"model": ["a"] * 4 + ["b"] * 4, "seed": [3, 1, 2, 0, 0, 1, 2, 3], "score": A + B}


def of(table, name):
    return table.scores[name].tolist()


def test_long_rows_are_paired_by_seed_whatever_their_order():
    table = read_scores(pl.DataFrame(LONG))
    assert table.keys.tolist() == [0, 1, 2, 3]
    assert of(table, "a") == [0.5, 0.625, 0.75, 0.5]
    assert of(table, "b") == B
    shuffled = pl.DataFrame(LONG).sample(fraction=1, shuffle=True, seed=1)
    assert of(read_scores(shuffled), "a") == of(table, "a")


@pytest.mark.parametrize("model", ["model", "Method", "algorithm", "classifier", "learner"])
@pytest.mark.parametrize("seed", ["seed", "Split", "fold", "run", "iteration"])
def test_columns_are_known_by_their_usual_names(model, seed):
    named = {model: LONG["model"], seed: LONG["seed"], "value": LONG["score"]}
    assert of(read_scores(named), "a") == [0.5, 0.625, 0.75, 0.5]


def test_columns_of_any_name_can_be_named():
    frame = pl.DataFrame(LONG).rename({"model": "who", "seed": "when", "score": "how"})
    frame = frame.with_columns(model=pl.lit("x"), score=pl.lit(1.0))
    reading = Reading(Names("who", "when", "how"))
    assert of(read_scores(frame, reading), "a") == [0.5, 0.625, 0.75, 0.5]


def test_a_wide_table_has_a_column_a_model():
    table = read_scores({"seed": [1, 0, 3, 2], "a": A, "b": B})
    assert table.models == ("a", "b")
    assert of(table, "a") == [0.625, 0.5, 0.5, 0.75]
    assert table.doubts == ()


def test_the_frame_that_autorank_takes_is_paired_row_by_row():
    table = read_scores(pl.DataFrame({"a": A, "b": B, "c": A}))
    assert table.models == ("a", "b", "c")
    assert not table.has_seeds
    (doubt,) = table.doubts
    assert "paired in the order in which they stand" in doubt


def test_words_name_seeds_as_well_as_numbers():
    frame = {"model": LONG["model"], "fold": [*"dbca", *"abcd"], "score": A + B}
    table = read_scores(frame)
    assert table.keys.tolist() == ["d", "b", "c", "a"]  # as they came: order is no number's
    assert of(table, "b") == [1.0, 0.75, 0.875, 0.75]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "arrow"])
def test_files_of_every_kind_are_read(ending, tmp_path):
    frame, path = pl.DataFrame(LONG), tmp_path / f"scores.{ending}"
    {
        "csv": frame.write_csv,
        "tsv": lambda file: frame.write_csv(file, separator="\t"),
        "parquet": frame.write_parquet,
        "arrow": frame.write_ipc,
    }[ending](path)
    for source in (path, str(path)):
        assert of(read_scores(source), "a") == [0.5, 0.625, 0.75, 0.5]


def test_pandas_frames_are_read_and_a_named_index_is_a_column():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(LONG)
    assert of(read_scores(frame), "a") == [0.5, 0.625, 0.75, 0.5]
    wide = frame.pivot(index="seed", columns="model", values="score")
    table = read_scores(wide)
    assert (table.models, table.keys.tolist(), table.doubts) == (("a", "b"), [0, 1, 2, 3], ())
    assert of(table, "b") == B


@pytest.mark.parametrize("kind", [list, np.array, pl.Series, tuple])
def test_a_mapping_of_columns_of_any_kind_is_read(kind):
    assert of(read_scores({"a": kind(A), "b": kind(B)}), "b") == B


def test_float32_scores_are_what_they_were_meant_to_be():
    table = read_scores({"a": np.array([0.995, 0.1], np.float32), "b": [0.5, 0.5]})
    assert of(table, "a") == [0.995, 0.1]


def test_the_metric_comes_from_the_column_and_losses_get_their_sign_back():
    losses = {"model": LONG["model"], "seed": LONG["seed"], "neg_log_loss": [-x for x in A + B]}
    table = read_scores(losses)
    assert (table.metric, of(table, "b")) == ("log_loss", B)
    wide = read_scores({"a": [-x for x in A], "b": [-x for x in B]}, Reading(metric="neg_log_loss"))
    assert (wide.metric, of(wide, "b")) == ("log_loss", B)
    named = read_scores({**LONG, "test_roc_auc": B + A}, Reading(metric="roc_auc"))
    assert (named.metric, of(named, "a")) == ("roc_auc", [1.0, 0.75, 0.875, 0.75])
    assert read_scores(LONG).metric == "score"


def test_a_file_of_seeds_is_read_by_its_counts_and_says_its_scope(tmp_path):
    seeds = list(range(4))
    frame = pl.DataFrame(
        {
            "model": ["a"] * 4 + ["b"] * 4,
            "seed": seeds * 2,
            "data_seed": [0] * 8,
            "split_seed": [3 * seed + 1 for seed in seeds] * 2,
            "init_seed": [3 * seed + 2 for seed in seeds] * 2,
            "train_correct": [70] * 8,
            "n_train": [80] * 8,
            "test_correct": [10, 11, 12, 13, 14, 15, 16, 17],
            "n_test": [20] * 8,
            "train_loss": [0.5] * 8,
            "test_loss": [0.5] * 8,
            "diverged": [False] * 7 + [True],
            "log_loss": A + B,
        }
    )
    frame.write_csv(tmp_path / "seeds.csv")
    table = read_scores(tmp_path / "seeds.csv")
    assert (table.metric, table.total, table.n_train, table.scope) == ("accuracy", 20, 80, "split")
    assert of(table, "b") == [14, 15, 16, 17]
    assert table.diverged["b"].tolist() == [False, False, False, True]
    assert "the scope is 'split'" in table.doubts[0]
    losses = read_scores(tmp_path / "seeds.csv", Reading(metric="log_loss"))
    assert (losses.total, of(losses, "b"), losses.n_test) == (None, B, 20)
    grid = frame.with_columns(
        data_seed=pl.Series([0, 0, 3, 3] * 2), init_seed=pl.Series([2, 5] * 4)
    )
    with pytest.raises(ValueError, match="crossed design"):
        read_scores(grid)


def test_seeds_that_all_have_are_compared_only_where_asked_and_told():
    frame = pl.DataFrame(LONG).filter(~((pl.col("model") == "b") & (pl.col("seed") == 2)))
    with pytest.raises(ValueError, match="'b' lacks 2"):
        read_scores(frame)
    table = read_scores(frame, Reading(common_seeds=True))
    assert table.keys.tolist() == [0, 1, 3]
    assert of(table, "a") == [0.5, 0.625, 0.5]
    assert of(table, "b") == [0.75, 0.75, 1.0]
    assert "only the 3 of 4 seeds that all models have" in table.doubts[0]
    assert "too kind to their model" in table.doubts[0]


def test_data_sets_keep_their_seeds_apart():
    frame = pl.concat(
        pl.DataFrame(LONG).with_columns(data=pl.lit(name)) for name in ("wine", "iris")
    )
    with pytest.raises(ValueError, match="say --dataset-column data"):
        read_scores(frame)
    table = read_scores(frame, Reading(Names(dataset="data")))
    assert sorted(table.dataset.tolist()) == ["iris"] * 4 + ["wine"] * 4
    assert len(table) == 8
    own = table.dataset == "iris"
    assert sorted(table.keys[own].tolist()) == [0, 1, 2, 3]
    assert dict(zip(table.keys[own].tolist(), table.scores["a"][own], strict=True))[3] == 0.5
    twice = pl.concat([frame, frame.head(1)])
    with pytest.raises(ValueError, match="has the seed 3 of data 'wine' of 'a' for the second"):
        read_scores(twice, Reading(Names(dataset="data")))


def test_without_seeds_rows_of_a_data_set_are_paired_in_order():
    frame = pl.DataFrame(
        {
            "data": ["x", "x", "y", "x", "x", "y"],
            "model": [*"aaabbb"],
            "score": [0.1 * k for k in range(6)],
        }
    )
    table = read_scores(frame, Reading(Names(dataset="data")))
    assert table.dataset.tolist() == ["x", "x", "y"]
    np.testing.assert_allclose(table.scores["b"], [0.3, 0.4, 0.5])


@pytest.mark.parametrize("source", [None, 3, [0.5, 0.6], object()])
def test_a_source_of_the_wrong_type_is_one_line(source):
    with pytest.raises(TypeError, match="it must be a path, a data frame, or a mapping"):
        read_scores(source)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({}, "frame is empty"),
        ({"a": []}, "frame is empty"),
        ({"a": [0.5], "b": [0.5, 0.6]}, "2 values of 'b' and 1 of 'a'"),
        ({"a": [0.5, None], "b": [0.5, 0.6]}, r"row 1 .counted from 0. has no 'a'"),
        ({"a": [0.5, "x"], "b": [0.5, 0.6]}, "row 1 .* has 'x' as 'a'"),
        ({"a": [[0.5], [0.6]], "b": [0.5, 0.6]}, "holds List"),
        ({"model": ["a", "b"], "seed": [True, None], "score": [0.5, 0.5]}, "row 1 .* has no seed"),
    ],
)
def test_a_frame_that_is_no_table_of_scores_is_one_line(frame, message):
    with pytest.raises(ValueError, match=message):
        read_scores(frame)


def test_a_lazy_frame_is_asked_for_its_rows_by_wrong_type():
    with pytest.raises(TypeError, match="collect"):
        read_scores(pl.DataFrame(LONG).lazy())
