/* Matmuls of many weights: loops that are not unrolled, and sums over samples that stay in
 * registers. Included where a program has such a matmul.
 *
 * A block of samples lies in the second cache, and the rows of one tile in the first.
 */

/* Numbers in a row of `count` numbers, such that rows do not fall on the same places of a cache. */
#define SPREAD(count) \
    (((int)((count) * sizeof(real) + 63) / 64 | 1) * 64 / (int)sizeof(real))

/* Outputs by two vectors of samples: sums enough under way at once to hide how long an addition
 * takes, and few enough that all have a register. */
#if VECTOR_BYTES == 64
enum { LARGE_OUT = 8 };
#else
enum { LARGE_OUT = 6 };
#endif
/* Outputs by one vector of samples: as many sums. */
enum { NARROW_OUT = LARGE_OUT * SAMPLE_TILE };

/* sums[o][s] (+)= sum over i of weight[o][i] in[i][s], `outs` rows and `vectors` vectors. */
INLINE void large_tile(const int adds, const int outs, const int vectors, const int fan_in,
                       const real *weight, const int by_out, const int by_in, const real *in,
                       const int in_row, real *out, const int out_row)
{
    vector sums[NARROW_OUT][SAMPLE_TILE];
    UNROLL for (int o = 0; o < outs; o++)
        UNROLL for (int v = 0; v < vectors; v++)
            sums[o][v] = adds ? load(out + o * out_row + v * LANES) : (vector){0};
    for (int i = 0; i < fan_in; i++) {
        vector x[SAMPLE_TILE];
        UNROLL for (int v = 0; v < vectors; v++) {
            x[v] = load(in + v * LANES);
            KEEP(x[v]);
        }
        UNROLL for (int o = 0; o < outs; o++) {
            vector w = weight[o * by_out] - (vector){0}; /* in each lane */
            UNROLL for (int v = 0; v < vectors; v++) sums[o][v] += w * x[v];
        }
        in += in_row;
        weight += by_in;
        __asm__("" : "+r"(weight), "+r"(in)); /* the loop stays one of two pointers */
    }
    UNROLL for (int o = 0; o < outs; o++)
        UNROLL for (int v = 0; v < vectors; v++) store(out + o * out_row + v * LANES, sums[o][v]);
}

INLINE void large_column(const int adds, const int outs, const int vectors, const int fan_out,
                         const int fan_in, const real *weight, const int by_out, const int by_in,
                         const real *in, const int in_row, real *out, const int out_row)
{
    /* A few outputs at the end would be slow: with the tile before them they make two tiles. */
    const int few = fan_out > outs && fan_out % outs && 2 * (fan_out % outs) <= outs;
    const int last = fan_out % outs + few * outs, first = few ? (last + 1) / 2 : last;
    int o = 0;
    for (; o < fan_out - last; o += outs)
        large_tile(adds, outs, vectors, fan_in, weight + o * by_out, by_out, by_in, in, in_row,
                   out + o * out_row, out_row);
    if (first)
        large_tile(adds, first, vectors, fan_in, weight + o * by_out, by_out, by_in, in, in_row,
                   out + o * out_row, out_row);
    o += first;
    if (last - first)
        large_tile(adds, last - first, vectors, fan_in, weight + o * by_out, by_out, by_in, in,
                   in_row, out + o * out_row, out_row);
}

/* out[o][s] (+)= sum over i of weight[o][i] in[i][s], for `samples` samples, in whole vectors. */
INLINE void large_project(const int adds, const int fan_out, const int fan_in, const real *weight,
                          const int by_out, const int by_in, const real *in, const int in_row,
                          real *out, const int out_row, const int samples)
{
    int s = 0;
    for (; s + SAMPLE_TILE * LANES <= samples; s += SAMPLE_TILE * LANES)
        large_column(adds, LARGE_OUT, SAMPLE_TILE, fan_out, fan_in, weight, by_out, by_in, in + s,
                     in_row, out + s, out_row);
    for (; s < samples; s += LANES)
        large_column(adds, NARROW_OUT, 1, fan_out, fan_in, weight, by_out, by_in, in + s, in_row,
                     out + s, out_row);
}

