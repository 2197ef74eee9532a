"""Ctrl-C and SIGTERM at every stage of a command: one line, 130 or 143, nothing left behind."""

import contextlib
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from functional_clf.cli import run
from functional_clf.engines import machine

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs the signals of POSIX")

ROOT = Path(__file__).parents[2]
DRIVER = '''
"""Runs a command that sends itself a signal where it comes to some place for the first time."""
import atexit, functools, importlib.util, os, runpy, sys

program, place, number, times, *arguments = sys.argv[1:]
module, _, name = place.partition(":")

def send(left=[int(times)]):
    while left[0]:
        left[0] -= 1
        os.kill(os.getpid(), int(number))
        if left[0] % 2 == 0:
            return  # the next of several comes elsewhere

def patch(loaded):
    *owners, last = name.split(".")
    owner = functools.reduce(getattr, owners, loaded)
    inner = getattr(owner, last)

    @functools.wraps(inner)
    def outer(*args, **kwargs):
        send()
        return inner(*args, **kwargs)

    setattr(owner, last, outer)

class Watch:
    """Sends before a module is imported, or has one patched right after."""

    def find_spec(self, wanted, path, target=None):
        if wanted != module:
            return None
        if not name:
            send()
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(wanted)
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda loaded: (execute(loaded), patch(loaded))
        return spec

if module == "exit":
    atexit.register(send)
elif module in sys.modules:
    patch(sys.modules[module])
else:
    sys.meta_path.insert(0, Watch())
if program == "module":
    sys.argv = ["-m", *arguments]  # as runpy has it while the package is imported
    sys.orig_argv = [sys.executable, "-m", "functional_clf.run", *arguments]
    runpy.run_module("functional_clf.run", run_name="__main__", alter_sys=True)
else:
    sys.argv = ["functional-clf", "run", *arguments]
    from functional_clf.cli.main import main
    sys.exit(main())
'''
SAMPLES = ["--samples", "80"]
JOB = ["--epochs", "12", "--engine", "eager", "--seeds", "20", "--threads", "1"]
BY_TABLE = ["--data", "rows.csv", "--target", "y"]
REPLAY = ["--replay", "1"]
STAGES = {
    "the first line": ("lazy_loader", ""),
    "the command": ("functional_clf.cli.run", ""),
    "import of tyro": ("tyro", ""),
    "import of polars": ("polars", ""),
    "import of torch": ("torch", ""),
    "import of functorch": ("torch._functorch", ""),  # in the middle of that of torch
    "parsing": ("functional_clf.cli.run_arguments:parse", ""),
    "reading": ("functional_clf.data.reading:_read_text", "table"),
    "checks": ("functional_clf.study.preflight:check_plan", ""),
    "import of scikit-learn": ("sklearn.datasets", ""),
    "drawing data": ("functional_clf.data.batches:draw_chunk", ""),
    "opening the record": ("functional_clf.record.database:Database._open", "any"),
    "training": ("functional_clf.study.chunks:ChunkTrainer.train", "kept"),
    "keeping a chunk": ("functional_clf.record.store:Store.write_chunk", "kept"),
    "gathering": ("functional_clf.record.store:Store.curve_blocks", "kept"),
    "statistics": ("functional_clf.study.results:Results._compare", "kept"),
    "export": ("functional_clf.record.folder:write_whole", "kept"),
    "the last step of an export": ("os:replace", "kept"),
    "pictures": ("functional_clf.reports.plots:write_plots", "kept plots"),
    "sending pictures": ("functional_clf.reports.draughtsmen:Draughtsmen.draw", "kept plots"),
    "pictures in this process": ("functional_clf.reports.drawing:png_of", "kept alone"),
    "import of matplotlib": ("matplotlib", "kept alone"),
    "results.json": ("functional_clf.reports.tables:results_dict", "kept"),
    "printing": ("functional_clf.reports.tables:models_table", "kept"),
    "replay": ("functional_clf.study.replay:replay", "replay"),
    "training in a replay": ("functional_clf.study.chunks:ChunkTrainer.train", "replay"),
    "comparing in a replay": ("functional_clf.study.replay:_differences", "replay"),
    "closing the record": ("functional_clf.record.database:Database.__exit__", "kept"),
}
SIGNALS = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("stopped", 143)}


