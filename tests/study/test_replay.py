import sqlite3

import pytest
import torch
from safetensors.numpy import load_file

from functional_clf import Recipe, circles, load_seed, mlp, model_0, model_1, moons, sgd
from functional_clf import run as command_line
from functional_clf.record.database import StoreError
from functional_clf.record.weights import write_params
from functional_clf.study.replay import study_of
from functional_clf.study.results import PICTURED_SEEDS
from functional_clf.study.study import Study

RECIPES = (model_0(epochs=12), model_1(epochs=12))


def study_on(seeds, **changes):
    settings = {"dataset": circles(80), "contestants": RECIPES, "engine": "eager"} | changes
    return Study(seeds=seeds, **settings)


def run(*args, capsys):
    code = command_line.main([*map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study_on(20, save_params=True).run(folder)
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": moons(70, noise=0.2), "vary": "split", "test_size": 0.3},
        {"design": "crossed", "data_seeds": 4, "init_seeds": 3, "seeds": range(12)},
        {"contestants": (model_0(learning_rate=1e6, epochs=60),), "chunk_size": 5},  # it diverges
        {"contestants": (model_1(epochs=3),), "engine": "compile"},
        {"contestants": (model_1(epochs=3),), "engine": "fused"},
    ],
    ids=["moons", "crossed", "diverged", "compiled", "fused"],
)
def test_a_seed_trained_again_is_the_same_in_every_bit(changes, tmp_path, capsys):
    study_on(**{"seeds": 12} | changes).run(tmp_path)
    code, printed, complaint = run("--replay", 11, "--out", tmp_path, capsys=capsys)
    assert (code, complaint) == (0, "")
    for line, recipe in zip(printed.splitlines(), changes.get("contestants", RECIPES), strict=True):
        assert line.startswith(f"{recipe.name}, seed 11: identical (losses, counts")
        assert "weights" in line


@pytest.mark.parametrize("what", ["row", "curves", "params"])
def test_a_record_that_training_does_not_confirm_is_named(what, tmp_path, capsys, monkeypatch):
    study_on(3).run(tmp_path)
    database = sqlite3.connect(tmp_path / "study.sqlite")
    if what == "row":
        database.execute(
            "UPDATE replicate SET test_correct = test_correct + 1 WHERE seed = 2 "
            "AND model = 'model_1'"
        )
    else:
        blob = bytearray(database.execute(f"SELECT {what} FROM chunk").fetchone()[0])
        blob[-3] ^= 1  # in the last array: of model_1
        database.execute(f"UPDATE chunk SET {what} = ?", (bytes(blob),))
    database.commit()
    database.close()
    code, _, complaint = run("--replay", 2, "--out", tmp_path, capsys=capsys)
    assert (code, complaint.count("\n")) == (2, 1)
    assert "does not match its checksum" in complaint

    # With checksums to match, only training again can tell.
    monkeypatch.setattr("functional_clf.record.verification._matches", lambda *_: True)
    code, printed, _ = run("--replay", 2, "--out", tmp_path, capsys=capsys)
    lines = dict(line.split(", seed 2: ") for line in printed.splitlines())
    assert code == 1
    assert lines["model_0"].startswith("identical")
    difference = {"row": "test_correct is", "curves": "learning curve", "params": "weights"}[what]
    assert lines["model_1"].startswith(f"DIFFERS: {difference}")


