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

/* Trains each replicate in place: for each point of the curve it writes down the metrics, a row of
 * replicates a point, and takes the steps up to the next one. After `stride` steps at most it looks
 * whether to tell `after_steps` how many it has taken, as at the end, which may ask it to stop.
 * Returns 1 when it stopped, 2 when memory is short, else 0. */
int fit(const long replicates, const long points, const long *steps, const long stride,
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
        for (long point = 0; point < points && !stop; point++) {
            const long place = point * replicates + r;
            evaluate_train(&work->evaluate_train, &work->state, x_train, y_train,
                           train_loss + place, train_correct + place);
            evaluate_test(&work->evaluate_test, &work->state, x_test, y_test,
                          test_loss + place, test_correct + place);
            long left = steps[point];
            do {
                const long now = left < stride ? left : stride;
                for (long step = 0; step < now; step++)
                    take_step(&work->take_step, &work->state, x_train, y_train);
                left -= now;
                untold += now;
                if (seconds() - told > TELL_SECONDS) {
                    stop = after_steps(untold);
                    told = seconds();
                    untold = 0;
                }
            } while (left > 0 && !stop);
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
