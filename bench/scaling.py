"""One point of the scaling measurement, in a process of its own: `python -m bench.scaling 64 200`.

Prints JSON: the seconds of a warm `Study.run` at its default settings, and its peak memory.
"""

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from functional_clf.contestants.mlp import model_1
from functional_clf.study.study import Study


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes.

    Of Linux's two figures, the one that starts anew with the program: `ru_maxrss` begins at what
    the parent held.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return 1024 * int(found[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(seeds: int, epochs: int, device: str) -> dict[str, float]:
    """Train `seeds` seeds of model_1 into a run folder, once warm."""
    recipes = (model_1(epochs=epochs),)
    study = Study(contestants=recipes, seeds=range(seeds), device=device)
    replace(study, seeds=range(1)).run()  # compiles
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        study.run(folder)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "epochs": epochs, "peak_memory": peak_memory()}


def main() -> None:
    """Measure what the arguments say, and print it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("seeds", type=int)
    parser.add_argument("epochs", type=int)
    parser.add_argument("device", nargs="?", default="cpu")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.seeds, arguments.epochs, arguments.device)))


if __name__ == "__main__":
    main()
