"""The statistics alone, for accuracies from anywhere: no torch is imported.

Run it with `python examples/statistics_alone.py`.
"""

import sys

from functional_clf.stats import Rules, compare, compare_all

# Test accuracies of ten seeds each; at the same place, the same data and split.
baseline = [0.912, 0.905, 0.921, 0.899, 0.915, 0.908, 0.917, 0.903, 0.911, 0.909]
dropout = [0.918, 0.916, 0.924, 0.911, 0.919, 0.917, 0.925, 0.910, 0.920, 0.916]
wider = [0.913, 0.904, 0.920, 0.901, 0.914, 0.909, 0.916, 0.905, 0.910, 0.910]

# Settled before anyone looks. Each seed drew data of its own: the claim may reach new data.
rules = Rules(scope="data", margin=0.005, n_train=4000, n_test=1000, setting="our sensor")

found = compare(dropout, baseline, rules, names=("dropout", "baseline"))
print(found.verdict)
print(f"{100 * found.estimate:.2f} percentage points", found.interval)

# Several models share the error rate.
models = {"baseline": baseline, "dropout": dropout, "wider": wider}
for one in compare_all(models, rules):
    print(one.conclusion)
print("torch was imported" if "torch" in sys.modules else "no torch was imported")
