"""The classic lesson from Python: on two circles a linear model fails, one with ReLU does not.

Run it with `python examples/lesson.py`, or with fewer seeds and epochs: `lesson.py 8 100`.
"""

import sys

from functional_clf import Study, circles, model_0, model_1

n_seeds, epochs = (int(text) for text in sys.argv[1:] or ("64", "1000"))

study = Study(
    circles(n_samples=1000, noise=0.03),  # drawn anew for every seed
    (model_0(epochs=epochs), model_1(epochs=epochs)),
    seeds=n_seeds,
    margin=0.01,  # one percentage point is what would matter; settled before anyone looks
)
# The same again trains nothing; more seeds, only the new ones. Other epochs are another study.
results = study.run(f"runs/lesson-{epochs}")

for name in study.names:
    accuracies = 100 * results.accuracies(name)
    failed, _ = results.failures(name)
    print(f"{name}: {accuracies.mean():.2f} % on test data, {failed} of {n_seeds} seeds failed")
print(results.seeds.filter(seed=0))  # a polars table, one row a model and seed
comparison = results.compare("model_1", "model_0")
print(comparison.verdict)  # for a script to read
print(comparison.conclusion)  # for people
