"""What Triton has not: elementary functions as torch has them, and random bits.

Functions of the device, which a fused program's kernel calls. Where an argument is NaN, so is the
result, but for a sign. None of them calls a library of the device's own, so Triton's interpreter
runs them too.
"""

import triton
import triton.language as tl


@triton.jit
def larger(a, b):
    """The larger of two."""
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def smaller(a, b):
    """The smaller of two."""
    return tl.where((a < b) | (a != a), a, b)


@triton.jit
def product_of(a, b):
    """For products along an axis."""
    return a * b


@triton.jit
def relu(a):
    """The larger of a and 0."""
    return tl.where(a < 0, 0.0, a).to(a.dtype)


@triton.jit
def sign(a):
    """Of a number: -1, 0 or 1, and of a NaN 0."""
    return (a > 0).to(a.dtype) - (a < 0).to(a.dtype)


@triton.jit
def log1p(a):
    """log(1 + a): the rounding of 1 + a is made good (Kahan)."""
    u = 1.0 + a
    return tl.where((u == 1.0) | (u == float("inf")), a, tl.log(u) * (a / (u - 1.0)))


@triton.jit
def expm1(a):
    """exp(a) - 1: near 0 by its series."""
    near = a * (
        1.0
        + a
        * (
            0.5
            + a * (1.0 / 6 + a * (1.0 / 24 + a * (1.0 / 120 + a * (1.0 / 720 + a * (1.0 / 5040)))))
        )
    )
    return tl.where(tl.abs(a) < 0.3, near, tl.exp(a) - 1.0)


@triton.jit
def tanh(a):
    """Near 0 by Cephes' polynomial (tanhf), else by an exponential that cannot overflow."""
    t = tl.exp(-2.0 * tl.abs(a))
    far = (1.0 - t) / (1.0 + t)
    q = a * a
    p = -5.70498872745e-3 * q + 2.06390887954e-2
    p = p * q - 5.37397155531e-2
    p = p * q + 1.33314422036e-1
    p = p * q - 3.33332819422e-1
    near = p * q * a + a
    return tl.where(tl.abs(a) < 0.625, near, tl.where(a < 0, -far, far))


@triton.jit
def sigmoid(a):
    """The logistic function."""
    return 1.0 / (1.0 + tl.exp(-a))


@triton.jit
def log_sigmoid(a):
    """log(sigmoid(a)), where an exponential cannot overflow."""
    return tl.where(a < 0, a, 0.0).to(a.dtype) - log1p(tl.exp(-tl.abs(a)))


@triton.jit
def log_sigmoid_slope(a, e):
    """Of log_sigmoid at a; e is exp(-|a|)."""
    return tl.where(a < 0, 1.0, e) / (1.0 + e)


@triton.jit
def softplus(a, beta, threshold):
    """log(1 + exp(a beta)) / beta; above the threshold a itself."""
    return tl.where(a * beta > threshold, a, log1p(tl.exp(a * beta)) / beta)


@triton.jit
def softplus_slope(a, beta, threshold):
    """Of softplus at a."""
    e = tl.exp(a * beta)
    return tl.where(a * beta > threshold, 1.0, e / (e + 1.0)).to(a.dtype)


@triton.jit
def silu_slope(a):
    """Of a sigmoid(a)."""
    s = sigmoid(a)
    return s * (1.0 + a * (1.0 - s))


@triton.jit
def gelu(a):
    """The product of a and the normal distribution function at a."""
    return 0.5 * a * (1.0 + tl.erf(a * 0.7071067811865476))


@triton.jit
def gelu_slope(a):
    """Of gelu at a."""
    density = tl.exp(-0.5 * a * a) * 0.3989422804014327
    return 0.5 * (1.0 + tl.erf(a * 0.7071067811865476)) + a * density


@triton.jit
def gelu_tanh(a):
    """Torch's approximation of gelu."""
    return 0.5 * a * (1.0 + tanh(0.7978845608028654 * (a + 0.044715 * a * a * a)))


@triton.jit
def gelu_tanh_slope(a):
    """Of gelu_tanh at a."""
    t = tanh(0.7978845608028654 * (a + 0.044715 * a * a * a))
    slope = 0.7978845608028654 * (1.0 + 0.134145 * a * a)
    return 0.5 * (1.0 + t) + 0.5 * a * (1.0 - t * t) * slope


@triton.jit
def mixed(a, b, by):
    """One round of the cipher: bits of b are moved to the left, out there and in again."""
    a = a + b
    return a, ((b << by) | (b >> (32 - by))) ^ a


@triton.jit
def even_rounds(a, b):
    """Four rounds of the cipher."""
    a, b = mixed(a, b, 13)
    a, b = mixed(a, b, 15)
    a, b = mixed(a, b, 26)
    return mixed(a, b, 6)


@triton.jit
def odd_rounds(a, b):
    """The four rounds that follow."""
    a, b = mixed(a, b, 17)
    a, b = mixed(a, b, 29)
    a, b = mixed(a, b, 16)
    return mixed(a, b, 24)


@triton.jit
def threefry(k0, k1, place):
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011): both words, as those of `core.random`."""
    k0 = k0.to(tl.uint32, bitcast=True)
    k1 = k1.to(tl.uint32, bitcast=True)
    one = tl.full((), 1, tl.uint32)
    k2 = k0 ^ k1 ^ tl.full((), 0x1BD11BDA, tl.uint32)
    b = place.to(tl.uint32) + k1
    a, b = even_rounds(b * 0 + k0, b)
    a, b = odd_rounds(a + k1, b + k2 + one)
    a, b = even_rounds(a + k2, b + k0 + 2 * one)
    a, b = odd_rounds(a + k0, b + k1 + 3 * one)
    a, b = even_rounds(a + k1, b + k2 + 4 * one)
    return a + k2, b + k0 + 5 * one


@triton.jit
def random_bits(k0, k1, place):
    """Elements of `core.random.bits` at their places."""
    a, b = threefry(k0, k1, place)
    return (a ^ b).to(tl.int32, bitcast=True)


@triton.jit
def first_word(k0, k1, place):
    """The first word of the cipher."""
    return threefry(k0, k1, place)[0].to(tl.int32, bitcast=True)


@triton.jit
def second_word(k0, k1, place):
    """The second word of the cipher."""
    return threefry(k0, k1, place)[1].to(tl.int32, bitcast=True)
