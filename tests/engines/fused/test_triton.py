"""Fused Triton programs: in Triton's interpreter, and compiled for devices that are not here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from triton_cases import GROUPS, ODD, data_of, differences, stateful

from bench import device_code
from functional_clf.contestants.recipe import init_chunk
from functional_clf.engines.fused.engine import FUSED
from functional_clf.engines.fused.print_triton import TooLargeError

triton = pytest.importorskip("triton")

VERSION = tuple(int(part) for part in triton.__version__.split(".")[:2])
CASES = Path(__file__).with_name("triton_cases.py")


DEAR = ("methods", "functions", "classes", "batches", "sizes")


@pytest.mark.skipif(VERSION < (3, 9), reason="its interpreter does not know NumPy 2.4")
@pytest.mark.parametrize(
    "group",
    [pytest.param(group, marks=[pytest.mark.slow] * (group in DEAR)) for group in GROUPS],
)
def test_in_the_interpreter_a_program_equals_the_eager_engine(group):
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    ran = subprocess.run(
        [sys.executable, str(CASES), group], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(told) == sum(1 for _ in GROUPS[group]())
    for one in told:
        if "refused" in one:
            assert group == "odd", one
            continue
        assert one["buffers"] == [], one
        assert one["moved"] > 1e-3, one
        assert one["apart"] < 1e-4, one
        assert one["loss"] < 1e-4, one
        assert one["correct"] <= 1, one
        assert one["is_same_alone"], one


@pytest.mark.parametrize("samples", [5, 70])
@pytest.mark.parametrize("name", ODD)
def test_in_c_too_what_is_not_refused_is_what_torch_makes(name, samples):
    recipe, data = stateful(*ODD[name]), data_of(1, samples, 3)
    start = init_chunk(recipe, range(1), torch.device("cpu"))
    if FUSED.why_not([recipe], data) is None:
        ours, _ = FUSED.train(recipe, start, data, 1)
        assert differences(ours.buffers, recipe, start, data) == []


STANDARD_JOB = [work for work in device_code.works() if work.name in ("model_0", "model_1")]


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("capability", device_code.CAPABILITIES)
@pytest.mark.parametrize("work", STANDARD_JOB, ids=lambda work: work.name)
def test_the_standard_job_fits_into_a_gpus_registers(work, capability):
    kernel, code = device_code.program_of(work, capability)
    assert code.spills == 0
    assert code.registers <= 255
    threads = kernel.layout.warps * device_code.THREADS
    a_sample = code.fmas * threads / kernel.layout.block
    # Some products are of two numbers that are not added to a sum; five neurons are held as eight.
    assert 0.5 < a_sample / device_code.ideal_fmas(work.layer_sizes) < 2


def test_what_has_no_room_is_refused_and_told_why():
    too_large = next(work for work in device_code.works() if work.name == "2 x 128 x 128 x 1")
    with pytest.raises(TooLargeError, match="its matmuls are 3072 products a thread"):
        device_code.program_of(too_large, 90)


def test_the_kept_table_is_of_these_programs():
    """All but what a version of Triton may change."""
    kept = device_code.RESULTS.read_text(encoding="utf-8")
    for work in STANDARD_JOB:
        for capability in device_code.CAPABILITIES:
            assert f"| {work.name} | sm_{capability} |" in kept
