"""Time per seed and peak memory of `Study.run`, in a fresh process for each number of seeds."""

import json
import subprocess
import sys


def cases(settings):
    return [(n, seeds) for n in range(settings.scaling_rounds) for seeds in settings.scaling_seeds]


def test_scaling(case, benchmark, settings):
    n, seeds = case
    command = [sys.executable, "-m", "bench.scaling", str(seeds), str(settings.scaling_epochs)]
    command.append(settings.device)

    def measure():
        return json.loads(
            subprocess.run(command, capture_output=True, check=True, text=True).stdout
        )

    measured = benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info |= {"section": "scaling", "round": n, "seeds": seeds, **measured}
