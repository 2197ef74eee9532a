/* One epoch of steps on batches of samples, in a random order.
 *
 * Before this the program defines the functions take_batch and, where REST is not 0, take_rest, with
 * the structs in which they work; KEY and STEP, the leaves of the state that the order hangs on; and
 * the constants TRAIN_SAMPLES, BATCH (samples in a batch), BATCHES (whole ones in an epoch), REST
 * (samples in the last one, 0 where there is none), BATCH_ROW and REST_ROW (numbers in a row of
 * their data), ORDER and ROUNDS (of `random.permutation`).
 */
#define MOST(a, b) ((a) > (b) ? (a) : (b))
#define SAMPLE_ROW ((FEATURES + LANES - 1) / LANES * LANES)

struct take_step {
    unsigned order[TRAIN_SAMPLES], places[TRAIN_SAMPLES]; /* `places` is for sorting only */
    unsigned keys[TRAIN_SAMPLES], sorted[TRAIN_SAMPLES];
    real samples[TRAIN_ROW * SAMPLE_ROW] ALIGNED; /* all of them, the features side by side */
    real x[SAMPLE_ROW * MOST(BATCH_ROW, REST_ROW)] ALIGNED; /* a batch, feature by feature */
    real y[MOST(BATCH_ROW, REST_ROW)] ALIGNED;
    union { /* one after another */
        struct take_batch batch;
#if REST
        struct take_rest rest;
#endif
    };
};

/* Sort keys, and the order with them, stably: by one byte after the other, the lowest first. */
static void sort_by_keys(struct take_step *w)
{
    unsigned starts[4][256] = {{0}};
    for (int k = 0; k < TRAIN_SAMPLES; k++)
        for (int byte = 0; byte < 4; byte++) starts[byte][w->keys[k] >> 8 * byte & 255]++;
    for (int byte = 0; byte < 4; byte++)
        for (unsigned value = 0, before = 0; value < 256; value++) {
            const unsigned count = starts[byte][value];
            starts[byte][value] = before;
            before += count;
        }
    unsigned *keys = w->keys, *sorted = w->sorted, *order = w->order, *places = w->places;
    for (int byte = 0; byte < 4; byte++) {
        for (int k = 0; k < TRAIN_SAMPLES; k++) {
            const unsigned to = starts[byte][keys[k] >> 8 * byte & 255]++;
            sorted[to] = keys[k];
            places[to] = order[k];
        }
        unsigned *kept = keys;
        keys = sorted, sorted = kept;
        kept = order;
        order = places, places = kept;
    } /* an even number of passes: all lies where it lay */
}

/* order = permutation(fold_in(fold_in(key, ORDER), epoch), TRAIN_SAMPLES) */
static void draw_order(struct take_step *w, const int *key, const long epoch)
{
    unsigned k0 = (unsigned)fold_in(key[0], key[1], ORDER, 0);
    unsigned k1 = (unsigned)fold_in(key[0], key[1], ORDER, 1);
    const unsigned of_epoch = threefry(k0, k1, (unsigned)epoch, 0);
    k1 = threefry(k0, k1, (unsigned)epoch, 1);
    k0 = of_epoch;
    for (int k = 0; k < TRAIN_SAMPLES; k++) w->order[k] = k;
    for (int round = 0; round < ROUNDS; round++) {
        const unsigned s0 = threefry(k0, k1, 1, 0), s1 = threefry(k0, k1, 1, 1);
        const unsigned next = threefry(k0, k1, 0, 0);
        k1 = threefry(k0, k1, 0, 1);
        k0 = next;
        for (int k = 0; k < TRAIN_SAMPLES; k++) w->keys[k] = threefry(s0, s1, k, 2);
        sort_by_keys(w);
    }
}

/* The samples of a batch, feature by feature; in the last vector behind the last of them zeros. */
INLINE void gather(struct take_step *restrict w, const unsigned *restrict order, const int samples,
                   const int row, const real *restrict y)
{
    for (int s = 0; s < samples; s += LANES)
        for (int f = 0; f < FEATURES; f += LANES) {
            vector x[LANES];
            UNROLL for (int j = 0; j < LANES; j++)
                x[j] = s + j < samples ? load(w->samples + (size_t)order[s + j] * SAMPLE_ROW + f)
                                       : (vector){0};
            transpose(x);
            UNROLL for (int j = 0; j < LANES; j++) store(w->x + (f + j) * row + s, x[j]);
        }
    for (int s = 0; s < samples; s++) w->y[s] = y[order[s]];
    for (int s = samples; s < row; s++) w->y[s] = 0;
}

NOINLINE gather_batch(struct take_step *w, const unsigned *order, const real *y)
{
    gather(w, order, BATCH, BATCH_ROW, y);
}

static void take_step(struct take_step *w, struct state *q, const real *x, const real *y)
{
    turn(FEATURES, x, TRAIN_ROW, w->samples, SAMPLE_ROW, TRAIN_ROW);
    draw_order(w, q->KEY, q->STEP[0] / (BATCHES + (REST > 0)));
    for (int batch = 0; batch < BATCHES; batch++) {
        gather_batch(w, w->order + batch * BATCH, y);
        take_batch(&w->batch, q, w->x, w->y);
    }
#if REST
    gather(w, w->order + BATCHES * BATCH, REST, REST_ROW, y);
    take_rest(&w->rest, q, w->x, w->y);
#endif
}
