import json

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

import functional_clf
from functional_clf.registry import DATASETS, made_again

LOADERS = {
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
}


@pytest.mark.parametrize("name", LOADERS)
def test_rows_and_names_are_scikit_learns(name):
    bunch, data = LOADERS[name](), getattr(functional_clf, name)()
    x, y = data.sample(0)
    varies = np.ptp(bunch.data, axis=0) > 0
    np.testing.assert_array_equal(x, bunch.data[:, varies])
    np.testing.assert_array_equal(y, bunch.target)
    assert data.class_names == tuple(map(str, bunch.target_names))
    assert data.feature_names == tuple(np.array(bunch.feature_names)[varies])
    assert (data.kind, data.name, data.is_own, data.is_fixed) == (name, name, True, True)
    assert len(data.notices) == (name == "digits")  # whose corner pixels are blank


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("name", LOADERS)
def test_what_is_recorded_is_made_again(name, stratify):
    data = DATASETS[name](stratify=stratify)
    recorded = json.loads(json.dumps(data.describe()))
    again = made_again(DATASETS, recorded)
    assert json.loads(json.dumps(again.describe())) == recorded
    assert again.describe()["stratify"] == stratify
    for ours, theirs in zip(again.split(0.2, 3), data.split(0.2, 3), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "lie", [{"content": "0" * 24}, {"classes": ["a", "b", "c"]}, {"prepare": 3}]
)
def test_what_is_recorded_otherwise_is_refused(lie):
    recorded = {**functional_clf.iris().describe(), **lie}
    with pytest.raises(ValueError, match="its data set 'iris'"):
        made_again(DATASETS, recorded)


def test_a_transformer_of_the_users_is_not_made_again():
    data = functional_clf.iris(prepare=StandardScaler())
    assert (data.kind, data.is_own) == ("iris", False)
    with pytest.raises(ValueError, match="the settings of its data set 'iris' do not say it"):
        made_again(DATASETS, json.loads(json.dumps(data.describe())))
