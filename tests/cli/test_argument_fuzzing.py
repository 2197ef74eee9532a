"""Random command lines and study files: each runs, or is refused in one line and leaves nothing.

Most hold something wrong: a number that is none, too large or not finite, letters that move a
cursor, paths that are none. The same are tried each time; others by

    FUZZ_SEED=7 FUZZ_ARGUMENTS=2000 pytest tests/cli/test_argument_fuzzing.py

and FUZZ_SEED=random draws the seed, which every failure names. What runs is trained in earnest, but
small, so that what only the statistics or the files refuse is found, too.
"""

import contextlib
import io
import json
import os
import random
import secrets
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from functional_clf import run

COMBINATIONS = int(os.environ.get("FUZZ_ARGUMENTS", "220"))
GROUPS = 11
SMALL = ["--samples", "40", "--epochs", "1", "--seeds", "3", "--engine", "eager", "--no-plots"]

STRANGE = [
    "", " ", "nan", "inf", "-inf", "1e400", "-1e-320", "1e-300", "0", "-1", "-0", "1.5", "1e3",
    "0x10", "1_0", "99999999999999999999", "9" * 5000, "\u0663", "\uff11", "True", "None", "null",
    "x" * 5000, "\x1b[31mred", "a\nb", "a\rb", "\udcff", "\u202eabc", "[red]b[/red]", "{0}", "%s",
    "*", "'", '"', "é", "e\u0301", "a/b", "..", "-", "\0",
]  # fmt: skip
SEEDS = ["3", "2:5", "1", "5:2", "2:2", ":3", "3:", "1000000000", "0:2000000000", "9999999999"]
PATHS = [
    "out", "a/b", "file:x", "FILE:x", "s3://x", "/dev/null", "/dev/null/x", "x" * 300, "a/" * 2500,
    "a/" + "x" * 300, "~", "table.csv", "table.csv/x", "a b", "réseau",
]  # fmt: skip
DATA = [
    "circles", "moons", "blobs", "spirals", "iris", "table.csv", "none.csv", ".", "/dev/null",
    "Circles", "/dev/zero", "broken.parquet", "x" * 300 + ".csv",
]  # fmt: skip
KEYS = [
    "epochs", "learning_rate", "momentum", "weight_decay", "warmup", "clip", "label_smoothing",
    "batch_size", "patience", "validation", "min_delta", "schedule", "optimizer", "activation",
    "nesterov", "drop_last", "hidden", "layer_sizes", "name", "bogus",
]  # fmt: skip
SETTINGS = [
    "0", "-1", "1", "2", "0.1", "nan", "inf", "-inf", "1e400", "true", "None", "[]", "[4, 4]",
    "[[4]]", "99999999999999999999", "'x'", "cosine", "sgd", "tanh", "2024-01-01", "\udcff",
    "[" * 2000 + "]" * 2000, "10000000000000",
]  # fmt: skip
TARGETS = [
    "mlp:4", "mlp:", "mlp", "mlp:0", "mlp:-1", "mlp:1.5", "mlp:nan", "mlp:true",
    "mlp:10000000,10000000", "mlp:99999999999999999999", "none.py:net", "/dev/null:net", "os:path",
    "os:nothing", "none:net", ":", "mlp:4,", "sklearn.dummy:DummyClassifier",
]  # fmt: skip
OPTIONS = {
    "--seeds": SEEDS,
    "--samples": ["4", "50", "3", "10000000000", "1e3"],
    "--epochs": ["1", "2", "0"],
    "--noise": ["0", "0.1", "1e36", "1e37", "1e38", "5e-324", "-0.0"],
    "--classes": ["2", "3", "100", "101", "1"],
    "--chunk": ["1", "4", "10000000", "0"],
    "--threads": ["1", "2", "0", "1000000"],
    "--test-size": ["0.5", "0", "1", "1e-9", "0.999999"],
    "--alpha": ["0.05", "1e-9", "1e-10", "1e-300", "1", "0.999999999"],
    "--margin": ["0", "0.01", "1", "1e300"],
    "--failure-below": ["0", "1", "0.5", "2"],
    "--data-seeds": ["2", "1", "1000000"],
    "--init-seeds": ["2", "1", "1000000"],
    "--design": ["paired", "crossed"],
    "--vary": ["auto", "data", "split", "init"],
    "--metric": ["accuracy", "log_loss", "roc_auc", "brier_score"],
    "--device": ["cpu", "cuda:1000", "cuda:\u0663", "cpu:0"],
    "--data": DATA,
    "--target": ["y", "x", "z"],
    "--drop": ["x", "y"],
    "--groups": ["x", "y", "z"],
    "--test": ["table.csv", *PATHS],
    "--split-column": ["x", "z"],
    "--baseline": ["model_0", "a", "A"],
    "--replay": ["0", "-1", "1073741824"],
    "--out": PATHS,
    "--model-1.learning-rate": ["0.1", "0"],
    "--model-1.hidden": ["4", "0", "100000000"],
    "--class-weight": ["balanced", "None"],
}
FLAGS = [
    "--fresh", "--json", "--self-calibration", "--stratify", "--no-stratify", "--save-params",
    "--tf32",
]  # fmt: skip
OUTLINE = ("run", "data", "models.a", "models.b", "compare", "")
LITERALS = [
    "1", "0", "-1", "1.0", "nan", "inf", "-inf", "true", "[]", "{}", "[1]", "['x']", "1e400",
    "1979-05-27", "99999999999999999999", "'circles'", "'mlp:4'", "''", "'eager'", '"\\u0000"',
    '"\\u001b[31m"', "[" * 3000 + "]" * 3000, "9" * 400, "9" * 5000, '"' + "x" * 5000 + '"',
]  # fmt: skip
FILE_KEYS = [
    *(name[2:].replace("-", "_") for name in OPTIONS if "." not in name), "path", "name", "spec",
    "out", "plots", "engine", "fresh", *KEYS,
]  # fmt: skip


