/* What every fused program begins with: precision, elementary functions, and small matmuls.
 *
 * The program defines REAL_IS_DOUBLE (0 or 1) and VECTOR_BYTES (16, 32 or 64) before this.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if REAL_IS_DOUBLE
typedef double real;
#define R(number) number
#define FN(name) name
#else
typedef float real;
#define R(number) number##f
#define FN(name) name##f
#endif

#define LANES ((int)(VECTOR_BYTES / sizeof(real)))
typedef real vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real))));
#define ALIGNED __attribute__((aligned(64)))
#define NOINLINE static __attribute__((noinline)) void
#define INLINE static inline __attribute__((always_inline))

/* glibc has these functions for whole vectors too; told so, gcc calls those in its vector loops. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#if __GLIBC_PREREQ(2, 35)
#define IN_VECTORS __attribute__((simd("notinbranch"), const))
extern real FN(exp)(real) IN_VECTORS;
extern real FN(log)(real) IN_VECTORS;
extern real FN(sin)(real) IN_VECTORS;
extern real FN(cos)(real) IN_VECTORS;
extern real FN(tanh)(real) IN_VECTORS;
extern real FN(erf)(real) IN_VECTORS;
extern real FN(log1p)(real) IN_VECTORS;
extern real FN(expm1)(real) IN_VECTORS;
extern real FN(pow)(real, real) IN_VECTORS;
#endif
#endif

#define SQRT FN(sqrt)
#define ABS FN(fabs)
#define EXP FN(exp)
#define EXPM1 FN(expm1)
#define LOG FN(log)
#define LOG1P FN(log1p)
#define SIN FN(sin)
#define COS FN(cos)
#define TANH FN(tanh)
#define ERF FN(erf)
#define POW FN(pow)

/* As torch has them: where an argument is NaN, so is the result. */
INLINE real square(real a) { return a * a; }
#if REAL_IS_DOUBLE
INLINE real log1p_exp_of_minus(real t) { return LOG1P(EXP(-t)); }
#else
/* log(1 + exp(-t)) for t >= 0, to 4 units in the last place down to 1e-37: the loss of every
 * sample at every point of a learning curve, so without the two calls, which cost more than all
 * the rest. exp by range reduction and Cephes' polynomial; then log(1 + e) = 2 artanh(e / (2 + e)),
 * a series in at most 1/9. */
INLINE real log1p_exp_of_minus(real t)
{
    float a = t > 86.0f ? -86.0f : -t; /* a NaN passes */
    float n = rintf(a * 1.44269504f);
    float r = a - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    unsigned bits = (unsigned)((int)n + 127) << 23; /* of 2^n */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    float e = p * scale;
    float s = e / (2.0f + e), q = s * s;
    float series = 2.0f / 13.0f;
    series = series * q + 2.0f / 11.0f;
    series = series * q + 2.0f / 9.0f;
    series = series * q + 2.0f / 7.0f;
    series = series * q + 2.0f / 5.0f;
    series = series * q + 2.0f / 3.0f;
    return s * (series * q + 2.0f);
}
#endif
INLINE real log_sigmoid(real a) { return (a < 0 ? a : 0) - log1p_exp_of_minus(ABS(a)); }
INLINE real log_sigmoid_slope(real a, real e) { return (a < 0 ? R(1.0) : e) / (R(1.0) + e); }
INLINE real sign(real a) { return (real)((a > 0) - (a < 0)); } /* of a NaN 0, as torch has it */
INLINE real softplus(real a, real beta, real threshold)
{
    return a * beta > threshold ? a : LOG1P(EXP(a * beta)) / beta;
}
INLINE real softplus_slope(real a, real beta, real threshold)
{
    real e = EXP(a * beta);
    return a * beta > threshold ? R(1.0) : e / (e + R(1.0));
}
INLINE real cube(real a) { return a * a * a; }
INLINE real relu(real a) { return a < 0 ? 0 : a; }
/* Functions, not ?: where they stand: both sides are computed, and the loop stays one of vectors. */
INLINE real choose(int condition, real a, real b) { return condition ? a : b; }
INLINE real threshold_backward(real grad, real a, real at) { return a <= at ? 0 : grad; }
INLINE real leaky_relu(real a, real slope) { return a > 0 ? a : a * slope; }
INLINE int both(int a, int b) { return a & b; }
INLINE int either(int a, int b) { return a | b; }
INLINE real larger(real a, real b) { return a > b || a != a ? a : b; }
INLINE real smaller(real a, real b) { return a < b || a != a ? a : b; }
INLINE real sigmoid(real a) { return R(1.0) / (R(1.0) + EXP(-a)); }
INLINE real sigmoid_slope(real y) { return (R(1.0) - y) * y; } /* y: the sigmoid */
INLINE real silu(real a) { return a * sigmoid(a); }
INLINE real silu_slope(real a)
{
    real s = sigmoid(a);
    return s * (R(1.0) + a * (R(1.0) - s));
}
INLINE real gelu(real a) { return R(0.5) * a * (R(1.0) + ERF(a * R(0.7071067811865476))); }
INLINE real gelu_slope(real a)
{
    return R(0.5) * (R(1.0) + ERF(a * R(0.7071067811865476)))
         + a * EXP(R(-0.5) * a * a) * R(0.3989422804014327);
}
INLINE real gelu_tanh_inner(real a)
{
    return R(0.7978845608028654) * (a + R(0.044715) * a * a * a);
}
INLINE real gelu_tanh(real a) { return R(0.5) * a * (R(1.0) + TANH(gelu_tanh_inner(a))); }
INLINE real gelu_tanh_slope(real a)
{
    real t = TANH(gelu_tanh_inner(a));
    real slope = R(0.7978845608028654) * (R(1.0) + R(0.134145) * a * a);
    return R(0.5) * (R(1.0) + t) + R(0.5) * a * (R(1.0) - t * t) * slope;
}

