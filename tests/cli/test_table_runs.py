"""A table in one command, from the file to the conclusion, and what is refused in one line."""

import contextlib
import io
import json
import re
from itertools import chain

import numpy as np
import polars as pl
import pytest

from functional_clf import run
from functional_clf.stats.metrics import METRICS
from functional_clf.study.chunks import ChunkTrainer

SHORT = ["--epochs", "12", "--engine", "eager"]
QUICK = [*SHORT, "--seeds", "3", "--no-plots"]
KINDS = ["apple"] * 48 + ["pear"] * 27 + ["plum"] * 15


def fruits():
    """90 rows: numbers, words, a yes or no, some missing, and three classes that differ in size."""
    rng = np.random.default_rng(0)
    n = len(KINDS)
    kinds = rng.permutation(KINDS)
    number = np.searchsorted(["apple", "pear", "plum"], kinds)
    of_kind = np.array(["red", "green", "blue"])[number]
    frame = pl.DataFrame(
        {
            "height": (number + rng.normal(0, 0.8, n)).round(3),
            "sugar": rng.normal(size=n).round(3),
            "colour": np.where(rng.random(n) < 0.6, of_kind, "grey"),
            "ripe": rng.random(n) < 0.5,
            "tree": [f"tree {row % 18}" for row in range(n)],
            "kind": kinds,
        }
    )
    blank = pl.Series(rng.random(n) < 0.1)
    return frame.with_columns(pl.when(~blank).then(pl.col(name)) for name in ("height", "colour"))


FRUITS = fruits()


def in_process(*args):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run.main([*map(str, args)])
    # Where the machine is slow, progress is told.
    return code, out.getvalue(), re.sub(r"training: .*\n", "", err.getvalue())


def results_of(out):
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "fruits.csv"
    FRUITS.write_csv(path)
    return path


@pytest.fixture(scope="module")
def asked(csv):
    return ["--data", csv, "--target", "kind"]


