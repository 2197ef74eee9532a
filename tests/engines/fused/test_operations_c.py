"""Every elementwise operation in C beside torch's own."""

import ctypes
import importlib.resources
import itertools
import math

import numpy as np
import pytest
import torch

from functional_clf.engines.fused import elementwise, operations_c
from functional_clf.engines.fused.elementwise import apply
from functional_clf.engines.fused.form import Number
from functional_clf.engines.fused.library import load, vector_bytes
from functional_clf.engines.fused.operations_c import c_type, literal, operation

VALUES = torch.tensor(
    [
        *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, 1e-3, -1e-3, 0.7071, -1.7, math.pi),
        *(6.5, -6.5, 20.0, -20.0, 40.0, -40.0, 700.0, -700.0, 750.0, -750.0),
        *(1e-8, -1e-8, 1e-20, -1e-20, 1e-300, -1e-300, 1e20, -1e20, 1e300, -1e300),
        *(math.inf, -math.inf, math.nan),
    ],
    dtype=torch.float64,
)
UNITS = VALUES[(VALUES >= 0) & (VALUES <= 1)]
SMALL = VALUES[(VALUES.abs() < 1e10) | ~VALUES.isfinite()]  # sines of huge angles differ
BOOLS = (VALUES > 0.1).to(torch.float64)