/* Rows become columns: x[j] lane k, and x[k] lane j, change places. */
#if !defined(__clang__)
#if REAL_IS_DOUBLE
typedef long place __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int place __attribute__((vector_size(VECTOR_BYTES)));
#endif
#if VECTOR_BYTES == 64 && !REAL_IS_DOUBLE
#define EACH(M, half) {M(half, 0), M(half, 1), M(half, 2), M(half, 3), M(half, 4), M(half, 5), \
    M(half, 6), M(half, 7), M(half, 8), M(half, 9), M(half, 10), M(half, 11), M(half, 12), \
    M(half, 13), M(half, 14), M(half, 15)}
#elif VECTOR_BYTES >> REAL_IS_DOUBLE == 32
#define EACH(M, half) {M(half, 0), M(half, 1), M(half, 2), M(half, 3), M(half, 4), M(half, 5), \
    M(half, 6), M(half, 7)}
#elif VECTOR_BYTES >> REAL_IS_DOUBLE == 16
#define EACH(M, half) {M(half, 0), M(half, 1), M(half, 2), M(half, 3)}
#else
#define EACH(M, half) {M(half, 0), M(half, 1)}
#endif
#define LOW(half, k) ((k) & (half) ? LANES + (k) - (half) : (k))
#define HIGH(half, k) ((k) & (half) ? LANES + (k) : ((k) + (half)) % LANES)
/* Squares of `half` by `half` change places. The places are literals: gcc folds no others. */
#define SWAP_SQUARES(half) \
    UNROLL for (int j = 0; j < LANES; j++) \
        if (half < LANES && !(j & half)) { \
            const vector one = x[j], other = x[(j + half) % LANES]; \
            x[j] = __builtin_shuffle(one, other, (place)EACH(LOW, half)); \
            x[(j + half) % LANES] = __builtin_shuffle(one, other, (place)EACH(HIGH, half)); \
        }
INLINE void transpose(vector *x)
{
    SWAP_SQUARES(8)
    SWAP_SQUARES(4)
    SWAP_SQUARES(2)
    SWAP_SQUARES(1)
}
#else
INLINE void transpose(vector *x)
{
    for (int j = 0; j < LANES; j++)
        for (int k = 0; k < j; k++) {
            const real kept = x[j][k];
            x[j][k] = x[k][j];
            x[k][j] = kept;
        }
}
#endif

/* turned[s][i] = rows[i][s], for `samples` samples, in whole vectors; behind the last row zeros. */
INLINE void turn(const int count, const real *rows, const int row, real *turned,
                 const int turned_row, const int samples)
{
    for (int i = 0; i < count; i += LANES)
        for (int s = 0; s < samples; s += LANES) {
            vector x[LANES];
            if (i + LANES <= count)
                UNROLL for (int j = 0; j < LANES; j++) x[j] = load(rows + (i + j) * row + s);
            else
                UNROLL for (int j = 0; j < LANES; j++)
                    x[j] = j < count % LANES ? load(rows + (i + j) * row + s) : (vector){0};
            transpose(x);
            UNROLL for (int j = 0; j < LANES; j++) store(turned + (s + j) * turned_row + i, x[j]);
        }
}

/* sums[o][i] (+)= sum over s of a[o][s] b[i][s]; rows of sums are whole vectors. */
INLINE void large_contract(const int adds, const int fan_out, const int fan_in, const real *a,
                           const int a_row, const real *b, const int b_row, real *turned,
                           real *sums, const int samples)
{
    const int padded = (fan_in + LANES - 1) / LANES * LANES;
    turn(fan_in, b, b_row, turned, SPREAD(fan_in), samples);
    large_project(adds, fan_out, samples, a, a_row, 1, turned, SPREAD(fan_in), sums, padded, padded);
}

/* out[o][i] = sums[o][i], without what lies behind the last of each row. */
INLINE void without_padding(const int fan_out, const int fan_in, const real *sums, real *out)
{
    const int padded = (fan_in + LANES - 1) / LANES * LANES;
    for (int o = 0; o < fan_out; o++)
        memcpy(out + o * fan_in, sums + o * padded, fan_in * sizeof *out);
}