@pytest.fixture(scope="module")
def whole(asked, tmp_path_factory):
    """A run with its pictures; what it printed, and its folder."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    code, printed, said = in_process(*asked, *SHORT, "--seeds", 6, "--out", out)
    assert (code, said) == (0, "")
    return printed, out


def test_a_table_ends_in_a_conclusion_that_claims_no_new_data(whole):
    printed, out = whole
    conclusion = results_of(out)["conclusion"]
    assert conclusion in printed
    assert "Over 6 paired seeds (each redraws the split" in conclusion
    assert "Verdict: " in conclusion
    assert "new data from" not in printed
    assert "new data sets of this size from fruits(90 rows, 5 columns)" in conclusion
    assert "Failed means worse than always predicting the largest class" in conclusion


def test_classes_and_columns_go_by_their_names(whole):
    found = results_of(whole[1])
    assert found["data"]["classes"] == ["apple", "pear", "plum"]
    assert found["config"]["dataset"]["classes"] == ["apple", "pear", "plum"]
    assert found["data"]["columns"] == ["height", "sugar", "colour", "ripe", "tree"]
    assert (found["data"]["n_train"], found["data"]["n_test"]) == (72, 18)
    sizes = [found["config"]["models"][f"model_{i}"]["layer_sizes"] for i in (0, 1)]
    n_features = found["data"]["features"]
    assert sizes == [[n_features, 3], [n_features, 16, 16, 3]]


def test_the_pictures_of_a_table_are_there_without_boundaries(whole):
    names = {path.name for path in (whole[1] / "plots").iterdir()}
    wanted = ("data", "classes", "curves", "accuracies", "confusion")
    assert names == {f"{name}.png" for name in wanted}


def test_boundaries_are_drawn_where_there_are_two_columns(csv, tmp_path):
    plane = tmp_path / "plane.csv"
    FRUITS.select("sugar", pl.col("sugar").rank().alias("rank"), "kind").write_csv(plane)
    args = ["--data", plane, "--target", "kind", *SHORT, "--seeds", 3]
    assert in_process(*args, "--out", tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / "plots" / "boundaries.png").exists()


def test_every_metric_of_every_seed_is_in_the_table_of_seeds(whole):
    _, out = whole
    table = pl.read_csv(out / "seeds.csv")
    others = [name for name in METRICS if name != "accuracy"]
    assert table.columns[-len(others) :] == others
    assert table.height == 12
    assert table.select(others).null_count().sum_horizontal().item() == 0
    typed = pl.read_parquet(out / "seeds.parquet")
    assert typed.equals(pl.read_csv(out / "seeds.csv", schema=typed.schema))


def test_a_screen_of_80_columns_has_room_for_the_tables(asked, csv, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    long = tmp_path / f"{'a_long_name_' * 8}.csv"
    long.write_bytes(csv.read_bytes())
    for data in (csv, long):
        args = ["--data", data, "--target", "kind", *QUICK, "--out", tmp_path / data.stem]
        code, printed, said = in_process(*args)
        assert code == 0
        assert "\x1b" not in printed + said
        tables = printed.split("Over 3 paired")[0]
        assert "Test scores" in tables
        assert "ROC AUC" in tables
        assert max(map(len, tables.splitlines())) <= 80


@pytest.mark.parametrize(
    ("args", "words", "margin"),
    [
        (["--metric", "roc_auc"], "in ROC AUC by", 0.01),
        (["--metric", "log_loss", "--margin", "0.05"], "log loss is", 0.05),
    ],
)
def test_the_conclusion_is_about_the_metric_that_was_chosen(args, words, margin, asked, tmp_path):
    code, printed, _ = in_process(*asked, *QUICK, *args, "--out", tmp_path)
    assert code == 0
    found = results_of(tmp_path)
    assert words in found["conclusion"]
    assert found["conclusion"] in printed
    metric = args[1]
    assert (found["config"]["metric"], found["config"]["margin"]) == (metric, margin)
    table = pl.read_csv(tmp_path / "seeds.csv")
    means = [table.filter(model=f"model_{i}")[metric].mean() for i in (0, 1)]
    assert found["comparisons"][0]["estimate"] == pytest.approx(means[1] - means[0])


def test_class_weights_change_results_and_the_folder(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["--data", asked[1], *asked[2:]]
    for args in ([], ["--class-weight", "balanced"]):
        assert in_process(*asked, *QUICK, *args)[0] == 0
    folders = [*(tmp_path / "runs").iterdir()]
    assert len(folders) == 2
    assert {folder.name.rsplit("-", 1)[0] for folder in folders} == {"fruits-split"}
    losses = [pl.read_csv(folder / "seeds.csv")["log_loss"] for folder in folders]
    assert (losses[0] != losses[1]).all()
    weights = {results_of(folder)["config"].get("class_weight") for folder in folders}
    assert weights == {None, "balanced"}


def test_hidden_widths_follow_the_data(asked, tmp_path):
    assert in_process(*asked, *QUICK, "--model-1.hidden", 8, 7, "--out", tmp_path)[0] == 0
    found = results_of(tmp_path)
    sizes = found["config"]["models"]["model_1"]["layer_sizes"]
    assert sizes == [found["data"]["features"], 8, 7, 3]


def test_label_is_another_word_for_target(csv, asked, tmp_path):
    for name, args in (("target", asked), ("label", ["--data", csv, "--label", "kind"])):
        assert in_process(*args, *QUICK, "--out", tmp_path / name)[0] == 0
    tables = [(tmp_path / name / "seeds.csv").read_bytes() for name in ("target", "label")]
    assert tables[0] == tables[1]


def test_groups_stay_together_and_are_no_feature(asked, tmp_path):
    assert in_process(*asked, *QUICK, "--groups", "tree", "--out", tmp_path)[0] == 0
    found = results_of(tmp_path)
    assert found["config"]["dataset"]["groups"] == "tree"
    assert found["config"]["dataset"]["stratify"] is False
    assert "tree" not in found["data"]["columns"]
    # Trees have five rows each, so that only whole ones make 20 rows of 90.
    assert (found["data"]["n_train"], found["data"]["n_test"]) == (70, 20)


def test_columns_are_dropped_and_classes_left_to_chance(asked, tmp_path):
    args = ["--drop", "tree", "ripe", "--no-stratify", "--out", tmp_path]
    assert in_process(*asked, *QUICK, *args)[0] == 0
    found = results_of(tmp_path)
    assert found["data"]["columns"] == ["height", "sugar", "colour"]
    assert found["config"]["dataset"]["stratify"] is False


@pytest.mark.parametrize("how", ["test", "split_column"])
def test_a_test_set_apart_is_all_that_is_claimed_of(how, asked, tmp_path):
    part = pl.Series("part", ["test" if row % 4 == 0 else "train" for row in range(90)])
    if how == "test":
        train, test = tmp_path / "fruits.csv", tmp_path / "later.csv"
        FRUITS.filter(part == "train").write_csv(train)
        FRUITS.filter(part == "test").write_csv(test)
        args = ["--data", train, "--target", "kind", "--test", test]
    else:
        both = tmp_path / "fruits.csv"
        FRUITS.with_columns(part).write_csv(both)
        args = ["--data", both, "--target", "kind", "--split-column", "part"]
    out = tmp_path / "out"
    assert in_process(*args, *QUICK, "--out", out)[0] == 0
    found = results_of(out)
    assert found["conclusion"].endswith(", on this test set only.")
    assert (found["data"]["n_train"], found["data"]["n_test"]) == (67, 23)
    assert found["config"]["vary"] == "init"
    assert found["data"]["columns"] == ["height", "sugar", "colour", "ripe", "tree"]


@pytest.fixture
def trained(monkeypatch):
    """Chunks of seeds, as they are trained."""
    chunks = []
    train = ChunkTrainer.train

    def counting(self, training, seeds, *rest):
        chunks.append(list(seeds))
        return train(self, training, seeds, *rest)

    monkeypatch.setattr(ChunkTrainer, "train", counting)
    return chunks


def test_a_run_again_trains_nothing_and_more_seeds_only_the_new_ones(asked, tmp_path, trained):
    def table_of(seeds, out=tmp_path / "out"):
        args = [*asked, *SHORT, "--no-plots", "--seeds", seeds, "--out", out]
        assert in_process(*args)[0] == 0
        return (out / "seeds.csv").read_bytes()

    first = table_of(4)
    assert sorted(chain.from_iterable(trained)) == [0, 1, 2, 3]
    trained.clear()
    assert table_of(4) == first
    assert trained == []
    more = table_of(6)
    assert sorted(chain.from_iterable(trained)) == [4, 5]
    assert more == table_of(6, tmp_path / "at once")


def test_a_seed_is_trained_again_where_its_table_is_given(asked, whole):
    _, out = whole
    code, printed, said = in_process(*asked, "--out", out, "--replay", 4)
    assert (code, said) == (0, "")
    lines = printed.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines):
        assert line.startswith(f"model_{number}, seed 4: identical (losses, counts")


def test_a_seed_of_a_table_that_is_not_given_is_not_trained_again(whole):
    code, printed, said = in_process("--out", whole[1], "--replay", 4)
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert (
        "cannot be replayed: its data set 'fruits' is of somebody's own making; give it again"
        in said
    )
    assert "--data and --target" in said


def test_a_table_that_is_bundled_need_not_be_given_to_replay(tmp_path):
    assert in_process("--data", "iris", *QUICK, "--out", tmp_path)[0] == 0
    code, printed, said = in_process("--out", tmp_path, "--replay", 2)
    assert (code, said, printed.count("identical")) == (0, "", 2)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A file of the same name, one number in which is another one."""
    path = tmp_path_factory.mktemp("changed") / "fruits.csv"
    sugar = FRUITS["sugar"].to_numpy().copy()
    sugar[40] += 0.001
    FRUITS.with_columns(pl.Series("sugar", sugar)).write_csv(path)
    return path


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("more", [["--seeds", "6"], ["--seeds", "8"], ["--replay", "4"]])
def test_a_table_that_has_changed_is_another_study(more, changed, whole):
    _, out = whole
    before = files_in(out)
    args = ["--data", changed, "--target", "kind", *SHORT, *more, "--out", out]
    code, printed, said = in_process(*args)
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "dataset.content is '" in said
    assert files_in(out) == before


