"""`functional-clf compare`: what a user is told of scores from anywhere."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from functional_clf.cli import main as program
from functional_clf.cli.compare import main

ROOT = Path(__file__).parents[2]
LONG = "model,seed,accuracy\n" + "".join(
    f"{model},{seed},{0.8 + 0.02 * (model == 'b') + 0.01 * (seed * k % 7)}\n"
    for model, k in (("a", 3), ("b", 5))
    for seed in range(8)
)


def shares(model, seeds=range(8), extra=""):
    return "".join(f"{model},{seed},0.8{seed}{extra}\n" for seed in seeds)


HEAD = "model,seed,accuracy\n"
PAIR = HEAD + shares("a") + shares("b")
WRONG = {
    "empty": ("", [], "is empty"),
    "a header alone": (HEAD, [], "has a header and no rows"),
    "one row": (HEAD + "a,1,0.5\n", [], "has 1 row"),
    "one model": (HEAD + shares("a"), [], r"has one model, 'a'; a comparison needs two"),
    "rows that do not pair up": (
        HEAD + shares("a") + shares("b", range(6)), [],
        r"do not pair up by 'seed': 'b' lacks 6, 7\. Runs that failed .* --common-seeds"),
    "rows that do not pair up, both ways": (
        HEAD + shares("a", range(2, 8)) + shares("b", range(6)), [],
        r"'a' lacks 0, 1; 'b' lacks 6, 7"),
    "no seed in common": (
        HEAD + shares("a", range(4)) + shares("b", range(4, 8)), ["--common-seeds"],
        "no seed is common to all models"),
    "a seed twice": (
        PAIR + "b,3,0.5\n", [], r"line 18 has the seed 3 of 'b' for the second time"),
    "a seed a data set": (
        "model,seed,data,accuracy\n" + "".join(
            f"{m},{s},{d},0.9\n" for m in "ab" for d in ("iris", "wine") for s in range(3)), [],
        "if 'data' names data sets, say --dataset-column data"),
    "a score that is missing": (
        PAIR.replace("a,3,0.83", "a,3,"), [],
        "line 5 has no 'accuracy' .* stays in, with the score"),
    "a score that is nan": (PAIR.replace("b,0,0.80", "b,0,nan"), [], "line 10 has no 'accuracy'"),
    "a score that is a word": (
        PAIR.replace("b,0,0.80", "b,0,fail"), [], "line 10 has 'fail' as 'accuracy'; a score is a"),
    "a score that is infinite": (
        PAIR.replace("b,0,0.80", "b,0,inf"), [], "line 10 has inf as 'accuracy'; .* finite"),
    "a score below its bounds": (
        PAIR.replace("b,0,0.80", "b,0,-0.1"), [], r"line 10 has -0.1 as 'accuracy'; .* \[0, 1\]"),
    "a score above its bounds": (
        PAIR.replace("b,0,0.80", "b,0,280"), [], r"line 10 has 280 as 'accuracy'; .* \[0, 1\]"),
    "percentages": (
        HEAD + shares("a").replace("0.8", "8") + shares("b").replace("0.8", "9"), [],
        "line 2 has 80 as 'accuracy'; .* these seem to be percentages, divide them by 100"),
    "a percentage among shares": (
        PAIR.replace("b,0,0.80", "b,0,80.0"), [], "is it a percentage"),
    "a sign of per cent": (
        PAIR.replace("b,0,0.80", "b,0,80.5%"), [], "'80.5%' .* it is a percentage; write a share"),
    "a decimal comma in quotes": (
        PAIR.replace("b,0,0.80", 'b,0,"0,80"'), [], "'0,80' .* it has a decimal comma"),
    "a decimal comma": (
        PAIR.replace("b,0,0.80", "b,0,0,80"), [], "line 10 has 4 cells; the header names 3"),
    "semicolons": (PAIR.replace(",", ";"), [], "its delimiter seems to be ';'"),
    "a seed that is missing": (PAIR.replace("b,3,", "b,,"), [], "line 13 has no seed"),
    "a seed that is no whole number": (
        PAIR.replace("b,3,", "b,3.5,"), [], r"has the seed 3\.5; it must be a whole number"),
    "a model that is missing": (PAIR.replace("b,3,", ",3,"), [], "line 13 has no model"),
    "two columns of models": (
        PAIR.replace("model,", "model,method,").replace("\na,", "\na,x,").replace("\nb,", "\nb,x,"),
        [], "'model', 'method'; say by --model-column"),
    "two columns of seeds": (
        "model,split,fold,accuracy\n" + "".join(
            f"{m},{s},{s},0.9\n" for m in "ab" for s in range(3)), [],
        "'split', 'fold'; say by --seed-column"),
    "two columns of scores": (
        "model,seed,accuracy,f1_macro\n" + "".join(
            f"{m},{s},0.9,0.8\n" for m in "ab" for s in range(3)), [],
        "'accuracy', 'f1_macro'; say by --score-column"),
    "no column of scores": (
        "model,seed,note\n" + "".join(f"{m},{s},x\n" for m in "ab" for s in range(3)), [],
        "no column of scores that could be told; .* --score-column"),
    "words beside one column of numbers": (
        "name,seed,points\n" + "".join(f"{m},{s},0.9\n" for m in "ab" for s in range(3)), [],
        "say by --model-column which one names the models"),
    "words in a wide table": (
        "seed,a,b,note\n" + "".join(f"{s},0.9,0.8,x\n" for s in range(3)), [],
        "the column 'note' holds words"),
    "a wide table of one model": (
        "seed,a\n" + "".join(f"{s},0.9\n" for s in range(3)), [],
        r"has one model, 'a'; .* --model-column"),
    "a wide table with a hole": (
        "seed,a,b\n0,0.9,0.8\n1,0.9,\n2,0.8,0.8\n", [], "line 3 has no 'b'"),
    "an index that is nameless": (",a,b\n0,0.9,0.8\n1,0.9,0.8\n", [], "column 1 has no name"),
    "an index that is taken for a model": (
        "id,a,b\n" + "".join(f"{s},0.9,0.8\n" for s in range(200)), [],
        "as 'id'; .* say by --seed-column or leave the column out"),
    "two columns of one name": ("seed,a,a\n0,0.9,0.8\n1,0.9,0.8\n", [], "2 columns are named 'a'"),
    "rows without a seed that do not pair up": (
        "model,score\na,0.9\na,0.8\nb,0.9\n", [], r"'a' has 2, 'b' has 1.*--seed-column"),
    "a column that is not there": (PAIR, ["--seed-column", "rund"], "--seed-column is 'rund'; the"),
    "one column for two things": (
        PAIR, ["--seed-column", "seed", "--score-column", "seed"], "is named for two things"),
    "log loss without a margin": (
        PAIR.replace("accuracy", "log_loss"), [], "margin is None: log loss has no usual one"),
    "log loss with the other sign": (
        PAIR.replace("accuracy", "log_loss").replace(",0.8", ",-0.8"), ["--margin", "0.1"],
        "say --metric neg_log_loss"),
    "neg_log_loss that is none": (
        PAIR.replace("accuracy", "neg_log_loss"), ["--margin", "0.1"], "neg_log_loss is at most 0"),
    "another metric than the column's": (
        PAIR, ["--metric", "roc_auc", "--score-column", "accuracy"], "are accuracy; say that"),
    "more correct than there are": (
        "model,seed,test_correct,n_test\na,0,9,10\na,1,8,10\nb,0,11,10\nb,1,8,10\n", [],
        "line 4 has 11 as 'test_correct'; a count lies between 0 and its n_test, 10"),
    "counts that are none": (
        "model,seed,test_correct,n_test\na,0,9.5,10\na,1,8,10\nb,0,10,10\nb,1,8,10\n", [],
        "line 2 has 9.5 as 'test_correct'; a count is a whole number"),
    "test parts of unlike sizes in a pair": (
        "model,seed,test_correct,n_test\na,0,9,10\na,1,8,10\nb,0,10,12\nb,1,8,10\n", [],
        "n_test is 10 of 'a' and 12 of 'b' .line 2 and line 4."),
    "rows of two metrics": (
        "model,seed,metric,value\n" + "".join(
            f"{m},{s},{k},0.9\n" for m in "ab" for s in range(3) for k in ("accuracy", "auc")), [],
        "names 'accuracy', 'auc'; keep the rows of one metric"),
    "a metric that is not known": (
        "model,seed,metric,value\n" + "".join(
            f"{m},{s},rmse,0.9\n" for m in "ab" for s in range(3)), [],
        "names 'rmse'; the scores must be one of accuracy"),
    "splits of unknown sizes": (PAIR, ["--scope", "split"], "say --n-train and --n-test"),
    "a scope that is none": (PAIR, ["--scope", "all"], "invalid choice 'all' for argument"),
    "a baseline that is none": (PAIR, ["--baseline", "c"], "baseline is 'c'; it must be one"),
    "an alpha that is none": (PAIR, ["--alpha", "2"], "alpha is 2.0; it must be above 0"),
    "a margin below 0": (PAIR, ["--margin=-0.1"], "margin is -0.1; it must be at least 0"),
    "true and false": (
        PAIR.replace(",0.8", ",true,0.8").replace("seed,", "seed,score,"), ["--score-column",
        "score"], "holds true and false"),
    "lines that end early": (PAIR + "b\n", [], "line 18 has 1 cell"),
    "a model too many": (
        HEAD + "".join(f"m{i},0,0.5\n" for i in range(200)), [], "holds 200 names"),
    "more models on several data sets": (
        "data,seed,a,b,c\n" + "".join(
            f"{d},{s},0.9,0.8,0.7\n" for d in ("x", "y") for s in range(3)),
        ["--dataset-column", "data"], "3 models on several data sets; give a table of two"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_one_line(kind, tmp_path, capsys):
    text, options, message = WRONG[kind]
    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert main([str(path), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err


BINARY = {
    "scores.parquet": (b"PAR1 and then nothing", "breaks off"),
    "scores.csv": (b"\x89PNG\r\n", "it seems to be a PNG image"),
    "scores.tsv": (b"\xff\xfem\0o\0", "its encoding seems to be UTF-16"),
    "scores.csv.gz": (gzip.compress(LONG.encode())[:-9], "cannot be unpacked"),
    "scores.xlsx": (b"PK\x03\x04", "of no known kind"),
    "scores.txt": (LONG.encode(), "of no known kind"),
}


@pytest.mark.parametrize("name", BINARY)
def test_what_is_no_table_is_one_line(name, tmp_path, capsys):
    content, message = BINARY[name]
    (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


def test_what_is_not_there_or_is_no_run_folder_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.csv")]) == 2
    assert main([str(tmp_path)]) == 2
    assert main([]) == 2
    no_file, no_study, nothing = capsys.readouterr().err.splitlines()
    assert "there is no file" in no_file
    assert "holds no study" in no_study
    assert "FILE|FOLDER" in nothing


def test_a_table_a_conclusion_and_each_doubt_are_printed(tmp_path, capsys):
    (tmp_path / "scores.csv").write_text(LONG)
    assert program.main(["compare", str(tmp_path / "scores.csv")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(
        len(line) <= 80 for line in out.splitlines() if not line.startswith(("Over", "Doub"))
    )
    assert "Over 8 paired seeds (nobody said what each redraws), b exceeds a by" in out
    assert "Scope: more runs made as these were, whatever each of them redrew.\n" in out
    (doubt,) = [line for line in out.splitlines() if line.startswith("Doubt: ")]
    assert "--scope says it: data" in doubt


def test_json_is_all_there_is_and_holds_no_nan(tmp_path, capsys):
    (tmp_path / "scores.csv").write_text(LONG)
    assert main([str(tmp_path / "scores.csv"), "--scope", "data", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["doubts"] == []
    assert found["comparisons"][0]["model_a"]["name"] == "b"
    assert found["conclusion"] == found["comparisons"][0]["conclusion"]
    assert found["comparisons"][0]["scope"] == "data"


def test_the_help_names_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"--{name}-column" in text for name in ("model", "seed", "score", "dataset"))


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_the_command_needs_no_torch_and_the_name_stays_the_function_s(tmp_path):
    (tmp_path / "scores.csv").write_text(LONG)
    code = """
