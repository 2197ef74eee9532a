"""A deep ensemble as a scikit-learn classifier: the mean of what many seeds predict."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self, cast

import numpy as np
from joblib import effective_n_jobs
from numpy import ndarray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from functional_clf.contestants.base import Template
from functional_clf.contestants.mlp import mlp_recipe
from functional_clf.contestants.recipe import Recipe
from functional_clf.contestants.settings import ActivationName, OptimizerName
from functional_clf.core.tasks import task_of
from functional_clf.data.dataset import floating_dtype
from functional_clf.engines.machine import CPU_CHUNK, one_torch_thread
from functional_clf.ensemble.members import make_predict, train_members
from functional_clf.ensemble.pickling import packed, unpacked
from functional_clf.support.arguments import real_number, short, whole_number
from functional_clf.support.forks import use_threads
from functional_clf.workers.threads import Workers

try:
    from sklearn.utils.validation import validate_data as _validate_data
except ImportError:  # before scikit-learn 1.6

    def _validate_data(_estimator: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _estimator._validate_data(*args, **kwargs)


ROWS_AT_ONCE = 1024
"""So many rows are predicted at once, by so many members as are trained at once."""

NETWORK = ("hidden", "activation", "optimizer", "learning_rate", "epochs", "batch_size")
"""The arguments that say what a member is, in place of which there may be a recipe."""


class SeedEnsembleClassifier(ClassifierMixin, BaseEstimator):
    """A deep ensemble: one network trained from many seeds, and the mean of what they predict.

    `p(c | x) = mean over seeds s of p_s(c | x)`. Every member learns from the same samples; they
    differ in their initial weights, and in the order of batches and the noise of training where a
    recipe has such. The mean is better calibrated than a member: in cross-entropy and in squared
    error it is never worse than its members are on average (Jensen).

    The members are trained together, by this package's engines. The same `random_state` gives the
    same bits, whatever `n_jobs` is. Training is in torch's default floating-point type (float32
    unless it is set), and predictions are float64.

    Args:
        n_seeds: members, at least 1.
        hidden: widths of the hidden layers of a multilayer perceptron; inputs and outputs follow
            the data.
        activation: between its layers, a name in `models.ACTIVATIONS`; None for linear layers only.
        optimizer: by name, as "adam", with the settings that `mlp_recipe` has by default.
        learning_rate: step size, above 0.
        epochs: times that the samples are gone through, at least 1.
        batch_size: samples in a batch, at least 1; None for all of them, a step an epoch.
        recipe: what each member is, in place of the arguments from `hidden` to `batch_size`: of
            `mlp_recipe`, or a `Recipe` or template of one's own.
        scale: whether features are standardised, to the mean 0 and the variance 1 of those fitted.
        class_weight: what a sample of a class weighs in the loss: a dict from labels to numbers
            above 0, "balanced" for classes of equal weight, None for samples of equal weight.
        random_state: a whole number for the same result at each call of `fit`; a
            `numpy.random.RandomState`, or None for numpy's own, to draw other seeds at each.
        engine: "auto", or by name the engine that trains: "fused", "eager" or "compile".
        n_jobs: threads that train and predict; None for 1 (or what a `joblib.parallel_config`
            says), -1 for all cores.

    Attributes:
        classes_: the labels, sorted; columns of probabilities are in this order.
        seeds_: the seed of each member, `(n_seeds,)`.
        weights_: the members' weights by name, a leading axis of seeds in each.
        diverged_: whether a member's training came to nothing, `(n_seeds,)`; the mean is over the
            others.
        losses_: training loss of each member, `(n_seeds,)`.
        loss_: the mean of those that did not diverge.
        n_iter_: epochs that were trained, by the member with the most of them.
        recipe_: what each member is, as a template where sizes follow the data.
        scaler_: the fitted `StandardScaler`; None without.
        engine_: the name of the engine that trained.
        n_features_in_: columns of X.
        feature_names_in_: their names, where X had such.

    Reference:
        Lakshminarayanan, Pritzel and Blundell 2017, "Simple and scalable predictive uncertainty
        estimation using deep ensembles", section 2.4, without adversarial training.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> X, y = load_wine(return_X_y=True)
        >>> ensemble = SeedEnsembleClassifier(n_seeds=4, random_state=0).fit(X[::2], y[::2])
        >>> ensemble.score(X[1::2], y[1::2]) > 0.9
        True
        >>> ensemble.predict_proba(X[:5]).shape, ensemble.predict_proba_of_seeds(X[:5]).shape
        ((5, 3), (4, 5, 3))
    """

    def __init__(
        self,
        n_seeds: int = 16,
        *,
        hidden: Sequence[int] = (64,),
        activation: ActivationName | None = "relu",
        optimizer: OptimizerName = "adam",
        learning_rate: float = 0.003,
        epochs: int = 200,
        batch_size: int | None = None,
        recipe: Any = None,
        scale: bool = True,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        random_state: int | np.random.RandomState | None = None,
        engine: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_seeds = n_seeds
        self.hidden = hidden
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.recipe = recipe
        self.scale = scale
        self.class_weight = class_weight
        self.random_state = random_state
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any) -> Self:
        """Train the members.

        Args:
            X: finite numbers, `(sample, feature)`: an array, a data frame or lists.
            y: labels, `(sample,)`, of two or more classes: numbers or texts.

        Returns:
            Itself.

        Raises:
            TypeError: when an argument is of the wrong type, or X is sparse.
            ValueError: when an argument is outside its range, X or y cannot be learned from, or
                every member diverged.
        """
        use_threads()
        n_seeds = whole_number("n_seeds", self.n_seeds, 1)
        if not isinstance(self.scale, bool | np.bool_):
            raise TypeError(f"scale is {short(self.scale)}; it must be True or False")
        template = self._member()
        # In one order in memory, as sums over samples depend on it in their last bits.
        X, y = cast(Any, _validate_data)(self, X, y, dtype=(np.float64, np.float32), order="C")
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y has 1 class only, {classes.tolist()[0]!r}; a classifier needs 2 or more"
            )
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=classes, y=y).tolist()
        recipe = _sized(template, X.shape[1], len(classes))
        scaler = _scaler(X) if self.scale else None
        dtype = floating_dtype()
        random = check_random_state(self.random_state)
        seeds: dict[int, None] = {}  # all different
        while len(seeds) < n_seeds:
            seeds[int(random.randint(np.iinfo(np.int32).max))] = None
        members = train_members(
            recipe.for_samples(len(X)),
            _features(X, scaler, dtype),
            codes.astype(dtype),
            task_of(len(classes), weights),
            list(seeds),
            self.engine,
            effective_n_jobs(cast(Any, self.n_jobs)),
        )
        if n_diverged := int(members.diverged.sum()):
            self._tell_of_diverged(n_diverged, n_seeds)
        self.classes_ = classes
        self.seeds_ = np.array(list(seeds))
        self.scaler_ = scaler
        self.recipe_ = template
        self.weights_ = members.weights
        self.diverged_ = members.diverged
        self.losses_ = members.losses
        self.loss_ = float(members.losses[~members.diverged].mean())
        self.n_iter_ = int(members.epochs.max())
        self.engine_ = members.engine
        return self

    def predict_proba(self, X: Any) -> ndarray:
        """The mean over the seeds of each class's probability.

        Args:
            X: finite numbers, `(sample, feature)`.

        Returns:
            `(sample, class)`, classes in the order of `classes_`.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
            ValueError: when X is not as fitted, or a member's output is not finite.
        """
        X = self._checked(X)
        mean = np.zeros((len(X), len(self.classes_)))

        def add(rows: slice, members: ndarray, found: ndarray) -> None:
            del members
            mean[rows] += found.sum(0)

        self._predicted(X, add)
        return mean / (~self.diverged_).sum()

    def predict_proba_of_seeds(self, X: Any) -> ndarray:
        """Each seed's own probabilities: how far they lie apart says how sure the ensemble is.

        Args:
            X: finite numbers, `(sample, feature)`.

        Returns:
            `(n_seeds, sample, class)`, seeds in the order of `seeds_`; NaN where one diverged.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
            ValueError: when X is not as fitted, or a member's output is not finite.
        """
        X = self._checked(X)
        each = np.full((len(self.seeds_), len(X), len(self.classes_)), np.nan)

        def put(rows: slice, members: ndarray, found: ndarray) -> None:
            each[members, rows] = found

        self._predicted(X, put)
        return each

    def predict(self, X: Any) -> ndarray:
        """The label of the largest mean probability; of equal ones the first.

        Args:
            X: finite numbers, `(sample, feature)`.

        Returns:
            Labels, `(sample,)`.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
            ValueError: when X is not as fitted, or a member's output is not finite.
        """
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: weights, and recipes in a form that can be."""
        state = cast(dict[str, Any], super().__getstate__())
        return {name: packed(value) for name, value in state.items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Make packed recipes again; refuses what would compute something else than before."""
        super().__setstate__({name: unpacked(value) for name, value in state.items()})

    def _member(self) -> Recipe | Template:
        """What each member is, of a recipe or of the arguments that stand for one."""
        if self.recipe is None:
            return mlp_recipe(
                "member",
                hidden=self.hidden,
                activation=cast(ActivationName | None, self.activation),
                optimizer=cast(OptimizerName, self.optimizer),
                learning_rate=real_number("learning_rate", self.learning_rate),
                epochs=whole_number("epochs", self.epochs, 1),
                batch_size=self.batch_size,
            )
        if isinstance(self.recipe, type) or not isinstance(self.recipe, Recipe | Template):
            raise TypeError(
                f"recipe is {short(self.recipe)}; it must be a recipe or a template of one, as "
                "mlp_recipe makes them"
            )
        arguments = inspect.signature(type(self)).parameters
        for name in NETWORK:
            value = getattr(self, name)
            if repr(value) != repr(arguments[name].default):
                raise ValueError(f"{name} is {short(value)}, but a recipe is given; it says that")
        return self.recipe

    def _tell_of_diverged(self, n_diverged: int, n_seeds: int) -> None:
        hint = "try a smaller learning_rate, or scale=True"
        if n_diverged == n_seeds:
            raise ValueError(f"all {n_seeds} seeds diverged, so nothing is left to predict; {hint}")
        warnings.warn(
            f"{n_diverged} of {n_seeds} seeds diverged and are left out of the mean; {hint}",
            ConvergenceWarning,
            stacklevel=3,
        )

    def _checked(self, X: Any) -> ndarray:
        check_is_fitted(self, "weights_")
        return cast(Any, _validate_data)(self, X, reset=False, dtype=(np.float64, np.float32))

    def _predicted(self, X: ndarray, take: Callable[[slice, ndarray, ndarray], None]) -> None:
        """Call `take(rows, members, probabilities)` for some rows and some members at a time.

        Members in the order of their seeds, whatever the threads.
        """
        recipe = _sized(self.recipe_, X.shape[1], len(self.classes_))
        kept = np.flatnonzero(~self.diverged_)
        groups = [kept[at : at + CPU_CHUNK] for at in range(0, len(kept), CPU_CHUNK)]
        predicts = [
            make_predict(recipe, {name: value[group] for name, value in self.weights_.items()})
            for group in groups
        ]

        def predict_rows(block: Sequence[int], after_steps: Any = None) -> None:
            del after_steps
            rows = slice(block[0], block[-1] + 1)
            x = _features(X[rows], self.scaler_, np.dtype(float))
            for members, predict in zip(groups, predicts, strict=True):
                take(rows, members, predict(x))

        blocks = [
            range(at, min(at + ROWS_AT_ONCE, len(X))) for at in range(0, len(X), ROWS_AT_ONCE)
        ]
        threads = min(effective_n_jobs(cast(Any, self.n_jobs)), len(blocks))
        if threads == 1:
            with one_torch_thread():
                for block in blocks:
                    predict_rows(block)
            return
        with Workers(threads) as workers:
            for _ in workers.map(predict_rows, blocks):
                pass


def _sized(member: Recipe | Template, n_features: int, n_classes: int) -> Recipe:
    """The recipe for such data."""
    recipe = member if isinstance(member, Recipe) else member.sized(n_features, n_classes)
    if not isinstance(recipe, Recipe):
        raise TypeError(
            f"recipe is a template of {short(recipe)}; members must be recipes, as mlp_recipe "
            "makes them"
        )
    return recipe


def _scaler(X: ndarray) -> StandardScaler:
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        scaler = StandardScaler().fit(X.astype(np.float64, copy=False))
    if not np.isfinite(np.asarray([scaler.mean_, scaler.scale_])).all():
        raise ValueError(f"X holds {np.abs(X).max():g}, too large a number to be standardised")
    return scaler


def _features(X: ndarray, scaler: StandardScaler | None, dtype: np.dtype) -> ndarray:
    """What members are given of the rows of X."""
    x = X.astype(np.float64, copy=False)
    with np.errstate(over="ignore"):  # told below
        x = np.asarray(x if scaler is None else scaler.transform(x)).astype(dtype, copy=False)
    if not np.isfinite(x).all():
        raise ValueError(f"X holds {np.abs(X).max():g}, too large a number for {dtype}")
    return x