def of_rows(n, label, value=str):
    """A small CSV of a number and the target."""
    return "size,kind\n" + "".join(f"{value(row)},{label(row)}\n" for row in range(n))


TEXT = FRUITS.write_csv()
TWO = of_rows(20, lambda row: "ab"[row % 2])
WRONG_FILES = {
    "a picture": (b"\x89PNG\r\n\x1a\n", "'fruits.csv' is no text; it seems to be a PNG image"),
    "empty": (b"", "'fruits.csv' is empty"),
    "blanks": (b" \n\n", "'fruits.csv' is empty"),
    "a header": (b"size,kind\n", "'fruits.csv' has a header and no rows"),
    "one row": (b"size,kind\n1,a\n", "'fruits.csv' has 1 row; a table needs more"),
    "one class": (of_rows(20, lambda row: "a"), "target 'kind' holds only 'a'; it needs two"),
    "200 classes": (of_rows(800, lambda row: row % 200), "target 'kind' has 200 different values"),
    "a lonely class": (TWO + "3,c\n", "target 'kind': class 'c' has 1 row; each needs at least 2"),
    "missing labels": (of_rows(20, lambda row: "?"), "target 'kind' holds only missing values"),
    "infinite": (TWO.replace("\n7,", "\ninf,"), "column 'size' holds inf at row 8 of 'fruits.csv'"),
    "two names": (TWO.replace("size,kind", "kind,kind"), "2 columns are named 'kind'"),
    "no name": (TWO.replace("size,kind", ",kind"), "column 1 has no name"),
    "semicolons": (TWO.replace(",", ";"), "its delimiter seems to be ';'; save it with commas"),
    "tabs": (TWO.replace(",", "\t"), "its delimiter seems to be a tab; save it with commas"),
    "Latin-1": (
        TEXT.replace("apple", "äpfel").encode("latin-1"),
        "line 2 is not UTF-8; its encoding seems to be Windows-1252 (or Latin-1)",
    ),
    "UTF-16": (TEXT.encode("utf-16"), "its encoding seems to be UTF-16; save it as UTF-8"),
    "ragged": (TWO + "1,a,b\n", "line 22 has 3 cells; the header names 2 columns"),
    "no features": ("kind\n" + "a\nb\n" * 10, "'fruits.csv' has no column left to learn from"),
    "nothing told": (
        of_rows(20, lambda row: "ab"[row % 2], lambda row: 1),
        "no column tells one row from another: 'size' (constant)",
    ),
}


