import numpy as np
import pytest
from sklearn.decomposition import PCA

from functional_clf.reports import components
from functional_clf.reports.components import principal_components


@pytest.mark.parametrize("block", [7, 4096])
@pytest.mark.parametrize(("n_samples", "n_features"), [(200, 5), (40, 40), (12, 30), (3, 2)])
def test_they_are_those_of_scikit_learn(n_samples, n_features, block, monkeypatch):
    monkeypatch.setattr(components, "BLOCK", block)
    rng = np.random.default_rng(n_samples)
    x = rng.normal(size=(n_samples, n_features)) @ rng.normal(size=(n_features, n_features)) + 50
    found, reference = principal_components(x), PCA(2, svd_solver="full").fit(x)
    np.testing.assert_allclose(found.shares, reference.explained_variance_ratio_, rtol=1e-9)
    turned = np.sign((found.axes * reference.components_).sum(1))
    np.testing.assert_allclose(found.axes, turned[:, None] * reference.components_, atol=1e-9)
    others = rng.normal(size=(9, n_features))
    wanted = turned * reference.transform(others)
    np.testing.assert_allclose(found.places(others), wanted, atol=1e-7)
    assert (found.axes[[0, 1], abs(found.axes).argmax(1)] > 0).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_their_shares_do_not_depend_on_the_unit(scale):
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    found = principal_components((x * np.float32(scale)).astype(np.float32))
    np.testing.assert_allclose(found.shares, principal_components(x).shares, rtol=1e-5)
    assert found.axes.dtype == np.float64


def test_what_does_not_vary_has_no_shares():
    found = principal_components(np.full((9, 4), 3.0, np.float32))
    assert np.isnan(found.shares).all()
    assert (found.places(np.full((2, 4), 3.0)) == 0).all()
    along = principal_components(np.outer(np.arange(9.0), [3, 4, 0]))
    np.testing.assert_allclose(along.shares, [1, 0], atol=1e-12)
    np.testing.assert_allclose(along.axes[0], [0.6, 0.8, 0], atol=1e-12)
