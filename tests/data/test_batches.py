import numpy as np
import torch

from functional_clf.data.batches import draw_chunk
from functional_clf.data.generators import circles
from functional_clf.data.seeds import replicate
from functional_clf.data.splits import split

CPU = torch.device("cpu")


def test_a_chunk_stacks_what_each_seed_draws():
    dataset, seeds = circles(60), [4, 9, 4]
    chunk = [replicate(seed, "data") for seed in seeds]
    data = draw_chunk(dataset, chunk, 0.25, CPU)
    for lane, one in enumerate(chunk):
        x, y = dataset.draw(one.data_seed)
        rows = split(60, 0.25, one.split_seed)
        np.testing.assert_array_equal(data.train.x[lane], x[rows.train].astype(np.float32))
        np.testing.assert_array_equal(data.test.y[lane], y[rows.test].astype(np.float32))
    assert data.train.x.mT.is_contiguous()  # samples along memory, as the layers take them
    assert torch.equal(data.train.x[0], data.train.x[2])
    assert not torch.equal(data.train.x[0], data.train.x[1])
