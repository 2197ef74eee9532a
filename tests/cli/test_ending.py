"""How a command ends: closed, broken and full streams, and errors of every kind."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from functional_clf.cli import ending, job, run
from functional_clf.record.database import StoreError, WriteError
from functional_clf.support.errors import MachineError

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the devices of Linux")

ROOT = Path(__file__).parents[2]
SMALL = ["--samples", "80", "--epochs", "12", "--engine", "eager", "--seeds", "4", "--no-plots"]
MODULE = [sys.executable, "-W", "error", "-m", "functional_clf.run"]
SCRIPT = [
    sys.executable, "-W", "error", "-c",
    "import sys; from functional_clf.cli.main import main; sys.exit(main())",
]  # fmt: skip
LINES = {
    "gone": (141, ""),
    "full": (1, "error: standard output cannot be written: No space left on device"),
    "closed": (1, "error: standard output cannot be written: it is closed"),
}


def ended(command, folder, output=None, close=(), env=()):
    """A command that has ended; its standard output may be gone, full or closed."""
    if output == "gone":
        reader, writer = os.pipe()
        os.close(reader)
    elif output == "full":
        writer = os.open("/dev/full", os.O_WRONLY)
    else:
        writer = subprocess.PIPE
    close = {*close, *([1] if output == "closed" else [])}
    shut = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in sorted(close))
    try:
        return subprocess.run(
            ["sh", "-c", f'exec "$@" {shut}', "sh", *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), **dict(env)},
            timeout=240,
        )
    finally:
        if isinstance(writer, int) and writer >= 0:
            os.close(writer)


def said(done):
    return re.sub(r"training: .*\n", "", done.stderr)  # where the machine is slow


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A folder with the record of a job."""
    folder = tmp_path_factory.mktemp("record")
    assert run.main([*SMALL, "--out", str(folder / "out")]) == 0
    return folder


@pytest.mark.parametrize("how", LINES)
@pytest.mark.parametrize(
    "command",
    [[*MODULE, "--help"], [*SCRIPT, "--help"], [*SCRIPT, "run", "--help"], [*SCRIPT, "--version"]],
    ids=["module's help", "script's help", "command's help", "version"],
)
def test_help_that_nobody_can_read(command, how, tmp_path):
    code, line = LINES[how]
    done = ended(command, tmp_path, how)
    assert (done.returncode, done.stderr) == (code, line and f"{line}\n")


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ([], "gone"), ([], "full"), ([], "closed"),
        (["--json"], "gone"), (["--json"], "full"),
        (["--replay", "1"], "gone"), (["--replay", "1"], "full"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)  # fmt: skip
def test_results_that_nobody_can_read(more, how, record):
    code, line = LINES[how]
    done = ended([*MODULE, *SMALL, "--out", "out", *more], record, how)
    assert done.returncode == code
    kept = "; finished chunks are kept in out; the same command continues"
    assert said(done) == (line and f"{line}{'' if more[:1] == ['--replay'] else kept}\n")


def test_nothing_of_what_is_said_on_a_closed_standard_error_goes_elsewhere(record, tmp_path):
    done = ended([*MODULE, "--seeds", "0"], tmp_path, close=[2])
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    whole = ended([*MODULE, *SMALL, "--out", "out"], record)
    for gap in ([2], [0, 2]):
        (tmp_path / str(gap)).mkdir()
        # Trained anew, so that there are files that could take the streams' numbers.
        done = ended([*MODULE, *SMALL, "--out", "out", "--fresh"], tmp_path / str(gap), close=gap)
        assert (done.returncode, done.stdout, done.stderr) == (0, whole.stdout, "")
        tables = [
            (folder / "out" / "seeds.csv").read_bytes() for folder in (tmp_path / str(gap), record)
        ]
        assert tables[0] == tables[1]


