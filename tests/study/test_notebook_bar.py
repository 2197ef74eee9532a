import sys
import types

import pytest

from functional_clf import Study, circles, model_0, model_1
from functional_clf.study import notebook_bar
from functional_clf.study.notebook_bar import Bar, is_notebook, shown_in_notebook
from functional_clf.study.progress import Progress


class Shown:
    """Stands for IPython's display and its handle: keeps what was shown, in order."""

    def __init__(self):
        self.texts, self.kinds = [], []

    def __call__(self, bundle, raw, display_id):
        assert raw
        assert display_id
        self.update(bundle, raw)
        return self

    def update(self, bundle, raw):
        assert raw
        self.kinds.append(set(bundle))
        self.texts.append(bundle["text/plain"])
        if "text/html" in bundle:
            assert bundle["text/html"].startswith("<progress ")
            assert bundle["text/plain"] in bundle["text/html"]
            assert "color" not in bundle["text/html"]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def told():
    shown, clock = Shown(), Clock()
    bar = Bar(shown, clock)

    def at(seconds, seeds=0, stage="training", share=0.25):
        clock.now = 100.0 + seconds
        bar.show(Progress(stage, seeds, 64, share))

    return shown, bar, at


def shell_of(name, base=object):
    return type(name, (base,), {})()


def ipython(shell):
    """A module as IPython is, in a process of such a shell."""
    module = types.ModuleType("IPython")
    module.get_ipython = lambda: shell
    return module


def test_a_study_that_ends_at_once_shows_nothing(told):
    shown, bar, at = told
    at(0.1)
    at(0.4, seeds=64, share=1.0)
    bar.end("done")
    assert shown.texts == []


def test_the_bar_is_updated_in_place_five_times_a_second_at_most(told):
    shown, bar, at = told
    for tick in range(31):
        at(0.1 * tick, seeds=tick)
    assert 10 <= len(shown.texts) <= 13
    assert shown.texts[0].startswith("training: 5 of 64 seeds done")
    bar.end("done")
    assert shown.texts[-1] == "done after 3 s"
    assert shown.kinds[-1] == {"text/plain"}
    assert shown.kinds[0] == {"text/plain", "text/html"}


def test_what_was_interrupted_leaves_how_far_it_was(told):
    shown, bar, at = told
    at(1.0)
    at(1.1, seeds=16)  # too soon to be shown
    bar.end("stopped")
    assert shown.texts[-1] == "training: 16 of 64 seeds done, stopped after 1 s"


def test_nobody_knows_how_far_a_compiler_is(told):
    shown, _, at = told
    shown.html = []
    update = shown.update
    shown.update = lambda bundle, raw: (shown.html.append(bundle["text/html"]), update(bundle, raw))
    at(1.0, stage="compiling", share=0.0)
    at(2.0, share=0.25)
    assert " value=" not in shown.html[0]
    assert ' value="0.2500"' in shown.html[1]


def test_only_the_shell_of_a_kernel_is_a_notebook(monkeypatch):
    kernel = type("ZMQInteractiveShell", (), {})
    for shell, expected in [
        (None, False),
        (shell_of("TerminalInteractiveShell"), False),
        (kernel(), True),
        (shell_of("Shell", kernel), True),
    ]:
        monkeypatch.setitem(sys.modules, "IPython", ipython(shell))
        assert is_notebook() is expected
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))  # half imported
    assert not is_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not is_notebook()
    assert "IPython" not in sys.modules


@pytest.fixture
def notebook(monkeypatch):
    """This process as a notebook's, with what it shows; bars appear at once."""
    shown = Shown()
    display = types.ModuleType("IPython.display")
    display.display = shown
    monkeypatch.setitem(sys.modules, "IPython", ipython(shell_of("ZMQInteractiveShell")))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(notebook_bar, "PATIENCE_SECONDS", 0.0)
    return shown


def study():
    models = model_0(epochs=3), model_1(epochs=3)
    return Study(circles(60), models, seeds=4, engine="eager", threads=1)


def test_a_study_shows_a_bar_in_a_notebook_by_itself(notebook):
    study().run()
    assert notebook.texts[0].endswith("of 4 seeds done")
    assert notebook.texts[-1].startswith("done after ")


@pytest.mark.parametrize("options", [{"progress": False}, {"on_progress": lambda progress: None}])
def test_nothing_is_shown_where_nobody_wants_it(options, notebook):
    study().run(**options)
    assert notebook.texts == []


def test_a_study_that_goes_on_until_it_is_decided_shows_one_too(notebook):
    study().run_until_decided(max_seeds=2)
    assert notebook.texts[-1].startswith("done after ")
    notebook.texts.clear()
    study().run_until_decided(max_seeds=2, progress=False)
    assert notebook.texts == []


def test_an_ensemble_is_silent(notebook):
    from functional_clf import SeedEnsembleClassifier

    x, y = [[0.0], [1.0], [0.1], [0.9]] * 3, [0, 1, 0, 1] * 3
    SeedEnsembleClassifier(n_seeds=2, epochs=2, engine="eager", random_state=0).fit(x, y)
    assert notebook.texts == []


def test_what_fails_is_said_to_have_stopped(notebook):
    def interrupted():
        with shown_in_notebook() as show:
            show(Progress("training", 2, 64, 0.1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert notebook.texts[-1] == "training: 2 of 64 seeds done, stopped after 0 s"


def test_a_progress_of_the_wrong_type_is_refused():
    with pytest.raises(TypeError, match=r"progress is .*; it must be True or False"):
        study().run(progress=print)
