"""Which of two models is better, from paired scores over seeds: NumPy and SciPy only.

`compare` does the whole job, by `Rules` set beforehand; the pieces work alone on plain arrays.
"""

from functional_clf.stats.betting import betting_interval
from functional_clf.stats.binomial import Superiority, clopper_pearson, probability_of_superiority
from functional_clf.stats.comparison import Comparison, compare
from functional_clf.stats.crossed import (
    Component,
    VarianceComponents,
    crossed_interval,
    crossed_t_test,
    variance_components,
)
from functional_clf.stats.crossed_comparison import CrossedComparison, Spread, compare_crossed
from functional_clf.stats.mean_intervals import mean_interval
from functional_clf.stats.metrics import METRICS, Metric
from functional_clf.stats.multiplicity import holm
from functional_clf.stats.rules import Rules
from functional_clf.stats.score_limits import score_t_interval
from functional_clf.stats.several_models import compare_all
from functional_clf.stats.sign_flips import SignFlipTest, sign_flip_test
from functional_clf.stats.small_studies import SelfCalibration, SmallStudies, self_calibration
from functional_clf.stats.student import corrected_t_test, paired_t_interval
from functional_clf.stats.summaries import Distribution, Failures, ModelSummary
from functional_clf.stats.types import Interval, TTest, Verdict

__all__ = [
    "METRICS",
    "Comparison",
    "Component",
    "CrossedComparison",
    "Distribution",
    "Failures",
    "Interval",
    "Metric",
    "ModelSummary",
    "Rules",
    "SelfCalibration",
    "SignFlipTest",
    "SmallStudies",
    "Spread",
    "Superiority",
    "TTest",
    "VarianceComponents",
    "Verdict",
    "betting_interval",
    "clopper_pearson",
    "compare",
    "compare_all",
    "compare_crossed",
    "corrected_t_test",
    "crossed_interval",
    "crossed_t_test",
    "holm",
    "mean_interval",
    "paired_t_interval",
    "probability_of_superiority",
    "score_t_interval",
    "self_calibration",
    "sign_flip_test",
    "variance_components",
]