# An operation, its arguments ("a" and "b" are tensors, others are as they stand), what it is told
# by name.
CASES = [
    ("add.Tensor", ("a", "b"), {}),
    ("add.Tensor", ("a", "b"), {"alpha": 2}),
    ("add.Tensor", ("a", "b"), {"alpha": -0.5}),
    ("add.Scalar", ("a", 3), {}),
    ("add.Scalar", ("a", -3), {}),
    ("sub.Tensor", ("a", "b"), {}),
    ("sub.Tensor", ("a", "b"), {"alpha": 2}),
    ("sub.Tensor", ("a", "b"), {"alpha": -1}),
    ("sub.Scalar", ("a", -0.25), {}),
    ("rsub.Scalar", ("a", 1), {}),
    ("rsub.Scalar", ("a", 1.5, 2), {}),
    ("rsub.Tensor", ("a", "b"), {"alpha": -2.5}),
    ("mul.Tensor", ("a", "b"), {}),
    ("mul.Scalar", ("a", -2), {}),
    ("mul.Scalar", ("a", math.inf), {}),
    ("mul.Scalar", ("a", -math.inf), {}),
    ("mul.Scalar", ("a", math.nan), {}),
    ("mul.Scalar", ("a", 1e-310), {}),
    ("div.Tensor", ("a", "b"), {}),
    ("div.Scalar", ("a", 3), {}),
    ("neg.default", ("a",), {}),
    ("reciprocal.default", ("a",), {}),
    ("square.default", ("a",), {}),
    ("pow.Tensor_Scalar", ("a", 2), {}),
    ("pow.Tensor_Scalar", ("a", 3), {}),
    ("pow.Tensor_Scalar", ("a", 3.0), {}),
    ("pow.Tensor_Scalar", ("a", 4), {}),
    ("pow.Tensor_Scalar", ("a", 0), {}),
    ("pow.Tensor_Scalar", ("a", 1.0), {}),
    ("pow.Tensor_Scalar", ("a", 0.5), {}),
    ("pow.Tensor_Scalar", ("a", -0.5), {}),
    ("pow.Tensor_Scalar", ("a", -1), {}),
    ("pow.Tensor_Scalar", ("a", -2), {}),
    ("pow.Tensor_Scalar", ("a", -2.0), {}),
    ("pow.Tensor_Scalar", ("a", 1.5), {}),
    ("pow.Scalar", (2, "a"), {}),
    ("pow.Tensor_Tensor", ("a", "b"), {}),
    ("sqrt.default", ("a",), {}),
    ("rsqrt.default", ("a",), {}),
    ("abs.default", ("a",), {}),
    ("sign.default", ("finite",), {}),
    ("sgn.default", ("finite",), {}),
    ("floor.default", ("a",), {}),
    ("softplus.default", ("a",), {}),
    ("softplus.default", ("a", 2.0, 10), {}),
    ("softplus_backward.default", ("finite", "small", 2.0, 10), {}),
    ("exp.default", ("a",), {}),
    ("expm1.default", ("a",), {}),
    ("log.default", ("a",), {}),
    ("log1p.default", ("a",), {}),
    ("sin.default", ("small",), {}),
    ("cos.default", ("small",), {}),
    ("tanh.default", ("a",), {}),
    ("erf.default", ("a",), {}),
    ("sigmoid.default", ("a",), {}),
    ("relu.default", ("a",), {}),
    ("silu.default", ("a",), {}),
    ("gelu.default", ("a",), {}),
    ("gelu.default", ("a",), {"approximate": "tanh"}),
    ("threshold_backward.default", ("a", "b", 0), {}),
    ("threshold_backward.default", ("a", "b", 0.5), {}),
    ("tanh_backward.default", ("a", "unit"), {}),
    ("sigmoid_backward.default", ("a", "unit"), {}),
    ("silu_backward.default", ("finite", "small"), {}),
    ("gelu_backward.default", ("finite", "small"), {}),
    ("gelu_backward.default", ("finite", "small"), {"approximate": "tanh"}),
    ("log_sigmoid_forward[0].default", ("a",), {}),
    ("log_sigmoid_forward[1].default", ("a",), {}),
    ("log_sigmoid_backward.default", ("finite", "small", "buffer"), {}),
    ("leaky_relu.default", ("a",), {}),
    ("leaky_relu.default", ("a", 0.2), {}),
    ("leaky_relu_backward.default", ("a", "b", 0.2, False), {}),
    ("elu.default", ("a",), {}),
    ("elu.default", ("a", 0.7), {}),
    ("elu.default", ("a", 1.6732632423543772, 1.0507009873554805), {}),
    ("elu.default", ("a", 0.5, 2, 1.5), {}),
    ("elu_backward.default", ("a", 1, 1, 1, False, "finite"), {}),
    ("elu_backward.default", ("a", 0.7, 2, 1.5, False, "finite"), {}),
    ("elu_backward.default", ("finite", 0.7, 2, 1.5, True, "unit"), {}),
    ("clamp.default", ("a", -0.5, 2), {}),
    ("clamp.default", ("a", None, 0.5), {}),
    ("clamp.default", ("a", 1), {}),
    ("clamp.default", ("a", 1, -1), {}),
    ("clamp.Tensor", ("a", "b"), {}),
    ("clamp_min.default", ("a", 0.1), {}),
    ("clamp_min.Tensor", ("a", "b"), {}),
    ("clamp_max.default", ("a", 0.1), {}),
    ("clamp_max.Tensor", ("a", "b"), {}),
    ("maximum.default", ("a", "b"), {}),
    ("minimum.default", ("a", "b"), {}),
    ("where.self", ("bool", "a", "b"), {}),
    ("where.ScalarOther", ("bool", "a", -1.5), {}),
    ("where.ScalarSelf", ("bool", 2, "a"), {}),
    ("masked_fill.Scalar", ("a", "bool", -1.5), {}),
    ("logical_and.default", ("bool", "bool2"), {}),
    ("logical_and.default", ("a", "b"), {}),
    ("logical_or.default", ("bool", "bool2"), {}),
    ("logical_or.default", ("a", "b"), {}),
    ("logical_not.default", ("bool",), {}),
    ("logical_not.default", ("a",), {}),
    *((f"{name}.Tensor", ("a", "b"), {}) for name in ("gt", "ge", "lt", "le", "eq", "ne")),
    *((f"{name}.Scalar", ("a", -0.5), {}) for name in ("gt", "ge", "lt", "le", "eq", "ne")),
    *((f"{name}.default", ("small",), {}) for name in ("tan", "sinh", "cosh", "floor", "ceil")),
    *((f"{name}.default", ("a",), {}) for name in ("asin", "acos", "atan", "asinh", "acosh")),
    *((f"{name}.default", ("a",), {}) for name in ("atanh", "erfc", "log2", "log10", "exp2")),
    *((f"{name}.default", ("a", "b"), {}) for name in ("hypot", "atan2")),
    *((f"{name}.default", ("a",), {}) for name in ("trunc", "round")),
    ("add.Tensor", ("bool", "bool2"), {}),
    ("clone.default", ("a",), {"memory_format": torch.preserve_format}),
    ("_to_copy.default", ("bool",), {"dtype": torch.float64}),
    ("_to_copy.default", ("bool",), {"dtype": torch.int64}),
    ("_to_copy.default", ("a",), {"dtype": torch.bool}),
]
SETS = {
    "a": VALUES,
    "b": VALUES,
    "unit": UNITS,
    "small": SMALL,
    "finite": VALUES[VALUES.isfinite() & (VALUES.abs() < 1e10)],
    "bool": BOOLS,
    "bool2": BOOLS,
}