def assert_refused(gist, args, out):
    code, printed, complaint = in_process(*QUICK, "--out", out, *args)
    assert (code, printed) == (2, "")
    assert gist in complaint
    assert complaint.startswith("error: ")
    assert complaint.count("\n") == 1
    assert "RunArguments" not in complaint
    assert not out.exists()


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_is_no_table_to_learn_from_is_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, gist = WRONG_FILES[case]
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / "fruits.csv").write_bytes(content)
    args = ["--data", "fruits.csv", "--target", "kind"]
    assert_refused(gist, args, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["fruits.csv"]


WRONG = [
    (["--data", "nothing.csv"], "data is 'nothing.csv'; it must be one of circles"),
    (["--data", "."], "'.' is a folder; it must be a file"),
    (["--data", "fruits.txt"], "'fruits.txt' is of no known kind"),
    (["--data", "fruits.parquet"], "'fruits.parquet' is no parquet file"),
    (["--target", "knd"], "target is 'knd'; 'fruits.csv' has no such column (did you mean 'kind'"),
    (["--drop", "colr"], "drop is 'colr'; 'fruits.csv' has no such column (did you mean 'colour'"),
    (["--drop", "kind"], "drop holds 'kind', which is the target"),
    (["--groups", "tre"], "groups is 'tre'; 'fruits.csv' has no such column (did you mean 'tree'"),
    (["--groups", "farm"], "group 'one' holds 94% of the samples (85 of 90)"),
    (["--groups", "part"], "groups 'part' holds only 'train'; a split needs two groups"),
    (["--groups", "tree", "--test", "fruits.csv"], "groups keep rows together in splits"),
    (["--split-column", "ripe"], "split_column 'ripe' holds no words"),
    (["--split-column", "part"], "split_column 'part' says 'test' of no row"),
    (["--split-column", "part", "--test", "fruits.csv"], "test and split_column both say"),
    (["--test", "nothing.csv"], "there is no file 'nothing.csv'"),
    (["--test", "fewer.csv"], "'fewer.csv' has no column 'sugar'"),
    (["--test", "more.csv"], "'more.csv' has a column 'weight', which the table has not"),
    (["--test", "strange.csv"], "target 'kind' of the test rows holds 'fig'"),
    (["--vary", "split", "--test", "fruits.csv"], "vary is 'split', but the test samples"),
    (["--vary", "data"], "vary is 'data', but fruits(90 rows, 6 columns) is one fixed data set"),
    (["--samples", "50"], "samples is 50; a table takes none, leave it out"),
    (["--noise", "0.1"], "noise is 0.1; a table takes none, leave it out"),
    (["--classes", "3"], "classes is 3; a table takes none, leave it out"),
    (["--test-size", "0.02"], "test_size is 0.02; of 90 rows it leaves 88 to train on and 2"),
    (["--metric", "log_loss"], "margin is None; log loss has no usual one"),
    (["--metric", "luck"], "luck"),
    (["--metric", "roc_auc", "--failure-below", "0.5"], "failure_below is 0.5, an accuracy"),
    (["--class-weight", "heavy"], "heavy"),
    (["--model-1.layer-sizes", "5", "3"], "layer_sizes is (5, 3), made for 5 features"),
    (["--model-1.hidden", "0"], "hidden is 0"),
]
WRONG_ELSEWHERE = [
    (["--data", "fruits.csv"], "target is None; of fruits.csv it must be the column that holds"),
    (["--target", "kind"], "target is 'kind'; circles takes none, leave it out"),
    (["--groups", "tree"], "groups is 'tree'; circles takes none, leave it out"),
    (["--test", "fruits.csv"], "; circles takes none, leave it out"),
    (["--no-stratify"], "stratify is False; circles takes none, leave it out"),
    (["--classes", "3"], "classes is 3; circles takes none, leave it out"),
    (["--classes", "1", "--data", "blobs"], "classes is 1"),
    (["--data", "iris", "--target", "kind"], "target is 'kind'; iris takes none, leave it out"),
    (["--data", "iris", "--vary", "data"], "vary is 'data', but iris(150 rows, 4 columns)"),
    (
        ["--model-1.hidden", "8", "--model-1.layer-sizes", "2", "1"],
        "error: model_1.hidden is (8,) and model_1.layer_sizes is (2, 1); give one of them",
    ),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of tables, right and wrong."""
    folder = tmp_path_factory.mktemp("place")
    more = FRUITS.with_columns(
        pl.Series("farm", ["one"] * 85 + ["two"] * 5), pl.lit("train").alias("part")
    )
    more.write_csv(folder / "fruits.csv")
    more.drop("sugar").write_csv(folder / "fewer.csv")
    more.with_columns(pl.lit(1).alias("weight")).write_csv(folder / "more.csv")
    strange = more.with_columns(pl.col("kind").replace({"plum": "fig"}))
    strange.write_csv(folder / "strange.csv")
    for name in ("fruits.txt", "fruits.parquet"):
        (folder / name).write_text(TEXT)
    return folder


def named(cases):
    return pytest.mark.parametrize(
        ("args", "gist"), cases, ids=[" ".join(args) for args, _ in cases]
    )


@named(WRONG)
def test_a_wrong_argument_of_a_table_is_one_line(args, gist, place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    before = files_in(place)
    assert_refused(gist, ["--data", "fruits.csv", "--target", "kind", *args], tmp_path / "out")
    assert files_in(place) == before


@named(WRONG_ELSEWHERE)
def test_what_does_not_go_together_is_one_line(args, gist, place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    assert_refused(gist, args, tmp_path / "out")


def test_a_fixed_set_cannot_be_crossed(asked, tmp_path):
    crossed = ["--design", "crossed", "--data-seeds", 3, "--init-seeds", 3, "--seeds", 9]
    for data in (asked, ["--data", "iris"]):
        gist = "design is 'crossed', but "
        assert_refused(gist, [*data, *crossed], tmp_path / "out")


def test_the_target_by_another_name_is_warned_of_each_time(tmp_path):
    path = tmp_path / "leaking.csv"
    names = {"apple": "malus", "pear": "pyrus", "plum": "prunus"}
    FRUITS.with_columns(pl.col("kind").replace(names).alias("genus")).write_csv(path)
    args = ["--data", path, "--target", "kind", *QUICK, "--out", tmp_path / "out"]
    for _ in range(2):
        code, printed, said = in_process(*args)
        assert (code, said.count("\n")) == (0, 1)
        assert "column 'genus' is the target by another name" in said
        assert "drop it with --drop genus" in said
        assert "Verdict: " in printed
    assert results_of(tmp_path / "out")["data"]["notices"] == [said.removesuffix("\n")]
    code, _, said = in_process(*args[:-1], tmp_path / "dropped", "--drop", "genus")
    assert (code, said) == (0, "")


@pytest.mark.parametrize("data", ["blobs", "spirals"])
@pytest.mark.parametrize("classes", [2, 4])
def test_several_classes_are_drawn_anew_for_the_standard_models(data, classes, tmp_path):
    args = ["--data", data, "--classes", classes, "--samples", 80, *QUICK, "--out", tmp_path]
    code, printed, said = in_process(*args)
    assert (code, said) == (0, "")
    found = results_of(tmp_path)
    outputs = 1 if classes == 2 else classes
    sizes = [found["config"]["models"][f"model_{i}"]["layer_sizes"] for i in (0, 1)]
    assert sizes == [[2, 5, outputs], [2, 16, 16, outputs]]
    assert f"new data from {data}(80" in printed


def test_the_lesson_shows_no_scores_unless_it_is_asked_for_one(tmp_path):
    args = ["--samples", 80, *QUICK]
    code, printed, _ = in_process(*args, "--out", tmp_path / "lesson")
    assert code == 0
    assert "Test scores" not in printed
    assert "ROC AUC" not in printed
    assert pl.read_csv(tmp_path / "lesson" / "seeds.csv").columns[-1] == "diverged"
    assert "data" not in results_of(tmp_path / "lesson")
    code, printed, _ = in_process(*args, "--metric", "roc_auc", "--out", tmp_path / "scored")
    assert code == 0
    assert "Test scores" in printed
    assert "exceeds model_0 in ROC AUC" in printed or "falls short of model_0 in ROC" in printed