INLINE vector load(const real *from) { return *(const vector *)from; }
INLINE void store(real *to, vector value) { *(vector *)to = value; }

/* A value is from here on in a register, and not read from memory again at each use. */
#if defined(__x86_64__)
#define KEEP(value) __asm__("" : "+v"(value))
#elif defined(__aarch64__)
#define KEEP(value) __asm__("" : "+w"(value))
#else
#define KEEP(value) (void)value
#endif

/* Tiles: as many sums as there are registers for, all of them in registers at once. */
#define UNROLL _Pragma("GCC unroll 16")
#if VECTOR_BYTES == 64
enum { OUT_TILE = 8, SAMPLE_TILE = 2, CONTRACT_OUT = 4, CONTRACT_IN = 4 };
#else
enum { OUT_TILE = 4, SAMPLE_TILE = 2, CONTRACT_OUT = 2, CONTRACT_IN = 4 };
#endif

/* `outs` rows of out[o][s] = sum over i of weight[o][i] in[i][s], `vectors` vectors of samples. */
INLINE void project_tile(const int outs, const int vectors, const int fan_in, const real *weight,
                         const int by_out, const int by_in, const real *in, const int in_row,
                         real *out, const int out_row)
{
    vector sums[OUT_TILE][SAMPLE_TILE];
    UNROLL for (int o = 0; o < outs; o++)
        UNROLL for (int v = 0; v < vectors; v++) sums[o][v] = (vector){0};
    /* Where from is kept from the compiler, which would load all weights ahead of the loop over
     * samples, more than there are registers for. */
    __asm__("" : "+r"(weight));
    UNROLL for (int i = 0; i < fan_in; i++) {
        vector x[SAMPLE_TILE];
        UNROLL for (int v = 0; v < vectors; v++) {
            x[v] = load(in + i * in_row + v * LANES);
            KEEP(x[v]);
        }
        UNROLL for (int o = 0; o < outs; o++) {
            vector w = weight[o * by_out + i * by_in] - (vector){0}; /* in each lane */
            UNROLL for (int v = 0; v < vectors; v++) sums[o][v] += w * x[v];
        }
    }
    UNROLL for (int o = 0; o < outs; o++)
        UNROLL for (int v = 0; v < vectors; v++) store(out + o * out_row + v * LANES, sums[o][v]);
}

INLINE void project_rows(const int outs, const int fan_in, const real *weight, const int by_out,
                         const int by_in, const real *in, const int in_row, real *out,
                         const int out_row, const int samples)
{
    int s = 0;
    for (; s + SAMPLE_TILE * LANES <= samples; s += SAMPLE_TILE * LANES)
        project_tile(outs, SAMPLE_TILE, fan_in, weight, by_out, by_in, in + s, in_row, out + s,
                     out_row);
    for (; s < samples; s += LANES)
        project_tile(outs, 1, fan_in, weight, by_out, by_in, in + s, in_row, out + s, out_row);
}

