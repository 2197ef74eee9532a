"""What a fused program is on a GPU that is not here: registers, shared memory, multiplications.

    python -m bench.device_code        # writes bench/results/DEVICE_CODE.md

Triton compiles for any device on any machine, and ptxas tells what a program takes. A device is
needed to know how long it takes.
"""

import argparse
import inspect
import re
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

from functional_clf.contestants.mlp import mlp_recipe, model_0, model_1
from functional_clf.contestants.recipe import Recipe
from functional_clf.core.tasks import Binary, MultiClass, Task
from functional_clf.engines.fused.form import Sizes
from functional_clf.engines.fused.print_triton import TooLargeError
from functional_clf.engines.fused.trace import UnfusableError
from functional_clf.engines.fused.triton_programs import Kernel, kernels, options

RESULTS = Path(__file__).parent / "results" / "DEVICE_CODE.md"
CAPABILITIES = (80, 90, 100)
"""Of an A100, an H100 or H200, and a B200."""
THREADS = 32
"""In a warp."""


class DeviceCode(NamedTuple):
    """What the compiler says of a program.

    Args:
        registers: of a thread.
        spills: bytes of a thread that found no register.
        shared: bytes of shared memory.
        fmas: multiplications with an addition that a thread does for a block of samples.
    """

    registers: int
    spills: int
    shared: int
    fmas: int


def compiled_for(kernel: Kernel, types: Sequence[torch.dtype], capability: int) -> DeviceCode:
    """Compile a program for a device that need not be here.

    Args:
        kernel: the program.
        types: of the tensors that it is given.
        capability: of the device, as in 90 for 9.0.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = {torch.float32: "*fp32", torch.int64: "*i64", torch.int32: "*i32"}
    arguments = [*(names[one] for one in types), "i32"]
    signature = dict(zip(kernel.function.arg_names, arguments, strict=True))
    aligned = {(place,): [["tt.divisibility", 16]] for place in range(len(types))}
    made = triton.compile(
        ASTSource(kernel.function, signature, {}, aligned),
        target=GPUTarget("cuda", capability, THREADS),
        options=options(kernel.layout),
    )
    ptx = made.asm["ptx"]
    architecture = re.findall(r"\.target (sm_\w+)", ptx)[0]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "program.ptx"
        source.write_text(ptx)
        ran = subprocess.run(
            [
                _ptxas(capability),
                "-v",
                f"--gpu-name={architecture}",
                source,
                "-o",
                "/dev/null",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    (registers,) = re.findall(r"Used (\d+) registers", ran.stderr)
    spills = re.findall(r"(\d+) bytes spill", ran.stderr)
    return DeviceCode(int(registers), sum(map(int, spills)), made.metadata.shared, step_fmas(ptx))


def _ptxas(capability: int) -> str:
    """The assembler that comes with Triton; from 3.5 on there is one more for newer devices."""
    from triton.backends.nvidia import compiler

    takes_capability = inspect.signature(compiler.get_ptxas).parameters
    return compiler.get_ptxas(*([capability] if takes_capability else [])).path


def step_fmas(ptx: str) -> int:
    """The multiplications with an addition in the loop over blocks of a training step.

    Of all innermost loops it is the one with the most of them; all others only evaluate.
    """
    lines = ptx.splitlines()
    labels: dict[str, int] = {}
    loops: list[tuple[int, int]] = []
    for k, line in enumerate(lines):
        if found := re.match(r"(\$L__BB\w+):", line):
            labels[found[1]] = k
        elif (found := re.search(r"\bbra\b.*?(\$L__BB\w+);", line)) and found[1] in labels:
            loops.append((labels[found[1]], k))
    innermost = [
        (start, end)
        for start, end in loops
        if not any((s, e) != (start, end) and start <= s and e <= end for s, e in loops)
    ]
    counts = [sum("fma.rn" in line for line in lines[s:e]) for s, e in innermost]
    return max(counts, default=0)


def types_of(recipe: Recipe) -> list[torch.dtype]:
    """Of the tensors that a program of a recipe is given."""
    from torch.utils import _pytree as pytree

    state = pytree.tree_leaves(recipe.initial_state(0))
    leaves = [leaf.dtype for leaf in state if isinstance(leaf, torch.Tensor)]
    told = [torch.float32, torch.int64] * 2
    order = [torch.int32] if recipe.batch_size is not None else []
    return [*leaves, *[torch.float32] * 4, *told, *order]


def ideal_fmas(layer_sizes: Sequence[int]) -> int:
    """Of a sample in a training step: forward, and backward but for the samples' own gradient."""
    products = [a * b for a, b in pairwise(layer_sizes)]
    return 3 * sum(products) - products[0]