def arguments(args):
    """Tensors for the names among the arguments: all combinations of their values."""
    names = [arg for arg in args if isinstance(arg, str) and arg != "buffer"]
    rows = list(itertools.product(*(SETS[name].tolist() for name in names)))
    columns = dict(zip(names, torch.tensor(rows, dtype=torch.float64).unbind(1), strict=True))
    if "buffer" in args:  # what the forward operation hands to the backward one
        columns["buffer"] = torch.exp(-columns["small"].abs())
    return {
        name: column.bool() if name.startswith("bool") else column.contiguous()
        for name, column in columns.items()
    }


def by_torch(case):
    op, args, kwargs = case
    name, _, overload = op.partition(".")
    name, _, which = name.rstrip("]").partition("[")
    tensors = arguments(args)
    function = getattr(getattr(torch.ops.aten, name), overload)
    result = function(*(tensors[arg] if isinstance(arg, str) else arg for arg in args), **kwargs)
    return result[int(which)] if which else result


def source_of(cases, real_bytes, width):
    """One C function a case, with a loop as the engine writes them."""
    kernels = importlib.resources.files("functional_clf.engines.fused").joinpath("kernels.h")
    parts = [
        f"#define REAL_IS_DOUBLE {int(real_bytes == 8)}",
        f"#define VECTOR_BYTES {width}",
        kernels.read_text(encoding="utf-8"),
    ]
    for k, case in enumerate(cases):
        try:
            text = in_c(case)
        except Exception:  # its own test tells
            text = "NAN"
        parts.append(
            f"void case{k}(const int n, const real *x, const real *y, const real *z, real *out)\n"
            '{\n    _Pragma("omp simd")\n'
            f"    for (int s = 0; s < n; s++) out[s] = {text};\n}}"
        )
    return "\n".join(parts)


def in_c(case):
    op, args, kwargs = case
    arrays = iter("xyz")
    texts = []
    for arg in args:
        if isinstance(arg, str):
            kind = c_type(torch.bool if arg.startswith("bool") else torch.float64)
            texts.append(f"(({kind}){next(arrays)}[s])")
        else:
            texts.append(None if arg is None else literal(arg))
    result = by_torch(case).dtype
    name = op.partition(".")[0]
    known = apply(name, [Number(0) for _ in texts], kwargs, result)
    return operation(name, texts, known.settings, result)


def call(library, k, *arrays):
    """What a function of the library makes of arrays of its precision."""
    out = np.full_like(arrays[0], 77)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*arrays, out)]
    unused = [None] * (4 - len(pointers))
    getattr(library, f"case{k}")(len(out), *pointers[:-1], *unused, pointers[-1])
    return out


@pytest.fixture(scope="module")
def table():
    return load(source_of(CASES, real_bytes=8, width=16), entry="case0")


@pytest.mark.parametrize("k", range(len(CASES)), ids=lambda k: f"{CASES[k][0]} {CASES[k][1:]}")
def test_an_operation_equals_torchs(k, table):
    op, args, _ = CASES[k]
    text = in_c(CASES[k])
    expected = by_torch(CASES[k]).to(torch.float64)
    arrays = [tensor.to(torch.float64).numpy() for tensor in arguments(args).values()]
    found = torch.from_numpy(call(table, k, *arrays))
    close = torch.isclose(found, expected, rtol=1e-14, atol=1e-300, equal_nan=True)
    if op.startswith("gelu"):  # what is left of a difference of near numbers
        grad = torch.from_numpy(arrays[0]) if "backward" in op else torch.ones(())
        room = torch.full((), 1e-15, dtype=torch.float64)
        if "backward" in op and CASES[k][2]:
            # Near 1 a tanh has one of two neighbours, by the machine's library; its slope, which
            # is a difference from 1, is multiplied by this much.
            x = torch.from_numpy(arrays[1])
            room = torch.maximum(room, 2.0**-53 * (1 + 0.8 * x.abs() * (1 + 0.1342 * x**2)))
        close |= (found - expected).abs() <= room * grad.abs()
    wrong = [
        (*(array[at] for array in arrays), found[at].item(), expected[at].item())
        for at in (~close).nonzero()[:, 0].tolist()
    ]
    assert not wrong, f"{text}: arguments, found, expected: {wrong[:8]}"


def test_every_operation_of_the_table_is_compared():
    compared = {op.partition(".")[0] for op, _, _ in CASES}
    # No operation of torch's; and those whose bits test_minibatches.py compares, by what is drawn.
    elsewhere = {"ratio"} | elementwise.OF_KEYS
    assert compared == elementwise.OPERATIONS - elsewhere


