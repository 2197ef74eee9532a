import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from functional_clf import Study, circles, run
from functional_clf.reports import draughtsmen

SMALL = ["--samples", "80", "--epochs", "12", "--engine", "eager"]
PICTURES = {"data.png", "boundaries.png", "curves.png", "accuracies.png"}
REPORT = {"report.html", "table.tex", "table.md", "methods.md"}


def in_process(*args, capsys):
    code = run.main([*map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def command(*args):
    return [sys.executable, "-W", "error", "-m", "functional_clf.run", *map(str, args)]


def test_the_main_job_in_small(tmp_path, capsys):
    out = tmp_path / "out"
    code, printed, _ = in_process(*SMALL, "--seeds", 20, "--out", out, capsys=capsys)
    assert code == 0
    assert "Verdict: " in printed
    assert "model_0" in printed
    assert str(out) in printed
    assert max(map(len, printed.split("Over 20")[0].splitlines())) <= 80
    assert {path.name for path in (out / "plots").iterdir()} == PICTURES
    assert not list(out.glob(".*.part"))

    found = json.loads((out / "results.json").read_text())
    assert found["engine"]["ran"] == "eager"
    assert found["models"]["model_1"]["seeds"] == 20
    assert found["conclusion"] in printed
    table = pl.read_csv(out / "seeds.csv")
    assert table.height == 40
    typed = pl.read_parquet(out / "seeds.parquet")
    assert typed.equals(pl.read_csv(out / "seeds.csv", schema=typed.schema))
    accuracy = table.filter(model="model_1")["test_correct"].mean() / 16
    assert found["models"]["model_1"]["test_accuracy"]["mean"] == pytest.approx(accuracy)


def test_json_is_all_that_standard_output_holds(tmp_path):
    out = tmp_path / "out"
    args = command(*SMALL, "--seeds", 3, "--out", out, "--json", "--no-plots")
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout) == json.loads((out / "results.json").read_text())
    assert not (out / "plots").exists()


def test_the_same_command_again_trains_nothing_and_says_the_same(tmp_path, capsys):
    args = [*SMALL, "--seeds", 3, "--out", tmp_path / "out", "--no-plots"]
    first, second = (in_process(*args, capsys=capsys)[1] for _ in range(2))
    assert first == second


def test_the_default_folder_is_named_by_the_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for args in ([], ["--seeds", "4"], ["--vary", "init"]):
        in_process(*SMALL, "--seeds", 3, "--no-plots", *args, capsys=capsys)
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(names) == 2
    assert [name.rsplit("-", 1)[0] for name in names] == ["circles-data", "circles-init"]


WRONG = [
    (["--seeds", "0"], "seeds is 0"),
    (["--seeds", "-3"], "seeds is -3"),
    (["--seeds", "9:3"], "seeds is 9:3"),
    (["--seeds", "x"], "seeds is x"),
    (["--epochs", "0"], "epochs is 0"),
    (["--noise", "-1"], "noise is -1"),
    (["--test-size", "1.5"], "test_size is 1.5"),
    (["--samples", "3"], "samples is 3"),
    (["--samples", "many"], "--samples"),
    (["--engine", "warp"], "warp"),
    (["--vary", "weather"], "weather"),
    (["--data", "squares"], "squares"),
    (["--device", "warp"], "device is 'warp'"),
    (["--alpha", "0"], "alpha is 0"),
    (["--margin", "-1"], "margin is -1"),
    (["--chunk", "0"], "chunk_size is 0"),
    (["--model-1.learning-rate", "-1"], "learning_rate is -1"),
    (["--model-1.layer-sizes", "2", "3"], "the logits have shape (2, 3)"),
    (["--self-calibration", "--seeds", "9"], "seeds is 9; self_calibration needs at least 10"),
    (["--self-calibration", "--design", "crossed"], "self_calibration needs a paired design"),
    (["--replay", "0", "--json"], "json is True; it has no meaning with replay"),
    (["--replay", "0", "--fresh"], "fresh is True; it has no meaning with replay"),
    (["--replay", "0", "--self-calibration"], "self_calibration is True; it has no meaning"),
    (["--replay", "99999999999999999999"], "replay is 99999999999999999999; it must be at most"),
    (["--samples", "99999999999999999999"], "samples is 99999999999999999999; it must be at most"),
    (["--epochs", "99999999999999999999"], "epochs is 99999999999999999999; it must be at most"),
    (["--seeds", "\u0666\u0664"], "seeds is \u0666\u0664; it must be a count"),
    (["--threads", "40000"], "threads is 40000; it must be at most 32768"),
    (["--device", "cuda:\u0663"], "it must be auto, cpu, cuda or cuda:N"),
    (["--noise", "1e38"], "noise is 1e+38; it must be at least 0 and at most 1e+36"),
    (["--alpha", "1e-300"], "alpha is 1e-300; it must be at least 1e-09"),
    (["--metric", "log_loss", "--margin", "1e200"], "of log loss it must be at least 0 and below"),
    (["--data", ""], "data is '', which is empty"),
    (["--data", "x" * 5000], "(5000 characters); it must be one of"),
    (["--test", ""], "test is '', which is empty"),
    (["--model", "A=mlp:4", "--model", "a=mlp:5"], "model is named 'A' and 'a'; names must differ"),
    (["--model", "\xe9=mlp", "--model", "e\u0301=mlp"], "names must differ in more than case or"),
    (["--model", f"a=mlp:4,b={'[' * 5000}{']' * 5000}"], "are nested too deeply"),
    (["--bogus", "1"], "--bogus"),
    (["stray"], "stray"),
]


@pytest.mark.parametrize(
    ("args", "gist"), WRONG, ids=[ascii(" ".join(args))[1:60] for args, _ in WRONG]
)
def test_a_wrong_argument_is_one_line_and_leaves_nothing(args, gist, tmp_path, capsys):
    out = tmp_path / "out"
    code, printed, complaint = in_process("--out", out, *args, capsys=capsys)
    assert code == 2
    assert printed == ""
    assert gist in complaint
    assert complaint.startswith("error: ")
    assert complaint.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("out", "gist"),
    [
        ("", "out is '', which is empty"),
        ("file:x", "what begins with 'file:' is an address and no path"),
        ("s3://bucket/x", "what begins with 's3://' is an address and no path"),
        ("a/b/" + "x" * 300, "it is too long for a file system"),
        ("a/" * 2500, "it is too long for a file system"),
        ("file", "file is a file; it must be a folder, or not exist"),
        ("file/x", "file is a file; it must be a folder, or not exist"),
        ("/dev/null", "/dev/null is no folder; it must be a folder, or not exist"),
    ],
    ids=["empty", "file:", "s3:", "name", "path", "a file", "below a file", "device"],
)
def test_a_run_folder_that_cannot_be_one_is_told_at_once(out, gist, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    code, printed, complaint = in_process("--out", out, "--seeds", 2, capsys=capsys)
    assert (code, printed) == (2, "")
    assert complaint.startswith("error: out is ")
    assert gist in complaint
    assert complaint.count("\n") == 1
    with pytest.raises(ValueError, match=r"^out is "):
        Study(circles(40), seeds=2).run(out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_cuda_where_there_is_none_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    out = tmp_path / "out"
    code, _, complaint = in_process("--device", "cuda", "--out", out, capsys=capsys)
    assert (code, complaint.count("\n"), out.exists()) == (2, 1, False)
    assert "no CUDA" in complaint


def test_an_out_that_cannot_be_a_folder_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/no-folder-here")):
        code, printed, complaint = in_process(*SMALL, "--out", out, capsys=capsys)
        assert (code, printed, complaint.count("\n")) == (2, "", 1)
        assert str(out) in complaint
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("taken", "by"),
    [
        ("plots", "file"),
        ("params", "file"),
        ("results.json", "folder"),
        ("seeds.csv", "folder"),
        ("plots/data.png", "folder"),
        ("params/model_1.safetensors", "folder"),
    ],
)
def test_what_is_in_the_way_of_a_file_is_said_before_training(taken, by, tmp_path, capsys):
    path = tmp_path / taken
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine") if by == "file" else path.mkdir()
    code, printed, complaint = in_process(*SMALL, "--out", tmp_path, capsys=capsys)
    assert (code, printed, complaint.count("\n")) == (2, "", 1)
    assert str(path) in complaint
    assert not (tmp_path / "study.sqlite").exists()


def derived(out):
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "study.sqlite")
    return {str(path.relative_to(out)) for path in files}