@pytest.fixture
def begin():
    """Begins commands, and ends those that a failing test has left."""
    with contextlib.ExitStack() as stack:

        def begin(*args, **more):
            process, mark = begun(*args, **more)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process, mark

        yield begin


LONG = int(os.environ.get("FUNCTIONAL_CLF_SIGNALS", "0"))
"""How many random moments to try, besides every stage with every signal and program; 0: a few."""
CASES = [
    pytest.param(stage, number, program, id=f"{stage}, {number.name}, {program}")
    for i, stage in enumerate(STAGES)
    for j, (number, program) in enumerate(itertools.product(SIGNALS, ("module", "script")))
    if LONG or i % 4 == j
]


def begun(place, number, arguments, folder, program="module", times=1, patch=""):
    """A command under way that will send itself a signal; its process, and a mark it hands on."""
    mark = f"{folder}-{number}"
    (folder / "tmp").mkdir(parents=True)
    rows = "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(120))
    (folder / "rows.csv").write_text(f"a,b,y\n{rows}")
    arguments = [program, place, str(int(number)), str(times), *arguments]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", patch + DRIVER, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp"), "MARK_OF_A_TEST": mark},
    )
    return process, mark


def processes_of(mark):
    """Those that run with this mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            told = (path.parent / "stat").read_text().rpartition(")")[2].split()[0]
            if told != "Z" and f"MARK_OF_A_TEST={mark}\0".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def check_end(process, mark, number, folder, kept=None):
    """See that a command has ended for a signal as it should, and has left nothing but a record."""
    _, said = process.communicate(timeout=120)
    word, code = SIGNALS[number]
    said = re.sub(r"training: .*\n", "", said)  # where the machine is slow
    line = f"{word}: finished chunks are kept in out; the same command continues\n"
    if kept is None and said != f"{word}\n":
        assert said == line
    elif kept is not None:
        assert said == (line if kept else f"{word}\n")
    assert process.returncode == code
    deadline = time.monotonic() + 10
    while processes_of(mark):  # those that tidy up
        assert time.monotonic() < deadline
        time.sleep(0.02)
    check_left(folder)


def check_left(folder):
    # Torch's own cache is meant to stay.
    assert {path.name.split("_")[0] for path in (folder / "tmp").iterdir()} <= {"torchinductor"}
    left = {path.name for path in folder.rglob("*") if path.name.startswith(".")}
    assert not {name for name in left if name.startswith((".study", ".results", ".seeds"))}
    assert not list(folder.rglob("*-journal"))
    assert not list(folder.rglob("*.part"))


def arguments_of(how):
    more = [] if "plots" in how or "alone" in how else ["--no-plots"]
    more += REPLAY if how == "replay" else []
    return [*(BY_TABLE if how == "table" else SAMPLES), *JOB, "--out", "out", *more]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The bytes of a record of the job."""
    folder = tmp_path_factory.mktemp("record")
    assert run.main([*SAMPLES, *JOB, "--no-plots", "--out", str(folder)]) == 0
    return (folder / "study.sqlite").read_bytes()


@pytest.mark.parametrize(("stage", "number", "program"), CASES)
def test_a_signal_at_any_stage_is_one_line_and_leaves_nothing(
    stage, number, program, tmp_path, request, begin
):
    place, how = STAGES[stage]
    arguments = arguments_of(how)
    if how == "replay":
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "study.sqlite").write_bytes(request.getfixturevalue("record"))
    alone = ONE_CORE if "alone" in how else ""
    process, mark = begin(place, number, arguments, tmp_path, program, patch=alone)
    check_end(process, mark, number, tmp_path, kept=None if how == "any" else "kept" in how)


