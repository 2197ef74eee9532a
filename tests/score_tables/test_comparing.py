"""Comparisons of scores from anywhere: the numbers of `stats`, and every doubt."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

import functional_clf
from functional_clf import Study, circles, compare_scores, from_arrays, mlp_recipe
from functional_clf.stats import compare, compare_all

FAST = {"engine": "eager", "threads": 1}
SEEDS = range(8)


def column(mean, seed=0, n=8):
    return np.round(mean + np.random.default_rng(seed).normal(0, 0.02, n), 3)


def wide(**columns):
    return {"seed": list(range(len(next(iter(columns.values()))))), **columns}


def models():
    return (
        mlp_recipe("line", hidden=(), activation=None, epochs=3),
        mlp_recipe("wide", hidden=(8,), epochs=30),
    )


def test_it_is_what_the_statistics_say():
    a, b, c = column(0.8), column(0.9, 1), column(0.85, 2)
    found = compare_scores(wide(a=a, b=b), metric="accuracy", scope="data", margin=0.02, alpha=0.1)
    said = compare(b, a, scope="data", margin=0.02, alpha=0.1, names=("b", "a"))
    assert found.comparisons == (said,)
    assert found.conclusion == said.conclusion
    assert found.doubts == ()
    three = compare_scores(wide(a=a, b=b, c=c), metric="accuracy", scope="data")
    assert three.comparisons == tuple(compare_all({"a": a, "b": b, "c": c}))
    one = compare_scores(wide(a=a, b=b, c=c), metric="accuracy", scope="data", baseline="b")
    assert one.comparisons == tuple(compare_all({"a": a, "b": b, "c": c}, baseline="b"))
    assert functional_clf.compare is compare


def test_less_is_better_where_it_is():
    found = compare_scores(
        wide(a=column(0.5), b=column(0.3, 1)), metric="log_loss", scope="init", margin=0.05
    )
    assert found.comparisons[0].verdict == "better"
    assert found.comparisons[0].estimate < 0


SAME = ("model_a", "model_b", "estimate", "interval", "bounded_interval", "pvalue", "verdict",
        "claim", "conclusion", "margin", "alpha", "n_train", "n_test", "step", "majority",
        "first_margin", "earlier_looks", "superiority", "seeds_needed")  # fmt: skip


@pytest.mark.parametrize("kind", ["drawn", "table"])
def test_a_run_folder_gives_the_numbers_of_its_own_results(kind, tmp_path):
    from functional_clf.reports.tables import results_dict

    if kind == "drawn":
        study = Study(circles(60), models(), seeds=6, **FAST)
    else:
        random = np.random.default_rng(0)
        x = random.normal(size=(60, 3))
        data = from_arrays(x, (x[:, 0] > 0).astype(int), name="people")
        study = Study(data, models(), seeds=6, metric="f1_macro", margin=0.03, alpha=0.1, **FAST)
    results = results_dict(study.run(tmp_path / "run"))
    found = compare_scores(tmp_path / "run").to_dict()
    (there,), (here,) = results["comparisons"], found["comparisons"]
    assert {name: here[name] for name in SAME} == {name: there[name] for name in SAME}
    assert {name for name in there if here[name] != there[name]} <= {"references"}
    assert found["doubts"] == []


def test_another_margin_than_the_first_is_told(tmp_path):
    Study(circles(60), models(), seeds=6, **FAST).run(tmp_path / "run")
    found = compare_scores(tmp_path / "run", margin=0.05)
    assert "The margin was changed after looking: it was 1 pp at first" in found.conclusion
    with pytest.raises(ValueError, match=r"says that it is 'data'; leave it out"):
        compare_scores(tmp_path / "run", scope="init")
    with pytest.raises(ValueError, match=r"n_test is 3, and .* says that it is 12"):
        compare_scores(tmp_path / "run", n_test=3)
    with pytest.raises(ValueError, match=r"--seed-column is 'seed'; .* is a run folder"):
        compare_scores(tmp_path / "run", seed_column="seed")


def test_its_file_of_seeds_gives_the_same(tmp_path):
    results = Study(circles(60), models(), seeds=6, **FAST).run(tmp_path / "run")
    path = tmp_path / "seeds.csv"
    results.seeds.write_csv(path)
    of_file, of_folder = compare_scores(path), compare_scores(tmp_path / "run")
    (file,), (folder,) = of_file.comparisons, of_folder.comparisons
    unlike = {
        field.name
        for field in dataclasses.fields(file)
        if getattr(file, field.name) != getattr(folder, field.name)
    }
    # What counts as a failure, and where the data come from, stands in the record alone.
    assert unlike <= {
        "setting", "failure_below", "model_a", "model_b", "first_margin", "first_alpha",
        "first_metric",
    }  # fmt: skip
    assert file.scope.name == "data"


# Doubts


def doubts(frame, **settings):
    return " | ".join(
        compare_scores(frame, **{"metric": "roc_auc", "scope": "data", **settings}).doubts
    )


def test_without_a_reason_there_is_no_doubt():
    assert doubts(wide(a=column(0.8), b=column(0.9, 1))) == ""


@pytest.mark.parametrize(
    ("frame", "settings", "message"),
    [
        (wide(a=column(0.8), b=column(0.9, 1)), {"scope": None}, "--scope says it"),
        (wide(a=column(0.8), b=column(0.9, 1)), {"metric": None}, "taken for shares in"),
        (wide(a=column(0.8), b=column(0.8)), {}, "a and b have the same score on every seed"),
        ({"a": column(0.8), "b": column(0.9, 1)}, {}, "paired in the order in which they stand"),
        ({"a": np.sort(column(0.8)), "b": np.sort(column(0.9, 1))}, {}, "pairs may be lost"),
        ({"a": np.sort(column(0.8)), "b": np.sort(column(0.9))[::-1]}, {}, "pairs may be lost"),
        (wide(a=column(0.8, n=5), b=column(0.9, 1, n=5)), {}, "5 pairs are very few"),
        (wide(a=[0.8], b=[0.9]), {}, "1 pair is very few"),
        (
            wide(a=[*column(0.8, n=6), 0.8123457, 0.8123457], b=column(0.9, 1)),
            {},
            "seeds 6 and 7 of a have the same score to the last digit, 0.8123457",
        ),
    ],
)
def test_each_doubt_is_a_line(frame, settings, message):
    assert message in doubts(frame, **settings)


def test_repeated_scores_are_no_doubt_where_they_are_usual():
    thirds = np.array([1 / 3, 2 / 3, 1 / 3, 2 / 3, 1.0, 1 / 3, 2 / 3, 1.0])
    frame = wide(a=thirds, b=thirds[::-1])
    assert "to the last digit" not in doubts(frame, metric="accuracy")
    assert "--metric accuracy says it" in doubts(frame, metric=None)
    many = np.round(np.random.default_rng(0).uniform(0.1, 1, (2, 20_000)), 6)
    assert doubts(wide(a=many[0], b=many[1])) == ""  # by chance hundreds of them meet


def test_who_says_nothing_claims_the_least():
    found = compare_scores(wide(a=column(0.8), b=column(0.9, 1)))
    assert "Scope: more runs made as these were, whatever each of them redrew." in found.conclusion
    assert "new data" not in found.conclusion
    assert found.to_dict()["comparisons"][0]["scope"] == "unsaid"
    with pytest.raises(ValueError, match="scope is 'unsaid'; it must be one of data, split"):
        compare_scores(wide(a=column(0.8), b=column(0.9, 1)), scope="unsaid")


def test_the_split_scope_takes_its_sizes_from_counts_or_asks():
    counts = {
        "model": ["a"] * 6 + ["b"] * 6, "split": [*range(6)] * 2,
        "test_correct": [15, 16, 17, 15, 16, 18, 18, 18, 19, 17, 18, 20], "n_test": [20] * 12,
    }  # fmt: skip
    with pytest.raises(ValueError, match="say --n-train, as in"):
        compare_scores(counts, scope="split")
    (one,) = compare_scores(counts, scope="split", n_train=80).comparisons
    assert (one.n_test, one.scope.name) == (20, "split")


# Several data sets


def on(*names, n=6, b=0.9):
    rows = [
        (name, seed, model, float(score))
        for place, name in enumerate(names)
        for model, mean in (("a", 0.8), ("b", b))
        for seed, score in enumerate(column(mean + 0.01 * place, place + 7 * (model == "b"), n))
    ]
    return pl.DataFrame(rows, schema=["data", "seed", "model", "accuracy"], orient="row")


def test_each_data_set_has_its_effect_and_the_mean_is_over_data_sets():
    frame = on("iris", "wine", "digits", "cancer", "moons")
    found = compare_scores(frame, dataset_column="data", scope="data")
    assert list(found.data_sets.comparisons) == ["iris", "wine", "digits", "cancer", "moons"]
    for name, one in found.data_sets.comparisons.items():
        own = frame.filter(pl.col("data") == name)
        b, a = (own.filter(pl.col("model") == model)["accuracy"].to_numpy() for model in "ba")
        alone = compare(b, a, alpha=0.01)
        assert (one.estimate, one.interval, one.n_comparisons) == (
            alone.estimate,
            alone.interval,
            5,
        )
    mean = found.data_sets.mean
    assert mean.estimate == pytest.approx(np.mean([one.estimate for one in found.comparisons]))
    assert (mean.df, mean.verdict) == (4, "better")
    first, *lines = found.conclusion.splitlines()
    assert "Scope: new data sets like these 5" in first
    assert "better on 5, equal on 0, worse on 0 of them" in first
    assert len(lines) == 5
    json.dumps(found.to_dict(), allow_nan=False)
    turned = compare_scores(frame, dataset_column="data", scope="data", baseline="b")
    assert turned.data_sets.mean.verdict == "worse"
    assert turned.data_sets.mean.estimate == -mean.estimate


def test_one_run_a_data_set_still_has_a_mean_and_says_what_lacks():
    frame = on("iris", "wine", "digits", n=1)
    found = compare_scores(frame, dataset_column="data", scope="init", seed_column="seed")
    assert found.data_sets.mean.interval is not None
    assert "of iris, wine, digits there is one pair only" in " ".join(found.doubts)


# Shown


def test_it_is_shown_in_a_few_lines_and_in_a_notebook():
    found = compare_scores(wide(a=column(0.8), **{"<b>": column(0.9, 1)}), metric="accuracy")
    assert repr(found).splitlines() == [
        "Comparison of the frame", "<b> - a: better", "doubts: 1, in .doubts",
    ]  # fmt: skip
    html = found._repr_html_()
    assert "&lt;b&gt; exceeds a" in html
    assert "<b>" not in html
    assert html.count("<li>") == 1
    many = compare_scores(
        wide(**{f"m{k}": column(0.8, k) for k in range(6)}), metric="accuracy", scope="data"
    )
    assert len(repr(many).splitlines()) <= 8
    sets = compare_scores(on("x", "y"), dataset_column="data", scope="data")
    assert "b - a over 2 data sets" in repr(sets)