def test_what_is_of_other_results_does_not_stay(tmp_path, capsys):
    tables = {"results.json", "seeds.csv", "seeds.parquet", "study.toml", *REPORT}
    pictures = {f"plots/{name}" for name in PICTURES}
    weights = {f"params/model_{i}.safetensors" for i in (0, 1)}
    theirs = {"plots/mine.png", "params/mine.safetensors", "notes.txt"}

    def run_with(*args):
        assert in_process(*SMALL, "--out", tmp_path, *args, capsys=capsys)[0] == 0
        return derived(tmp_path)

    assert run_with("--seeds", 3, "--save-params") == tables | pictures | weights
    for name in theirs:
        (tmp_path / name).write_text("mine")
    everything = tables | pictures | weights | theirs
    # The same seeds: what is there is still of them.
    assert run_with("--seeds", 3, "--no-plots", "--margin", 0.02) == everything
    assert run_with("--seeds", 4, "--no-plots", "--save-params") == everything - pictures
    assert run_with("--seeds", 4) == everything
    assert run_with("--seeds", 3) == everything - weights
    # A run that ended before it wrote results.json may have drawn anything.
    (tmp_path / "results.json").unlink()
    assert run_with("--seeds", 3, "--no-plots") == tables | theirs
    run_with("--seeds", 3)
    (tmp_path / "seeds.csv").write_text("of a run that ended before the rest\n")
    assert run_with("--seeds", 3, "--no-plots") == tables | theirs