def test_c_knows_every_operation_that_lowering_makes():
    assert {*operations_c.OPERATIONS, "_to_copy"} == elementwise.OPERATIONS


@pytest.mark.parametrize("value", [0, 1, -1, 0.1, -0.1, 1e-310, 1e300, 2**40, True, -0.0])
def test_a_number_survives_in_c(value):
    text = literal(value)
    back = eval(text, {"R": float})
    assert back == value
    assert math.copysign(1, back) == math.copysign(1, value) or isinstance(value, int)


def test_a_literal_can_stand_behind_a_minus():
    assert "--" not in operation("neg", [literal(-1)], {}, torch.float64)


EXP_LOG = [
    ("exp.default", ("a",), {}),
    ("log.default", ("a",), {}),
    ("log_sigmoid_forward[0].default", ("a",), {}),
]


@pytest.fixture(scope="module", params=sorted({16, vector_bytes()}))
def exp_log(request):
    return load(source_of(EXP_LOG, real_bytes=4, width=request.param), entry="case0")


def ulps(found, exact):
    return np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(exact.astype(np.float32)))


def test_exp_in_float32_errs_by_few_units_in_the_last_place(exp_log):
    x = np.linspace(-87.3, 88.7, 1_000_003, dtype=np.float32)
    error = ulps(call(exp_log, 0, x), np.exp(x.astype(np.float64)))
    assert error.max() < 4, x[error.argmax()]
    tiny = np.geomspace(1e-38, 1, 100_003, dtype=np.float32)
    for near_zero in (tiny, -tiny):
        assert ulps(call(exp_log, 0, near_zero), np.exp(near_zero.astype(np.float64))).max() < 4


def test_log_in_float32_errs_by_few_units_in_the_last_place(exp_log):
    for x in (
        np.geomspace(1.2e-38, 3.4e38, 1_000_003, dtype=np.float32),
        np.linspace(0.5, 2, 1_000_003, dtype=np.float32),
        np.nextafter(np.float32(1), np.float32([0, 2])).astype(np.float32),
    ):
        error = ulps(call(exp_log, 1, x), np.log(x.astype(np.float64)))
        assert error.max() < 4, x[error.argmax()]


def test_log_sigmoid_in_float32_errs_by_few_units_in_the_last_place(exp_log):
    tiny = np.geomspace(1e-38, 1, 100_003, dtype=np.float32)
    for x in (np.linspace(-86, 86, 1_000_003, dtype=np.float32), tiny, -tiny):
        exact = x.astype(np.float64)
        exact = np.minimum(exact, 0) - np.log1p(np.exp(-np.abs(exact)))
        error = ulps(call(exp_log, 2, x), exact)
        assert error.max() < 4, x[error.argmax()]
    ends = call(exp_log, 2, np.float32([np.inf, 1e30, 100, -100, -1e30, -np.inf, np.nan]))
    expected = np.float32([0, 0, 0, -100, -1e30, -np.inf, np.nan])
    np.testing.assert_allclose(ends, expected, rtol=0, atol=1e-37)


@pytest.mark.parametrize("repeat", [1, 37])  # alone, and in vectors
def test_exp_and_log_in_float32_are_right_at_the_ends(exp_log, repeat):
    x = np.float32([89, 100, 1e30, np.inf, -104, -1e3, -1e30, -np.inf, np.nan, 0, -0.0])
    exp = np.float32([np.inf, np.inf, np.inf, np.inf, 0, 0, 0, 0, np.nan, 1, 1])
    np.testing.assert_array_equal(call(exp_log, 0, np.tile(x, repeat)), np.tile(exp, repeat))
    x = np.float32([0, -0.0, -1, -1e-30, -np.inf, np.inf, np.nan, 1])
    log = np.float32([-np.inf, -np.inf, np.nan, np.nan, np.nan, np.inf, np.nan, 0])
    np.testing.assert_array_equal(call(exp_log, 1, np.tile(x, repeat)), np.tile(log, repeat))


def test_exp_and_log_in_float32_know_numbers_below_the_normal_range(exp_log):
    x = np.linspace(-103, -87.4, 10_007, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    error = np.abs(call(exp_log, 0, x) - exact) / 2.0**-149
    assert error.max() < 4, x[error.argmax()]
    x = np.geomspace(1e-44, 1.1e-38, 10_007, dtype=np.float32)
    error = ulps(call(exp_log, 1, x), np.log(x.astype(np.float64)))
    assert error.max() < 4, x[error.argmax()]