ONE_CORE = "import os; os.sched_getaffinity = lambda process: {0}\n"


@pytest.mark.parametrize(
    "place",
    [
        "functional_clf.record.store:Store.write_chunk",
        "functional_clf.record.database:Database.__exit__",
        "functional_clf.cli.interrupts:leave",
    ],
)
def test_a_second_signal_does_not_disturb_the_ending(place, tmp_path, begin):
    # Sent from here as well, while it ends.
    process, mark = begin(place, signal.SIGINT, arguments_of(""), tmp_path, times=4)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if (tmp_path / "out" / "study.sqlite").exists():
            process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    check_end(process, mark, signal.SIGINT, tmp_path)


def test_a_signal_when_all_is_done_is_no_traceback(tmp_path, begin):
    process, _ = begin("exit", signal.SIGINT, arguments_of(""), tmp_path)
    printed, said = process.communicate(timeout=120)
    assert (process.returncode, re.sub(r"training: .*\n", "", said)) == (0, "")
    assert "Verdict: " in printed


@pytest.mark.skipif(machine.c_compiler() is None, reason="needs a C compiler")
def test_a_signal_while_compiling_leaves_no_compiler(tmp_path, begin):
    slow = tmp_path / "cc"
    slow.write_text('#!/bin/sh\n[ "$1" = --version ] && exec cc --version\nsleep 600\n')
    slow.chmod(0o755)
    patch = f"import os; os.environ |= dict(CC={str(slow)!r}, XDG_CACHE_HOME={str(tmp_path)!r})\n"
    folder = tmp_path / "job"
    folder.mkdir()
    arguments = ["--samples", "80", "--epochs", "12", "--engine", "fused", "--no-plots"]
    process, mark = begin("nothing", 2, [*arguments, "--out", "out"], folder, patch=patch)
    deadline = time.monotonic() + 60
    while len(processes_of(mark)) < 3:  # the compiler and its sleep
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    check_end(process, mark, signal.SIGINT, folder)
    assert not list(tmp_path.rglob("program.*"))


def test_signals_at_random_moments(tmp_path, record, begin):
    draw = random.Random(14)
    for trial in range(LONG or 3):
        folder = tmp_path / str(trial)
        folder.mkdir()
        how = draw.choice(["", "plots", "table", "replay"])
        arguments = arguments_of(how)
        if how == "replay":
            (folder / "out").mkdir()
            (folder / "out" / "study.sqlite").write_bytes(record)
        number, program = draw.choice(list(SIGNALS)), draw.choice(["module", "script"])
        moment = draw.uniform(0, 1)
        process, mark = begin("nothing", number, arguments, folder, program, patch=READY)
        assert process.stdout.readline() == "ready\n"
        time.sleep(5 * moment)
        process.send_signal(number)
        if process.wait(timeout=120) == 0:  # it was done before
            assert "Traceback" not in process.communicate()[1]
            check_left(folder)
        else:
            check_end(process, mark, number, folder)


READY = """
import functional_clf.cli.interrupts as interrupts
interrupts.take_over()
print("ready", flush=True)
"""


def test_the_library_raises_keyboard_interrupt_as_python_does(tmp_path):
    code = """
import os, signal
from functional_clf import Study, circles, model_0
def interrupt(progress):
    os.kill(os.getpid(), signal.SIGINT)
try:
    Study(circles(80), [model_0(epochs=9)], 600, engine="eager").run("out", interrupt)
except KeyboardInterrupt:
    print("raised", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("raised True\n", "")


def test_a_command_in_a_process_of_others_gives_signals_back(tmp_path, capsys):
    before = [signal.getsignal(number) for number in SIGNALS], sys.stdout, sys.unraisablehook
    assert run.main([*SAMPLES, *JOB, "--no-plots", "--out", str(tmp_path)]) == 0
    after = [signal.getsignal(number) for number in SIGNALS], sys.stdout, sys.unraisablehook
    assert after == before