def test_pictures_that_cannot_be_had_cost_nothing_else(tmp_path, capsys, monkeypatch):
    args = [*SMALL, "--seeds", 3, "--out", tmp_path]
    assert in_process(*args, capsys=capsys)[0] == 0
    monkeypatch.setattr(draughtsmen, "available_cores", lambda: 1)  # else another process draws
    monkeypatch.setitem(sys.modules, "functional_clf.reports.drawing", None)  # matplotlib fails
    args[args.index(3)] = 4  # those of 3 seeds are there
    code, printed, said = in_process(*args, capsys=capsys)
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith("no pictures are drawn: matplotlib fails (")
    assert "Verdict: " in printed
    tables = {"results.json", "seeds.csv", "seeds.parquet", "study.toml"}
    assert derived(tmp_path) == tables | REPORT


def test_a_picture_that_cannot_be_written_costs_no_results(tmp_path, capsys, monkeypatch):
    def full(unfinished, path, **folders):
        if Path(path).suffix == ".png":
            raise OSError(28, "No space left on device")
        return os.rename(unfinished, path, **folders)

    monkeypatch.setattr("os.replace", full)
    code, printed, said = in_process(*SMALL, "--seeds", 3, "--out", tmp_path, capsys=capsys)
    assert (code, printed, said.count("\n")) == (1, "", 1)
    assert "data.png cannot be written: No space left" in said
    assert derived(tmp_path) == {"results.json", "seeds.csv", "seeds.parquet", "study.toml"}
    assert json.loads((tmp_path / "results.json").read_text())["models"]["model_1"]["seeds"] == 3


ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("settings", ASCII, ids=["output", "locale"])
def test_where_all_is_ascii_names_are_escaped_and_files_have_theirs(settings, tmp_path):
    environment = os.environ | settings
    args = [*SMALL, "--seeds", "10", "--save-params", "--self-calibration", "--out", "ré"]
    done = subprocess.run(
        command(*args), capture_output=True, cwd=tmp_path, env=environment, timeout=120
    )
    assert done.returncode == 0
    assert re.sub(rb"training: .*\n", b"", done.stderr) == b""  # where the machine is slow
    out = tmp_path / "ré"
    assert len(derived(out)) == 4 + 4 + 2
    assert pl.read_csv(out / "seeds.csv").height == pl.read_parquet(out / "seeds.parquet").height
    assert done.stdout.isascii()
    assert re.search(rb"\nFiles: r(\\xe9|\\udcc3\\udca9)/\n$", done.stdout)
    assert b"Verdict: " in done.stdout

    wrong = subprocess.run(
        command("--engine", "é"), capture_output=True, env=environment, timeout=120
    )
    assert wrong.returncode == 2
    assert re.fullmatch(
        rb"error: invalid choice '\\(xe9|udcc3\\udca9)' for argument '--engine'\. Expected[^\n]*\n",
        wrong.stderr,
    )