def test_what_cannot_be_replayed_is_one_line(folder, tmp_path, capsys):
    own = Recipe("own", mlp((2, 1)), sgd(0.1), epochs=2)
    study_on(2, contestants=(own,)).run(tmp_path / "own")
    for out, seed, gist in (
        (folder, 20, "seed is 20; "),
        (folder, -1, "replay is -1; it must be at least 0"),
        (tmp_path / "nothing", 0, "holds no study"),
        (
            tmp_path / "own",
            0,
            "its model 'own' is of somebody's own making; only mlp, estimator can be made "
            "again; give it again, by --model",
        ),
    ):
        code, printed, complaint = run("--replay", seed, "--out", out, capsys=capsys)
        assert (code, printed, complaint.count("\n")) == (2, "", 1)
        assert gist in complaint
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "damage",
    [
        {"models": {"m": {"layer_sizes": "wide"}}},
        {"models": []},
        {"dataset": {"name": "os.system", "n_samples": 8}},
        {"dataset": {"name": "circles", "n_samples": "8"}},
        {"dataset": {"name": "circles", "n_samples": 80, "factory": "x"}},
        {"vary": "weather"},
        {"chunk_size": None},
    ],
)
def test_a_configuration_made_by_hand_is_refused_not_run(damage):
    study = study_on(2)
    whole = {**study.identity(), "engine": "eager", "device": "cpu", "tf32": False, "chunk_size": 4}
    assert study_of(whole, 1).seeds == range(1, 2)
    if damage == {"chunk_size": None}:
        damage, _ = {}, whole.pop("chunk_size")
    with pytest.raises(ValueError, match=r"\S"):
        study_of(whole | damage, 1)


def test_a_loaded_seed_is_the_trained_classifier(folder):
    results = study_on(20).run(folder)
    study = results.study
    for name in ("model_0", "model_1"):
        module = load_seed(folder, name, 13)
        assert isinstance(module, torch.nn.Sequential)
        one = study.replicate(13)
        x, y = study.dataset.draw(one.data_seed)
        from functional_clf.data.splits import split

        rows = split(80, 0.2, one.split_seed).test
        with torch.no_grad():
            logits = module(torch.from_numpy(x[rows]).float()).squeeze(-1).numpy()
        correct = int(((logits > 0) == y[rows]).sum())
        assert correct == results.of(name).row(13, named=True)["test_correct"]


def test_what_cannot_be_loaded_says_why(folder, tmp_path):
    with pytest.raises(ValueError, match=r"model is 'model_7'; .* has model_0, model_1"):
        load_seed(folder, "model_7", 0)
    with pytest.raises(ValueError, match=r"seed is 20; .* has no results"):
        load_seed(folder, "model_0", 20)
    with pytest.raises(StoreError, match="holds no study"):
        load_seed(tmp_path / "nothing", "model_0", 0)
    own = Recipe("own", mlp((2, 1)), sgd(0.1), epochs=2)
    study_on(2, contestants=(own,)).run(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"own making; .* made again\); functional_clf.record.weights.write_params",
    ):
        load_seed(tmp_path, "own", 0)


def test_weights_are_kept_of_every_seed_where_asked_also_afterwards(tmp_path, capsys):
    args = ["--samples", 20, "--epochs", 2, "--engine", "eager", "--no-plots", "--out", tmp_path]
    n = PICTURED_SEEDS + 40
    assert run(*args, "--seeds", n, capsys=capsys)[0] == 0
    with pytest.raises(ValueError, match="not its weights: the same study with save_params=True"):
        load_seed(tmp_path, "model_1", n - 1)
    before = (tmp_path / "seeds.csv").read_bytes()
    assert not (tmp_path / "params").exists()
    assert run(*args, "--seeds", n, "--save-params", capsys=capsys)[0] == 0
    assert (tmp_path / "seeds.csv").read_bytes() == before
    stacked = load_file(tmp_path / "params" / "model_1.safetensors")
    assert stacked["seeds"].tolist() == list(range(n))
    assert stacked["2.weight"].shape == (n, 16, 16)
    for seed in (0, 100, n - 1):
        for key, value in load_seed(tmp_path, "model_1", seed).state_dict().items():
            assert value.numpy().tobytes() == stacked[key][seed].tobytes()


def test_exported_weights_stand_in_order_of_seed_whatever_the_order_of_training(tmp_path):
    study_on(range(30, 40), save_params=True).run(tmp_path)
    study_on(range(25, 50), save_params=True).run(tmp_path)
    (path,) = write_params(tmp_path, ["model_1"], range(28, 45))
    stacked = load_file(path)
    assert stacked["seeds"].tolist() == list(range(28, 45))
    for row, seed in enumerate(range(28, 45)):
        for key, value in load_seed(tmp_path, "model_1", seed).state_dict().items():
            assert value.numpy().tobytes() == stacked[key][row].tobytes()
    write_params(tmp_path, ["model_1"], range(90, 95))  # none of them
    assert load_file(path)["seeds"].tolist() == []
