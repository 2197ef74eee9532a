import dataclasses
import logging
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from functional_clf import Study, circles, mlp_recipe
from functional_clf.reports import draughtsmen, drawing, plots, signature
from functional_clf.reports.draughtsmen import Draughtsmen
from functional_clf.reports.pictures import AccuraciesPicture, Commission, CurvesPicture

needs_groups = pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no groups here")
FORGED = (
    "import sys; from functional_clf.reports import drawing, drawing_process as d; {}; d.main()"
)
"""A drawing process in which something is not as it should be."""


@pytest.fixture(scope="module")
def results():
    recipes = [mlp_recipe(name, (2, 4, 1), "relu", "sgd", 0.1, epochs=6) for name in ("a", "b")]
    return Study(circles(60), recipes, seeds=3, engine="eager").run()


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(draughtsmen, "available_cores", lambda: 2)


@pytest.fixture
def here(monkeypatch):
    """The pictures that are drawn in this process."""
    drawn = []

    def png_of(picture, draw=drawing.png_of):
        drawn.append(type(picture).__name__)
        return draw(picture)

    monkeypatch.setattr(drawing, "png_of", png_of)
    return drawn


def forge(monkeypatch, what):
    monkeypatch.setattr(draughtsmen, "PROGRAM", ("-P", "-c", FORGED.format(what)))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def commission(models=("a", "b"), counts=2):
    correct = np.arange(2 * counts).reshape(counts, 2)
    return Commission("accuracies", AccuraciesPicture("data", models, correct, 9))


