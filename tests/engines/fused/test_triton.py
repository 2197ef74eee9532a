"""Fused Triton programs: in Triton's interpreter, and compiled for devices that are not here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from triton_cases import GROUPS

pytest.importorskip("triton")

CASES = Path(__file__).with_name("triton_cases.py")


@pytest.mark.parametrize("group", GROUPS)
def test_in_the_interpreter_a_program_equals_the_eager_engine(group):
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    ran = subprocess.run(
        [sys.executable, str(CASES), group], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(told) == sum(1 for _ in GROUPS[group]())
    for one in told:
        assert one["moved"] > 1e-3, one
        assert one["apart"] < 1e-4, one
        assert one["loss"] < 1e-4, one
        assert one["correct"] <= 1, one
        assert one["is_same_alone"], one