def test_with_all_streams_closed_the_record_is_made_and_the_code_tells(record, tmp_path):
    done = ended([*MODULE, *SMALL, "--out", "out"], tmp_path, close=[0, 1, 2])
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    tables = [(folder / "out" / "seeds.csv").read_bytes() for folder in (tmp_path, record)]
    assert tables[0] == tables[1]
    again = ended([*MODULE, *SMALL, "--out", "out", "--fresh"], tmp_path, close=[0])
    assert (again.returncode, said(again)) == (0, "--fresh deletes 4 finished seeds in out\n")


def test_progress_that_nobody_hears_does_not_end_the_job(record, tmp_path):
    # Every line of progress is said, to a reader that is gone.
    patched = (
        "import functional_clf.cli.screen as screen; screen.PLAIN_PROGRESS_SECONDS = 0; "
        "import sys; from functional_clf.run import main; sys.exit(main())"
    )
    command = [sys.executable, "-W", "error", "-c", patched, *SMALL, "--out", "out"]
    heard = ended(command, tmp_path)
    assert "training: " in heard.stderr
    for place in ("gone", "full"):
        folder = tmp_path / place
        folder.mkdir()
        redirect = "2>/dev/full" if place == "full" else "2>&1 >told | true"
        script = f'"$@" {redirect}' if place == "full" else f'{{ "$@"; echo $? >code; }} {redirect}'
        done = ended(["sh", "-c", script, "sh", *command], folder)
        assert done.returncode == 0
        if place == "gone":
            assert (folder / "code").read_text() == "0\n"
        told = (folder / "told").read_text() if place == "gone" else done.stdout
        assert told == heard.stdout


@pytest.mark.parametrize("options", [[], ["-u"]], ids=["buffered", "unbuffered"])
def test_a_line_on_standard_error_is_there_at_once(options, tmp_path):
    code = "import os, sys; from functional_clf.cli.ending import ended; "
    code += "ended(lambda: (print('said', file=sys.stderr), os._exit(3)))"
    done = ended([sys.executable, *options, "-c", code], tmp_path)
    assert (done.returncode, done.stderr) == (3, "said\n")


@pytest.mark.parametrize(
    "encoding",
    [
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
    ],
    ids=["ASCII everywhere", "latin-1", "ASCII", "C"],
)
def test_names_in_cyrillic_are_told_on_any_terminal(encoding, tmp_path):
    (tmp_path / "данные.csv").write_text(
        "возраст,диагноз\n" + "".join(f"{i % 17},{'да' if i % 2 else 'нет'}\n" for i in range(60))
    )
    args = ["--data", "данные.csv", "--target", "диагноз", "--epochs", "2", "--engine", "eager"]
    if "PYTHONUTF8" not in encoding:  # else no argument is the name of that column
        more = ["--seeds", "2", "--no-plots", "--json"]
        done = ended([*MODULE, *args, *more], tmp_path, env=encoding)
        assert (done.returncode, said(done)) == (0, "")
        assert json.loads(done.stdout)["conclusion"]
    wrong = ended([*MODULE, *args[:2], "--target", "имя"], tmp_path, env=encoding)
    assert wrong.returncode == 2
    assert re.fullmatch(r"error: [^\n]*\n", wrong.stderr)


LESS = "a smaller --chunk-size or fewer --threads need less"
EXPECTED = {
    "no space": (OSError(errno.ENOSPC, "No space left on device", "out/x"), 1,
                 "out/x: No space left on device"),
    "no right": (PermissionError(errno.EACCES, "Permission denied", "x"), 1,
                 "x: Permission denied"),
    "too many files": (OSError(errno.EMFILE, "Too many open files"), 1, "Too many open files"),
    "a text for a reason": (OSError("broken"), 1, "broken"),
    "another's pipe": (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "Broken pipe"),
    "memory": (MemoryError(), 1, f"memory is short (MemoryError); {LESS}"),
    "torch's memory": (
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate "
                     "memory: you tried to allocate 8 bytes. Error code 12"), 1,
        "memory is short ([enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: "
        f"can't allocate memory: you tried to allocate 8 bytes. Error code 12); {LESS}"),
    "depth": (RecursionError("maximum recursion depth exceeded"), 2,
              "what was given is nested too deep: maximum recursion depth exceeded"),
    "a library": (ImportError("libgomp.so.1: cannot open", name="torch"), 1,
                  "torch cannot be imported: libgomp.so.1: cannot open"),
    "a lost process": (MachineError("it was killed"), 1, "it was killed"),
    "a full disk": (WriteError("it is full"), 1, "it is full"),
    "a folder in use": (StoreError("it is in use"), 2, "it is in use"),
    "an argument": (ValueError("alpha is 2"), 2, "alpha is 2"),
}  # fmt: skip