def test_it_is_there_before_torch_and_matplotlib_and_polars():
    code = (
        "import sys; from functional_clf.reports.draughtsmen import Draughtsmen\n"
        "with Draughtsmen(): print({'torch', 'matplotlib', 'polars'} & set(sys.modules))"
    )
    args = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(args, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_the_process_that_draws_needs_neither_torch_nor_polars():
    code = (
        "import sys, functional_clf.reports.drawing_process, functional_clf.reports.drawing;"
        "print({'torch', 'polars', 'functional_clf.study.study'} & set(sys.modules))"
    )
    args = [sys.executable, "-c", code]
    done = subprocess.run(args, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"


def test_pictures_are_the_same_whoever_draws_them(results, tmp_path, here, caplog):
    plots.write_plots(results, tmp_path / "here", "these")
    here.clear()
    with Draughtsmen() as artists:
        child = artists._child
        written = artists.write(results, tmp_path / "there", "these")
    assert here == []
    assert child.returncode == 0  # it has ended by itself
    assert len(written) == 4
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert signature.up_to_date(tmp_path / "there", "these")
    assert not caplog.records


def test_pictures_are_drawn_one_after_another_where_nobody_can_fork(
    results, tmp_path, here, monkeypatch
):
    forge(monkeypatch, "d.FORKS = False")
    with Draughtsmen() as artists:
        assert len(artists.write(results, tmp_path / "plots")) == 4
    assert here == []


@pytest.mark.parametrize("forks", [True, False])
def test_what_a_picture_fails_of_is_said_and_costs_no_other(
    forks, results, tmp_path, here, monkeypatch, caplog
):
    forge(monkeypatch, f"d.FORKS = {forks}; drawing.curves_figure = lambda picture: 1 / 0")
    with Draughtsmen() as artists:
        assert len(artists.write(results, tmp_path / "plots", "these")) == 3
    assert here == []
    said = [record.getMessage() for record in caplog.records]
    assert said == ["curves.png is not drawn: division by zero"]
    assert not signature.up_to_date(tmp_path / "plots", "these")


ENDS = {
    "before it begins": "sys.exit(3)",
    "while it imports": "sys.modules['functional_clf.reports.drawing'] = None",
    "when it is asked": "d.unpacked = None",
    "without an answer": "d.packed = lambda drawn: b'nonsense'",
}


@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
def test_where_a_child_ends_pictures_are_drawn_here(
    program, results, tmp_path, here, monkeypatch, caplog
):
    forge(monkeypatch, program)
    with Draughtsmen() as artists:
        assert len(artists.write(results, tmp_path / "plots")) == 4
    assert len(here) == 4
    assert not caplog.records


def test_what_a_child_has_drawn_before_it_ends_is_kept(results, tmp_path, here, monkeypatch):
    last = "one(team) if len(team) > 1 else sys.exit(1)"
    forge(monkeypatch, f"d._next_finished = lambda team, one=d._next_finished: {last}")
    with Draughtsmen() as artists:
        assert len(artists.write(results, tmp_path / "plots")) == 4
    assert len(here) == 1


def test_a_picture_whose_own_process_ends_is_drawn_here(results, tmp_path, here, monkeypatch):
    forge(monkeypatch, "import os; drawing.curves_figure = lambda picture: os.kill(os.getpid(), 9)")
    with Draughtsmen() as artists:
        assert len(artists.write(results, tmp_path / "plots")) == 4
    assert here == ["CurvesPicture"]


def test_where_no_child_can_be_had_pictures_are_drawn_here(
    results, tmp_path, here, monkeypatch, caplog
):
    with monkeypatch.context() as patch:
        patch.setattr(draughtsmen, "available_cores", lambda: 1)
        with Draughtsmen() as artists:
            assert artists._child is None
            assert len(artists.write(results, tmp_path / "one")) == 4
    monkeypatch.setattr(sys, "executable", "/no/python/here")
    with Draughtsmen() as artists:
        assert artists._child is None
        assert len(artists.write(results, tmp_path / "two")) == 4
    assert len(here) == 8
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert not caplog.records


def test_a_child_that_does_not_answer_is_given_up(here, results, tmp_path, monkeypatch):
    monkeypatch.setattr(draughtsmen, "LONGEST_SECONDS", 0.2)
    forge(monkeypatch, "import time; time.sleep(60)")
    start = time.monotonic()
    with Draughtsmen() as artists:
        assert len(artists.write(results, tmp_path / "plots")) == 4
    assert len(here) == 4
    assert time.monotonic() - start < 30


def test_it_draws_once():
    with Draughtsmen() as artists:
        assert list(artists.draw([commission()])) == ["accuracies"]
        assert artists.draw([commission()]) == {}
    assert artists.draw([commission()]) == {}


def test_settings_are_a_users_own_and_what_is_wrong_with_them_is_said(
    tmp_path, monkeypatch, caplog
):
    plain = drawing.png_of(commission().picture)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nno.such.key: 1\n")
    with Draughtsmen() as artists:
        drawn = artists.draw([commission(), commission()])["accuracies"]
    assert drawn.png not in (None, plain)
    (record,) = caplog.records
    assert "no.such.key" in record.getMessage()
    assert record.name.startswith("matplotlib")
    assert record.levelno == logging.WARNING


WARNS = (
    "import warnings, matplotlib; drawing.{} = lambda picture, draw=drawing.{}: "
    "(warnings.warn('careful', matplotlib.MatplotlibDeprecationWarning), draw(picture))[1]"
)


def test_warnings_are_given_again_and_once(monkeypatch):
    forge(monkeypatch, WARNS.format(*2 * ["accuracies_figure"]))
    with Draughtsmen() as artists, pytest.warns(DeprecationWarning, match="careful") as given:
        drawn = artists.draw([commission(), commission()])
    assert len(given) == 1
    assert drawn["accuracies"].png
    with Draughtsmen() as artists, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert artists.draw([commission()])["accuracies"].png
    # Where warnings are errors, this one is why the picture is not drawn.
    with Draughtsmen() as artists:
        drawn = artists.draw([commission()])["accuracies"]
    assert (drawn.png, drawn.reason) == (None, "careful")


def test_where_matplotlib_warns_when_it_is_imported_and_that_is_an_error_nothing_is_drawn(
    monkeypatch,
):
    forge(monkeypatch, "import warnings; drawing.practise = lambda: warnings.warn('careful')")
    with Draughtsmen() as artists:
        assert artists.draw([commission()]) == {}


def test_settings_that_cannot_be_read_cost_the_pictures_and_nothing_else(tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe\xff")
    code = """
import logging, sys
from functional_clf.reports.draughtsmen import Draughtsmen
with Draughtsmen() as artists:
    from functional_clf import Study, circles, mlp_recipe
    logging.basicConfig(format="%(message)s", level="WARNING")
    logging.getLogger("matplotlib").setLevel("CRITICAL")
    recipe = mlp_recipe("a", (2, 4, 1), "relu", "sgd", 0.1, epochs=2)
    from pathlib import Path
    print(artists.write(Study(circles(60), [recipe], 2, engine="eager").run(), Path("plots")))
"""
    args = [sys.executable, "-W", "error::ResourceWarning", "-c", code]
    done = subprocess.run(args, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    assert done.stderr.startswith("no pictures are drawn: matplotlib fails (")
    assert done.stderr.count("\n") == 1


def group_is_gone(number, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(number, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


PARENT = """
import os, signal, time
from functional_clf.reports.draughtsmen import Draughtsmen
{}
with Draughtsmen() as artists:
    print(artists._child.pid, flush=True)
    {}
"""
PARENTS = {
    "interrupted": ("", "signal.raise_signal(signal.SIGINT)", 1),
    "interrupted later": ("", "time.sleep(1); signal.raise_signal(signal.SIGINT)", 1),
    "gone at once": ("", "os._exit(3)", 3),
    "gone later": ("", "time.sleep(1); os._exit(3)", 3),
    "killed": ("", "os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
}


@needs_groups
@pytest.mark.parametrize(("before", "within", "code"), PARENTS.values(), ids=PARENTS)
def test_no_child_outlives_its_parent(before, within, code):
    two_cores = "from functional_clf.reports import draughtsmen as d; d.available_cores = lambda: 2"
    before = f"{before}\n{two_cores}"
    args = [sys.executable, "-W", "error", "-c", PARENT.format(before, within)]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert group_is_gone(int(done.stdout))
    if code == 1:
        assert done.stderr.endswith("KeyboardInterrupt\n")
        assert done.stderr.count("Traceback") == 1
    else:
        assert (done.returncode, done.stderr) == (code, "")


@needs_groups
def test_ctrl_c_while_pictures_are_drawn_ends_all_who_draw(monkeypatch):
    def one_and_then_ctrl_c():
        yield commission()
        time.sleep(1)
        raise KeyboardInterrupt

    def draw():
        with Draughtsmen() as artists:
            children.append(artists._child)
            os.killpg(artists._child.pid, signal.SIGCONT)  # there is such a group
            artists.draw(one_and_then_ctrl_c())

    children = []
    forge(monkeypatch, "import time; drawing.accuracies_figure = lambda picture: time.sleep(60)")
    with pytest.raises(KeyboardInterrupt):
        draw()
    (child,) = children
    assert child.returncode == -signal.SIGKILL
    assert group_is_gone(child.pid)
    assert all(stream.closed for stream in (child.stdin, child.stdout))


@needs_groups
def test_a_child_does_not_mind_ctrl_c():
    with Draughtsmen() as artists:
        time.sleep(1)
        os.killpg(artists._child.pid, signal.SIGINT)
        assert list(artists.draw([commission()])) == ["accuracies"]


def test_large_pictures_fill_no_pipe():
    large = np.random.default_rng(0).random((200, 4000))
    picture = dataclasses.replace(commission().picture, correct=large[:2])
    many = [Commission(f"number {i}", picture) for i in range(8)]
    many[3] = Commission("wrong", CurvesPicture("data", (), 1, "loss", (large,)))
    with Draughtsmen() as artists:
        drawn = artists.draw(many)
    assert set(drawn) == {one.name for one in many}
    assert [name for name, one in drawn.items() if one.png is None] == ["wrong"]
