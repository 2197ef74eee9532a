/* What every fused program ends with: the training of some replicates, one after another.
 *
 * Before this the program defines struct state, the places of its leaves, the constants LEAVES,
 * FEATURES, TRAIN_ROW and TEST_ROW (samples in a row of data, with padding), and the functions
 * take_step, evaluate_train and evaluate_test with the structs in which they work.
 */
struct work {
    struct state state;
    union { /* one after another, in memory that is in the cache already */
        struct take_step take_step;
        struct evaluate_train evaluate_train;
        struct evaluate_test evaluate_test;
    };
};

/* Between two calls of Python, which take a thousand times as long as looking at the clock. */
#define TELL_SECONDS 0.01

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

/* Trains each replicate for `spans` spans of steps, in place; before each span that is marked it
 * writes down the metrics, a row of replicates a point of the curve. Now and then, and at the end,
 * it tells `after_steps` how many steps it has taken, which may ask it to stop. Returns 1 when it
 * stopped, 2 when memory is short, else 0. */
int fit(const long replicates, const long spans, const long *steps, const long *is_read,
        char *const *leaves, const real *x_train, const real *y_train,
        const real *x_test, const real *y_test, real *train_loss, long *train_correct,
        real *test_loss, long *test_correct, int (*after_steps)(long))
{
    struct work *work = aligned_alloc(64, (sizeof *work + 63) / 64 * 64);
    if (work == NULL) return 2;
    memset(work, 0, sizeof *work);
    char *state = (char *)&work->state;
    double told = seconds();
    long untold = 0;
    int stop = 0;
    for (long r = 0; r < replicates && !stop; r++) {
        for (int k = 0; k < LEAVES; k++)
            memcpy(state + places[k].offset, leaves[k] + r * places[k].bytes, places[k].bytes);
        long point = r;
        for (long span = 0; span < spans && !stop; span++) {
            if (is_read[span]) {
                evaluate_train(&work->evaluate_train, &work->state, x_train, y_train,
                               train_loss + point, train_correct + point);
                evaluate_test(&work->evaluate_test, &work->state, x_test, y_test,
                              test_loss + point, test_correct + point);
                point += replicates;
            }
            for (long step = 0; step < steps[span]; step++)
                take_step(&work->take_step, &work->state, x_train, y_train);
            untold += steps[span];
            if (seconds() - told > TELL_SECONDS) {
                stop = after_steps(untold);
                told = seconds();
                untold = 0;
            }
        }
        for (int k = 0; k < LEAVES; k++)
            memcpy(leaves[k] + r * places[k].bytes, state + places[k].offset, places[k].bytes);
        x_train += FEATURES * TRAIN_ROW;
        y_train += TRAIN_ROW;
        x_test += FEATURES * TEST_ROW;
        y_test += TEST_ROW;
    }
    free(work);
    return stop || after_steps(untold);
}
