import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from functional_clf.core.losses import bce_with_logits, count_correct

batches = st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=1, max_size=20)


@given(batches)
def test_both_agree_with_scikit_learn(batch):
    logits, labels = (np.array(column) for column in zip(*batch, strict=True))
    z, y = torch.from_numpy(logits).double(), torch.from_numpy(labels).double()
    probability = 1 / (1 + np.exp(-logits))
    expected = log_loss(labels, np.stack([1 / (1 + np.exp(logits)), probability], 1), labels=[0, 1])
    assert bce_with_logits(z, y).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    correct = accuracy_score(labels, logits > 0, normalize=False)
    assert count_correct(z, y).item() == correct


def test_huge_logits_stay_finite():
    loss = bce_with_logits(torch.tensor([1e30, -1e30]), torch.tensor([0.0, 0.0]))
    assert torch.isfinite(loss)


def test_nan_names_no_class():
    logits = torch.tensor([torch.nan, torch.nan, 1.0])
    assert count_correct(logits, torch.tensor([0.0, 1.0, 1.0])) == 1
