"""A seed is itself, whatever trains it: batches, dropout, batch normalisation, early stopping."""

import subprocess
import sys

import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import MinMaxScaler
from torch import nn

import functional_clf as fc

NETS = """
from torch import nn

def normed(n_features, n_classes):
    return nn.Sequential(
        nn.Linear(n_features, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(16, n_classes),
    )
"""


def normed(n_features, n_classes):
    return nn.Sequential(
        nn.Linear(n_features, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(16, n_classes),
    )


class Images(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        assert n_features == 64
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, n_classes),
        )

    def forward(self, x):
        return self.body(x.view(-1, 1, 8, 8))


def contestants():
    return (
        fc.module_recipe("normed", normed, fc.adamw(1e-2), epochs=2, batch_size=128),
        fc.module_recipe("images", Images, fc.adam(1e-2), epochs=1, batch_size=256),
        fc.mlp_recipe(
            *("stopping", None),
            hidden=(16,),
            learning_rate=0.03,
            epochs=12,
            batch_size=256,
            stop=fc.EarlyStopping(patience=1, validation=0.2),
        ),
        fc.estimator("forest", RandomForestClassifier(n_estimators=5)),
    )


def odd_contestants():
    """Widths and batches whose replicates begin anywhere in memory."""

    def mlp(name, **settings):
        return fc.mlp_recipe(name, None, learning_rate=0.05, **settings)

    stop = fc.EarlyStopping(patience=2, validation=0.2)
    return (
        mlp("whole", hidden=(9,), epochs=30),
        mlp("batches", hidden=(9, 7), epochs=5, batch_size=33),
        mlp("stopping", hidden=(9,), epochs=9, batch_size=30, stop=stop),
        fc.module_recipe("normed", normed, fc.adamw(1e-2), epochs=4, batch_size=31),
    )


def rows_of(dataset, models, seeds, chunk_size, threads):
    study = fc.Study(
        *(dataset, models, seeds), chunk_size=chunk_size, threads=threads, engine="eager"
    )
    return study.run().seeds


def rows(seeds, chunk_size, threads):
    dataset = fc.digits(prepare=MinMaxScaler())
    return rows_of(dataset, contestants(), seeds, chunk_size, threads)


@pytest.fixture(scope="module")
def together():
    return rows(range(38, 46), 8, 1)


@pytest.mark.parametrize(
    ("seeds", "chunk_size", "threads"),
    [(range(40, 41), 8, 1), (range(40, 42), 3, 1), (range(39, 44), 2, 2)],
)
def test_a_seed_is_itself_in_every_bit(together, seeds, chunk_size, threads):
    alone = rows(seeds, chunk_size, threads)
    assert alone.equals(together.filter(pl.col("seed").is_in(list(seeds))))


@pytest.fixture(scope="module")
def odd_together():
    return rows_of(fc.wine(), odd_contestants(), range(30, 46), 16, 1)


@pytest.mark.parametrize(
    ("seeds", "chunk_size", "threads"),
    [(range(40, 41), 16, 1), (range(31, 47), 16, 1), (range(33, 40), 5, 2), (range(37, 44), 3, 1)],
)
def test_a_seed_is_itself_wherever_it_lies_in_memory(odd_together, seeds, chunk_size, threads):
    other = rows_of(fc.wine(), odd_contestants(), seeds, chunk_size, threads)
    both = set(seeds) & set(odd_together["seed"])
    parts = [frame.filter(pl.col("seed").is_in(both)) for frame in (other, odd_together)]
    assert parts[0].equals(parts[1])
    assert parts[0].height == 4 * len(both)


def test_the_epochs_taken_stand_beside_each_seed(together):
    stopping = together.filter(pl.col("model") == "stopping")
    assert stopping["best_epoch"].null_count() == 0
    assert (stopping["epochs"] >= stopping["best_epoch"]).all()
    assert stopping["epochs"].n_unique() > 1
    assert together.filter(pl.col("model") != "stopping")["epochs"].null_count() == 24


def test_two_workers_find_what_one_finds(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    models = [
        *("--model", "normed=nets.py:normed,epochs=2,batch_size=128"),
        *("--model", "stopping=mlp:8,epochs=8,batch_size=64,patience=1,learning_rate=0.1"),
        *("--model", "forest=sklearn.ensemble:RandomForestClassifier,n_estimators=5"),
    ]
    job = [*models, "--data", "breast_cancer", "--seeds", "12", "--chunk-size", "4", "--no-plots"]
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = []
    for out, launcher in (("one", []), ("two", two)):
        command = [sys.executable, *launcher, "-m", "functional_clf.run", *job, "--out", out]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        found.append((tmp_path / out / "seeds.csv").read_bytes())
    assert found[0] == found[1]
