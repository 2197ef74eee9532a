"""A study in a real notebook's kernel: its bar, its interruption, and how it goes on."""

import re
import time
from pathlib import Path

import pytest

from functional_clf.engines import machine

ROOT = Path(__file__).parents[2]
LONGEST_SECONDS = 120

BEGIN = """
import pathlib, threading, time
import psutil
import functional_clf as fc
from sklearn.ensemble import HistGradientBoostingClassifier
from functional_clf.record.store import Store

def study_of(kind, seeds):
    if kind == "estimators":
        boosting = fc.estimator("boosting", HistGradientBoostingClassifier(max_iter=20))
        return fc.Study(fc.iris(), [boosting], seeds, threads=2)
    epochs = 4000 if kind == "fused" else 200
    return fc.Study(fc.circles(100), [fc.model_0(epochs=epochs)], seeds, engine=kind, threads=2)

def left():
    threads = [one.name for one in threading.enumerate() if "ThreadPool" in one.name]
    children = [" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)]
    return threads + [one for one in children if "resource_tracker" not in one]  # it tidies up
"""
LEFT = """
until = time.monotonic() + 60
while left() and time.monotonic() < until:
    time.sleep(0.05)
print(left())
"""
AGAIN = """
with Store(pathlib.Path(kind)) as store:
    kept = 100_000 - len(store.missing_seeds(range(100_000)))
told = []
results = study_of(kind, kept + 16).run(kind, told.append)
print(kept >= 16, told[-1].seeds_total, len(results.seeds) - kept)
"""


class Kernel:
    """A kernel, and what its cells show."""

    def __init__(self, folder):
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(cwd=str(folder), kernel_name="python3")

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code, interrupt_at=None):
        """Run a cell, and interrupt it once it has shown something; its outputs, in order."""
        asked, shown = self.client.execute(code), []
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            message = self.client.get_iopub_msg(timeout=LONGEST_SECONDS)
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            if content.get("execution_state") == "idle":
                return shown
            if message["msg_type"] in ("status", "execute_input"):
                continue
            shown.append(content | {"type": message["msg_type"]})
            if interrupt_at and re.search(interrupt_at, text_of(content)):
                self.manager.interrupt_kernel()
                interrupt_at = None
        raise TimeoutError(f"the cell has not ended: {code}")


def text_of(content):
    return content.get("text") or content.get("data", {}).get("text/plain", "")


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.end()


@pytest.mark.slow
def test_a_study_interrupted_in_a_notebook_leaves_nothing_and_goes_on(kernel):
    assert kernel.run(BEGIN) == []
    kinds = ["eager", "estimators"]
    if machine.c_compiler() is not None:
        kinds.append("fused")
    for kind in kinds:
        kernel.run(f"kind = {kind!r}")
        # Once a chunk is kept.
        shown = kernel.run("study_of(kind, 100_000).run(kind)", r"training: [1-9]\d* of 100000")
        *bars, error = shown
        assert [one["type"] for one in bars[:2]] == ["display_data", "update_display_data"]
        assert "<progress " in bars[0]["data"]["text/html"]
        assert len({one["transient"]["display_id"] for one in bars}) == 1
        assert re.fullmatch(r"training: \d+ of 100000 seeds done, stopped.*", text_of(bars[-1]))
        assert (error["type"], error["ename"]) == ("error", "KeyboardInterrupt")
        assert len(error["traceback"]) <= 5  # the cell, `Study.run`, and nothing below
        (after,) = kernel.run(LEFT)
        assert after["text"] == "[]\n"
        (again,) = kernel.run(AGAIN)
        assert again["text"] == "True 16 16\n"