def test_a_complaint_is_one_line_whatever_the_folder_is_called(tmp_path, capsys):
    out = tmp_path / "a\nb\x1b[31m"
    out.write_text("mine")
    code, _, complaint = in_process(*SMALL, "--out", out, capsys=capsys)
    assert code == 2
    assert complaint.count("\n") == 1
    assert r"a\nb\x1b[31m" in complaint


def test_wrong_input_ends_the_process_with_code_2_and_no_traceback(tmp_path):
    args = command("--seeds", "x", "--out", tmp_path / "out")
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"error: seeds is x; .*\n", done.stderr)


def test_help_shows_every_option_with_its_default(capsys):
    with pytest.raises(SystemExit) as stop:
        run.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for option in ("--seeds", "--vary", "--data", "--samples", "--epochs", "--out", "--no-plots"):
        assert option in text


@pytest.mark.parametrize("stage", ["import", "train"])
def test_ctrl_c_ends_quickly_keeps_finished_chunks_and_continues(stage, tmp_path):
    out = tmp_path / "out"
    args = [
        "--samples", "400", "--epochs", "60", "--engine", "eager", "--seeds", "200",
        "--threads", "1", "--out", out, "--no-plots",
    ]  # fmt: skip
    process = subprocess.Popen(command(*args), stderr=subprocess.PIPE, text=True)
    if stage == "import":
        time.sleep(0.7)
    else:
        deadline = time.monotonic() + 90
        while not (out / "study.sqlite").exists() or (out / "study.sqlite").stat().st_size < 60_000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    complaint = process.communicate(timeout=20)[1]
    assert time.monotonic() - asked < 3
    assert "Traceback" not in complaint
    if stage == "import":
        assert (process.returncode, complaint) == (130, "interrupted\n")
        return
    assert process.returncode == 130
    progress = re.compile(r"training: .*\n")  # where the machine is slow
    assert re.fullmatch(r"interrupted: .*\n", progress.sub("", complaint))

    from functional_clf.record.store import Store

    with Store(out) as store:
        kept = len(store.finished_seeds())
    assert 0 < kept < 200
    subprocess.run(command(*args), check=True, timeout=240, capture_output=True)
    undisturbed = tmp_path / "undisturbed"
    again = [undisturbed if arg == out else arg for arg in args]
    subprocess.run(command(*again), check=True, timeout=240, capture_output=True)
    assert (out / "seeds.csv").read_bytes() == (undisturbed / "seeds.csv").read_bytes()


def test_no_color_and_a_narrow_screen_are_respected(tmp_path):
    args = command(*SMALL, "--seeds", 3, "--out", tmp_path / "out", "--no-plots")
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "80"}
    done = subprocess.run(args, capture_output=True, text=True, env=environment, check=True)
    assert "\x1b" not in done.stdout + done.stderr


SAME_AS_MODEL_1 = [
    "--model-0.layer-sizes", "2", "16", "16", "1", "--model-0.activation", "relu",
    "--model-0.optimizer", "adam", "--model-0.learning-rate", "0.01",
]  # fmt: skip
EASY = ["--samples", "80", "--noise", "0.001", "--epochs", "250", "--engine", "eager", "--no-plots"]


@pytest.mark.parametrize(
    ("args", "estimate", "verdict", "words"),
    [
        ([*SAME_AS_MODEL_1, "--seeds", "6"], 0.0, "inconclusive", "0 wins, 6 ties, 0 losses"),
        (["--model-0.learning-rate", "1e6", "--seeds", "12"], 1.0, "better", "12 diverged"),
        ([*SAME_AS_MODEL_1, "--seeds", "1"], 0.0, "inconclusive", "Over 1 paired seed"),
        (["--model-0.learning-rate", "1e6", "--seeds", "2"], 1.0, None, "2 diverged"),
    ],
    ids=["all at 1.0", "equal differences, all diverged", "one seed", "two seeds"],
)
def test_degenerate_data_has_a_defined_conclusion(args, estimate, verdict, words, tmp_path, capsys):
    out = tmp_path / "out"
    code, printed, _ = in_process(*EASY, *args, "--out", out, capsys=capsys)
    assert code == 0
    found = json.loads((out / "results.json").read_text())["comparisons"][0]
    assert found["estimate"] == pytest.approx(estimate, abs=1e-12)
    assert found["verdict"] == verdict or verdict is None
    assert words in printed
    assert "nan" not in printed.lower()