def base_seed():
    text = os.environ.get("FUZZ_SEED", "0")
    return secrets.randbelow(10**6) if text == "random" else int(text)


BASE = base_seed()


def combination(seed, outside):
    """A command line; the study file that it may name lies in a folder apart."""
    draw = random.Random(seed)
    args = list(SMALL)
    if draw.random() < 0.3:
        file = outside / "study.toml"
        file.write_text(study(draw), "utf-8", "surrogatepass")
        args.insert(0, str(file))
    for option in draw.sample(list(OPTIONS), draw.choice([0, 1, 1, 2, 3])):
        values = OPTIONS[option] if draw.random() < 0.7 else STRANGE
        args += [option, draw.choice(values)]
    if draw.random() < 0.2:
        args.append(draw.choice(FLAGS))
    if draw.random() < 0.3:
        names = draw.sample(["a", "b", "A", "é", "e\u0301", *STRANGE], 2)
        args += [word for name in names for word in ("--model", f"{name}={spec(draw)}")]
    if draw.random() < 0.05:
        args.append(draw.choice(STRANGE))
    return args


def spec(draw):
    target = draw.choice(TARGETS if draw.random() < 0.4 else ["mlp:4", "mlp:3,3"])
    settings = [
        f",{key}={draw.choice(SETTINGS)}" for key in draw.sample(KEYS, draw.choice([0, 0, 1, 2]))
    ]
    return target + "".join(settings)


def study(draw):
    lines = (
        ["[models.a]", "spec = 'mlp:4'", "[models.b]", "spec = 'mlp:5'"]
        if draw.random() < 0.5
        else []
    )
    for table in draw.sample(OUTLINE, draw.choice([1, 1, 2])):
        if table:
            lines.append(f"[{table}]" if f"[{table}]" not in lines else "")
        key = json.dumps(draw.choice(STRANGE)) if draw.random() < 0.1 else draw.choice(FILE_KEYS)
        text = json.dumps(draw.choice([*STRANGE, *PATHS, *TARGETS]))
        lines.append(f"{key} = {draw.choice(LITERALS) if draw.random() < 0.7 else text}")
    return "\n".join(lines)


def tree(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with files that some command lines name."""
    folder, outside = tmp_path / "here", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "table.csv").write_text(
        "x,z,y\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(30))
    )
    (folder / "broken.parquet").write_bytes(b"PAR1" + bytes(64) + b"PAR1")
    monkeypatch.chdir(folder)
    return folder, outside


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_random_command_line_runs_or_is_refused_in_one_line(group, here):
    folder, outside = here
    n_refused = n_tried = 0
    for number in range(group, COMBINATIONS, GROUPS):
        args = combination(BASE * 10**6 + number, outside)
        before = tree(folder.parent)
        out, err = io.StringIO(), io.StringIO()
        what = f"FUZZ_SEED={BASE}, number {number}: {[one[:200] for one in args]}"
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            warnings.simplefilter("error")
            try:
                code = run.main(args)
            except BaseException as error:
                raise AssertionError(f"{what} ends in {type(error).__name__}: {error}") from error
        n_tried += 1
        assert code in (0, 2), f"{what}: exit code {code}, {err.getvalue()[:500]}"
        if code == 2:
            n_refused += 1
            line = err.getvalue()
            assert line.startswith("error: "), f"{what}: {line[:500]}"
            assert line.count("\n") == 1, f"{what}: {line[:500]}"
            assert line[:-1].isprintable(), f"{what}: {line[:500]!r}"
            assert len(line) < 2000, f"{what}: a line of {len(line)} letters"
            assert out.getvalue() == "", what
            assert tree(folder.parent) == before, (
                f"{what}: left {set(tree(folder.parent)) - set(before)}"
            )
        elif tree(folder.parent) != before:
            cleaned(folder, before)
    assert 0 < n_refused < n_tried


def cleaned(folder, before):
    """Remove what a run has left, so that the next one begins anew."""
    for path in reversed(tree(folder.parent)):
        if path not in before:
            (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)


@pytest.mark.parametrize(
    "args",
    [
        ["--out", ""],
        ["--out", "file:x"],
        ["--out", b"x/" + b"\xff" * 300],
        ["--samples", "99999999999999999999"],
        ["--noise", "1e38"],
        ["--data", b"\xff.csv", "--target", "y"],
    ],
    ids=["empty", "address", "long", "digits", "noise", "bytes"],
)
def test_in_a_process_of_its_own_too(args, here):
    folder, _ = here
    before = tree(folder)
    words = [sys.executable, "-W", "error", "-m", "functional_clf.run", *SMALL, *args]
    done = subprocess.run(words, capture_output=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b""
    assert tree(folder) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_whose_name_is_not_utf_8_is_as_good(here):
    args = ["--out", os.fsdecode(b"b\xff"), *SMALL]
    assert run.main(args) == 0
    assert (Path(os.fsdecode(b"b\xff")) / "results.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_table_whose_name_is_not_utf_8_is_trained_and_leaves_no_study_file(here, tmp_path):
    name = os.fsdecode(b"t\xff.csv")
    os.rename("table.csv", name)
    args = ["--data", name, "--target", "y", "--out", "out", "--seeds", "3", "--epochs", "1"]
    assert run.main([*args, "--engine", "eager", "--no-plots"]) == 0
    assert Path("out/results.json").exists()
    assert not Path("out/study.toml").exists()