/* out[o][s] = sum over i of weight[o][i] in[i][s], for `samples` samples, in whole vectors. */
INLINE void project(const int fan_out, const int fan_in, const real *weight, const int by_out,
                    const int by_in, const real *in, const int in_row, real *out,
                    const int out_row, const int samples)
{
    int o = 0;
    for (; o + OUT_TILE <= fan_out; o += OUT_TILE)
        project_rows(OUT_TILE, fan_in, weight + o * by_out, by_out, by_in, in, in_row,
                     out + o * out_row, out_row, samples);
    if (fan_out % OUT_TILE)
        project_rows(fan_out % OUT_TILE, fan_in, weight + o * by_out, by_out, by_in, in, in_row,
                     out + o * out_row, out_row, samples);
}

/* lanes[o][i] += sum over s of a[o][s] b[i][s], each lane for itself. */
INLINE void contract_tile(const int outs, const int ins, const int fan_in, const real *a,
                          const int a_row, const real *b, const int b_row, real *lanes,
                          const int samples)
{
    vector sums[CONTRACT_OUT][CONTRACT_IN];
    UNROLL for (int o = 0; o < outs; o++)
        UNROLL for (int i = 0; i < ins; i++) sums[o][i] = load(lanes + (o * fan_in + i) * LANES);
    for (int s = 0; s < samples; s += LANES) {
        vector x[CONTRACT_IN];
        UNROLL for (int i = 0; i < ins; i++) {
            x[i] = load(b + i * b_row + s);
            KEEP(x[i]);
        }
        UNROLL for (int o = 0; o < outs; o++) {
            vector y = load(a + o * a_row + s);
            KEEP(y);
            UNROLL for (int i = 0; i < ins; i++) sums[o][i] += y * x[i];
        }
    }
    UNROLL for (int o = 0; o < outs; o++)
        UNROLL for (int i = 0; i < ins; i++) store(lanes + (o * fan_in + i) * LANES, sums[o][i]);
}

INLINE void contract_rows(const int outs, const int fan_in, const real *a, const int a_row,
                          const real *b, const int b_row, real *lanes, const int samples)
{
    int i = 0;
    for (; i + CONTRACT_IN <= fan_in; i += CONTRACT_IN)
        contract_tile(outs, CONTRACT_IN, fan_in, a, a_row, b + i * b_row, b_row,
                      lanes + i * LANES, samples);
    if (fan_in % CONTRACT_IN)
        contract_tile(outs, fan_in % CONTRACT_IN, fan_in, a, a_row, b + i * b_row, b_row,
                      lanes + i * LANES, samples);
}

INLINE void contract(const int fan_out, const int fan_in, const real *a, const int a_row,
                     const real *b, const int b_row, real *lanes, const int samples)
{
    int o = 0;
    for (; o + CONTRACT_OUT <= fan_out; o += CONTRACT_OUT)
        contract_rows(CONTRACT_OUT, fan_in, a + o * a_row, a_row, b, b_row,
                      lanes + o * fan_in * LANES, samples);
    if (fan_out % CONTRACT_OUT)
        contract_rows(fan_out % CONTRACT_OUT, fan_in, a + o * a_row, a_row, b, b_row,
                      lanes + o * fan_in * LANES, samples);
}

/* out[k] = the sum of the lanes of lanes[k]; halves of whole vectors are added at a time. */
INLINE void add_lanes(const int count, const real *lanes, real *out)
{
    int k = 0;
#if !defined(__clang__)
#if REAL_IS_DOUBLE
    typedef long place __attribute__((vector_size(VECTOR_BYTES)));
#else
    typedef int place __attribute__((vector_size(VECTOR_BYTES)));
#endif
    place even;
    for (int lane = 0; lane < LANES; lane++) even[lane] = 2 * lane;
    const place odd = even + 1;
    for (; k + LANES <= count; k += LANES) {
        vector sums[LANES];
        UNROLL for (int j = 0; j < LANES; j++) sums[j] = load(lanes + (k + j) * LANES);
        UNROLL for (int half = LANES / 2; half > 0; half /= 2)
            UNROLL for (int j = 0; j < half; j++)
                sums[j] = __builtin_shuffle(sums[2 * j], sums[2 * j + 1], even)
                        + __builtin_shuffle(sums[2 * j], sums[2 * j + 1], odd);
        store(out + k, sums[0]);
    }
#endif
    for (; k < count; k++) {
        real sum = 0;
        for (int lane = 0; lane < LANES; lane++) sum += lanes[(long)k * LANES + lane];
        out[k] = sum;
    }
}

/* Zero what lies in the last vector behind the last sample of each row. */
INLINE void clear_rest(const int rows, const int row, const int count, const int whole, real *block)
{
    for (int k = 0; k < rows; k++)
        for (int s = count; s < whole; s++) block[k * row + s] = 0;
}
