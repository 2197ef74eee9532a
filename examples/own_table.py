"""A table: does a network tell benign from malignant tumours better than logistic regression?

The table comes with scikit-learn; `functional_clf.table("patients.csv", target="diagnosis")` takes
one of your own. Each seed splits it anew, and prepares it by what the training part tells.
Run it with `python examples/own_table.py`.
"""

import sys

from functional_clf import Study, breast_cancer, model_0, model_1

seeds, epochs = (int(arg) for arg in (sys.argv[1:] or ["30", "1000"]))

data = breast_cancer()
print(data, data.class_names)

# Inputs and outputs follow the data; without hidden layers it is logistic regression.
regression = model_0(hidden=(), epochs=epochs)
network = model_1(hidden=(32, 32), epochs=epochs)

study = Study(data, (regression, network), seeds=seeds, metric="roc_auc", margin=0.005)
results = study.run()
for name in ("model_0", "model_1"):
    print(f"{name}: {100 * results.scores(name, 'balanced_accuracy').mean():.1f} %, balanced")
print(results.confusions("model_1").sum(0), "true class by predicted class, over all seeds")
print(results.conclusion)