class Work(NamedTuple):
    """A training whose program is looked at."""

    name: str
    recipe: Recipe
    task: Task
    layer_sizes: tuple[int, ...]
    train: int
    test: int


def works() -> list[Work]:
    """The standard job's two, and larger ones."""

    def one(
        sizes: tuple[int, ...], task: Task, samples: int, batch_size: int | None = None
    ) -> Work:
        recipe = mlp_recipe("net", sizes, "relu", epochs=10, batch_size=batch_size)
        batched = f", batches of {batch_size}" if batch_size else ""
        return Work(f"{' x '.join(map(str, sizes))}{batched}", recipe, task, sizes, samples, 200)

    return [
        *(
            Work(one.name, one, Binary(), tuple(one.settings["layer_sizes"]), 800, 200)
            for one in (model_0(), model_1())
        ),
        one((30, 32, 1), Binary(), 455),
        one((13, 16, 3), MultiClass(3), 142),
        one((20, 32, 32, 1), Binary(), 800),
        one((20, 64, 1), Binary(), 800),
        one((2, 64, 64, 1), Binary(), 800),
        one((64, 64, 10), MultiClass(10), 1437),
        one((64, 128, 10), MultiClass(10), 1437),
        one((2, 128, 128, 1), Binary(), 800),
        one((30, 32, 1), Binary(), 455, batch_size=32),
    ]


def table() -> str:
    """A table in Markdown of all works on all devices."""
    lines = [
        "| network | device | registers | spilled bytes | shared bytes | warps | "
        "FMAs a sample | ideal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for work in works():
        for capability in CAPABILITIES:
            try:
                kernel, code = program_of(work, capability)
            except UnfusableError as error:
                lines.append(f"| {work.name} | sm_{capability} | refused: {error} | | | | | |")
                continue
            a_sample = code.fmas * kernel.layout.warps * THREADS / kernel.layout.block
            lines.append(
                f"| {work.name} | sm_{capability} | {code.registers} | {code.spills} | "
                f"{code.shared} | {kernel.layout.warps} | {a_sample:.0f} | "
                f"{ideal_fmas(work.layer_sizes)} |"
            )
    return "\n".join(lines)


def program_of(work: Work, capability: int) -> tuple[Kernel, DeviceCode]:
    """The program that the engine would take: in the first layout in which it has room."""
    sizes = Sizes(work.train, work.test, torch.float32, 16, work.recipe.batch_size)
    reason = ""
    for make in kernels(work.recipe, work.task, sizes, work.layer_sizes[0], "ieee"):
        try:
            kernel = make()
        except TooLargeError as error:
            reason = str(error)
            continue
        code = compiled_for(kernel, types_of(work.recipe), capability)
        if not code.spills:
            return kernel, code
        reason = f"{code.spills} bytes of a thread are spilled"
    raise TooLargeError(reason)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    import triton

    RESULTS.write_text(
        "# Fused programs on a GPU, as compiled\n\n"
        f"Triton {triton.__version__}, torch {torch.__version__}; no GPU was needed, and nothing "
        "was timed. FMAs are counted in the loop over blocks of a training step, for a block of "
        "samples; ideal are those of the matmuls alone.\n\n" + table() + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