def failing(error, monkeypatch):
    def fail(*args):
        raise error

    monkeypatch.setattr(job, "_run", fail)


@pytest.mark.parametrize(("error", "code", "line"), EXPECTED.values(), ids=EXPECTED)
def test_every_expected_error_is_one_line(error, code, line, monkeypatch, capsys, tmp_path):
    failing(error, monkeypatch)
    assert run.main([*SMALL, "--out", str(tmp_path / "out")]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"error: {line}\n")


def test_what_cannot_be_encoded_is_the_machines_and_no_argument(monkeypatch, capsys):
    def fail(*args):
        "имя".encode("latin-1")

    monkeypatch.setattr(job, "_run", fail)
    assert run.main(SMALL) == 1
    assert capsys.readouterr().err == (
        "error: 'имя' cannot be written in latin-1: ordinal not in range(256); PYTHONUTF8=1 has "
        "Python use UTF-8\n"
    )


def test_what_has_failed_beside_a_record_says_that_it_is_kept(record, monkeypatch, capsys):
    failing(MemoryError(), monkeypatch)
    assert run.main([*SMALL, "--out", str(record / "out")]) == 1
    assert capsys.readouterr().err == (
        f"error: memory is short (MemoryError); {LESS}; finished chunks are kept in "
        f"{record / 'out'}; the same command continues\n"
    )


@pytest.mark.parametrize("error", [KeyError("epochs"), ZeroDivisionError("by zero"), TypeError()])
def test_a_fault_of_the_program_says_so_and_where_its_traceback_is(
    error, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # All frames below the command's are the package's own.
    failed = "def fail(*args):\n    raise error\n"
    scope = {"error": error}
    exec(compile(failed, ending.__file__, "exec"), scope)
    monkeypatch.setattr(job, "_run", scope["fail"])
    assert run.main([*SMALL, "--out", str(tmp_path / "out")]) == 70
    line = capsys.readouterr().err
    (written,) = tmp_path.glob("*.txt")
    wanted = (
        rf"error: a fault of functional_clf itself: .*ending\.py, line 2: {type(error).__name__}"
    )
    assert re.fullmatch(rf"{wanted}.*; its traceback is in {written}\n", line)
    assert "Traceback (most recent call last)" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600


def test_the_traceback_is_shown_to_whoever_asks(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv(ending.SHOW, "1")
    failing(KeyError("epochs"), monkeypatch)
    assert run.main(SMALL) == 2  # by code of somebody else, here the test
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert re.search(
        r"\nerror: \S*test_ending\.py, line \d+: KeyError: 'epochs'; .* above\n$", said
    )
    assert not list(tmp_path.glob("*.txt"))


def test_a_place_for_the_traceback_is_not_needed(monkeypatch, capsys, tmp_path):
    def none(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", none)
    failing(KeyError("epochs"), monkeypatch)
    assert run.main(SMALL) == 2
    assert capsys.readouterr().err.endswith(f"; {ending.SHOW}=1 shows its traceback\n")


def test_an_argument_nested_too_deep_is_one_line(tmp_path, capsys):
    study = tmp_path / "study.toml"
    study.write_text("seeds = " + "[" * 5000 + "]" * 5000)
    assert run.main([str(study)]) == 2
    assert re.fullmatch(r"error: [^\n]*nested too deep[^\n]*\n", capsys.readouterr().err)