import sys
import functional_clf.compare
import functional_clf, functional_clf.stats
from functional_clf.compare import main
assert functional_clf.compare is functional_clf.stats.compare
assert functional_clf.compare(4 * [0.9], [0.5, 0.6, 0.5, 0.4]).verdict == "better"
assert functional_clf.compare_scores("scores.csv").comparisons[0].n_pairs == 8
assert main(["scores.csv"]) == 0
assert "torch" not in sys.modules
assert "functional_clf.compare" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "Verdict: " in done.stdout


def test_python_m_runs_it(tmp_path):
    (tmp_path / "scores.csv").write_text(LONG)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "functional_clf.compare", "scores.csv"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "Verdict: " in done.stdout


MEASURED = r"""
import re, sys
from functional_clf.cli.compare import main
assert main(["large.csv", "--scope", "data"]) == 0
# Not getrusage: its peak is also that of whoever started this process.
peak = re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]
print(int(peak) / 2**10, file=sys.stderr)
"""


def test_a_million_rows_need_little_memory(tmp_path):
    random = np.random.default_rng(0)
    a = np.clip(random.normal(0.9, 0.02, 500_000), 0, 1)
    b = np.clip(a + random.normal(0.001, 0.01, 500_000), 0, 1)
    seeds = np.arange(500_000)
    pl.DataFrame(
        {
            "model": np.repeat(["a", "b"], 500_000),
            "seed": np.concatenate([seeds, seeds]),
            "accuracy": np.concatenate([a, b]).round(8),
        }
    ).write_csv(tmp_path / "large.csv")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Over 500000 paired seeds" in done.stdout
    assert float(done.stderr) < 500  # MiB
