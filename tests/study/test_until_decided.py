"""Training until the verdict is settled: where it stops is a property of the study."""

import html
import json
import tomllib

import numpy as np
import polars as pl
import pytest
import torch.distributed as dist
from polars.testing import assert_frame_equal

import functional_clf as fc
from functional_clf import Study, blobs, circles, estimator, mlp_recipe, model_0
from functional_clf.cli.main import main
from functional_clf.record.store import Store
from functional_clf.stats.time_uniform import first_settled, time_uniform_interval
from functional_clf.study.chunks import ChunkTrainer
from functional_clf.study.until import Stopping

# Two models of which one is better by about 5 points: settled after some chunks.
HARD = {"n_samples": 200, "noise": 0.25}


def study_of(**options):
    dataset = circles(**HARD)
    shared = {"activation": "relu", "optimizer": fc.adam(0.03)}
    models = (
        mlp_recipe("small", hidden=(4,), epochs=10, **shared),
        mlp_recipe("large", hidden=(12,), epochs=25, **shared),
    )
    return Study(dataset, models, **{"margin": 0.02, **options})


@pytest.fixture(scope="module")
def at_once():
    return study_of().run_until_decided(max_seeds=400)


def differences(results):
    counts = [results.of(name)["test_correct"].to_numpy() for name in ("large", "small")]
    return (counts[0] - counts[1]) / results.study.sizes[1]


def test_it_stops_at_the_first_seed_that_settles_it(at_once):
    n = at_once.stopping.n_seeds
    assert 16 < n < 400
    assert n % 16  # it is no matter of chunks
    assert at_once.stopping == Stopping(n, 400, True)
    assert at_once.study.seeds == range(n)
    more = study_of(seeds=n + 16).run()
    assert first_settled([differences(more)], 0.02, 0.05, 1.0) == n
    assert_frame_equal(more.seeds.filter(pl.col("seed") < n), at_once.seeds, check_exact=True)
    (comparison,) = at_once.comparisons()
    assert comparison.sequential
    assert comparison.verdict in ("better", "better but negligible", "equivalent")
    assert at_once.conclusion.endswith(f"Stopped after {n} seeds, the first number that settles "
                                       "it, of at most 400.")  # fmt: skip
    assert at_once.self_calibration is not None
    with pytest.raises(ValueError, match="until_decided is True; self-calibration draws"):
        at_once.self_calibration("large", "small")
    with pytest.raises(ValueError, match="until_decided is True; lucky seeds draws"):
        at_once.lucky_seeds("large", "small")


def test_a_notebook_shows_the_conclusion_and_why_it_stopped(at_once):
    shown = at_once._repr_html_()
    assert "<strong>Results of small, large</strong><br>on circles(200" in shown
    for line in at_once.conclusion.split("\n"):
        assert html.escape(line) in shown
    assert len(shown) < 3000


@pytest.mark.parametrize("options", [{"threads": 2}, {"threads": 1}])
def test_threads_do_not_move_the_stop(at_once, options):
    found = study_of(**options).run_until_decided(max_seeds=400)
    assert_frame_equal(found.seeds, at_once.seeds, check_exact=True)
    assert found.conclusion == at_once.conclusion


def test_chunks_do_not_move_the_stop(at_once):
    found = study_of(chunk_size=7).run_until_decided(max_seeds=400)
    assert found.stopping == at_once.stopping


def test_it_goes_on_after_an_interruption_to_the_same_stop(at_once, tmp_path):
    class EndedError(Exception):
        pass

    def end(progress):
        if progress.seeds_done >= 32:
            raise EndedError

    with pytest.raises(EndedError):
        study_of(threads=1).run_until_decided(tmp_path, 400, end)
    with Store(tmp_path, must_exist=True) as store:
        n_before = len(store.finished_seeds())
    assert 32 <= n_before < at_once.stopping.n_seeds
    found = study_of().run_until_decided(tmp_path, 400)
    assert_frame_equal(found.seeds, at_once.seeds, check_exact=True)
    assert found.conclusion == at_once.conclusion


def test_seeds_that_are_there_count_in_their_order(at_once, tmp_path, monkeypatch):
    study_of(seeds=range(16, 48)).run(tmp_path)  # another look, and not the first seeds
    found = study_of().run_until_decided(tmp_path, 400)
    assert found.stopping == at_once.stopping
    assert found.conclusion == at_once.conclusion
    monkeypatch.setattr(ChunkTrainer, "train", lambda *_, **__: pytest.fail("trained again"))
    again = study_of().run_until_decided(tmp_path, 400)
    assert_frame_equal(again.seeds, at_once.seeds, check_exact=True)


def test_more_seeds_than_were_needed_do_no_harm(at_once, tmp_path):
    study_of(seeds=at_once.stopping.n_seeds + 30).run(tmp_path)
    found = study_of().run_until_decided(tmp_path, 400)
    assert found.stopping == at_once.stopping
    assert found.conclusion == at_once.conclusion


def test_a_later_look_at_a_fixed_number_says_that_there_was_an_earlier_one(tmp_path):
    study_of().run_until_decided(tmp_path, 400)
    (comparison,) = study_of(seeds=20).run(tmp_path).comparisons()
    assert comparison.earlier_looks == 1
    assert not comparison.sequential


def test_nothing_settles_it_at_the_most():
    found = study_of().run_until_decided(max_seeds=10)
    assert found.stopping == Stopping(10, 10, False)
    assert found.seeds.height == 20
    (comparison,) = found.comparisons()
    assert comparison.verdict == "inconclusive"
    assert found.conclusion.endswith("the most that were allowed: it is not settled.")
    assert comparison.seeds_needed > 10


def test_another_metric_and_several_models_stop_when_all_are_settled():
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    models = (
        estimator("stump", DecisionTreeClassifier(max_depth=1)),
        estimator("bayes", GaussianNB()),
        estimator("lr", LogisticRegression()),
    )
    study = Study(blobs(120), models, metric="brier_score", margin=0.2, baseline="stump")
    found = study.run_until_decided(max_seeds=200)
    assert found.stopping.is_settled
    gains = [found.scores("stump", "brier_score") - found.scores(name, "brier_score")
             for name in ("bayes", "lr")]  # fmt: skip
    assert first_settled([np.round(one, 12) for one in gains], 0.2, 0.025, 2.0) == len(gains[0])
    assert all(one.verdict != "inconclusive" for one in found.comparisons())
    assert found.mean_interval("lr", metric="log_loss") is None


def test_several_ranks_stop_there_too(at_once, tmp_path):
    import threading

    from functional_clf.workers.ranks import Rank

    store = dist.HashStore()
    leading, other = (Rank(index, 2, index, 2, store, secret=bytes(32)) for index in range(2))
    helped = study_of(seeds=400, until_decided=True, threads=1)
    codes = []
    thread = threading.Thread(target=lambda: codes.append(helped.assist(other)))
    thread.start()
    found = study_of(threads=1).run_until_decided(tmp_path, 400, rank=leading)
    thread.join(60)
    assert codes == [0]
    assert_frame_equal(found.seeds, at_once.seeds, check_exact=True)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (lambda: Study(fc.iris(), seeds=8), "until_decided is True, but vary is 'split'"),
        (lambda: Study(circles(100), vary="split"), "but vary is 'split', and splits of one"),
        (lambda: Study(circles(100), design="crossed", data_seeds=2, init_seeds=2), "is 'crossed'"),
        (
            lambda: Study(circles(100), metric="log_loss", margin=0.1),
            "but metric is 'log_loss', which has no upper bound",
        ),
        (lambda: Study(circles(100), (model_0(),)), "one contestant is compared with none"),
    ],
)
def test_what_has_no_such_interval_is_refused(study, message):
    with pytest.raises(ValueError, match=message):
        study().run_until_decided(max_seeds=8)


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="max_seeds is 0"):
        study_of().run_until_decided(max_seeds=0)


LESSON = ["run", "--samples", "200", "--until-decided", "--no-plots"]


def test_the_command_stops_and_its_file_runs_it_again(tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*LESSON, "--max-seeds", "100", "--out", str(out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    results = json.loads((out / "results.json").read_text())
    n = results["stopping"]["n_seeds"]
    assert results["stopping"] == {"n_seeds": n, "max_seeds": 100, "is_settled": True}
    assert f"Stopped after {n} seeds" in shown
    assert "time-uniform CI" in shown
    assert results["config"]["seeds"] == [0, n]
    assert results["comparisons"][0]["sequential"] is True
    run = tomllib.loads((out / "study.toml").read_text())["run"]
    assert (run["until_decided"], run["max_seeds"], "seeds" in run) == (True, 100, False)
    before = (out / "seeds.csv").read_bytes()
    assert main(["run", str(out / "study.toml"), "--no-plots"]) == 0
    assert (out / "seeds.csv").read_bytes() == before
    assert main(["run", str(out / "study.toml"), "--replay", str(n - 1)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--until-decided", "--seeds", "10"], "seeds is 0:10 and until_decided is True; say by"),
        (["--max-seeds", "10"], "max_seeds is 10; it has a meaning with until_decided alone"),
        (["--until-decided", "--max-seeds", "0"], "max_seeds is 0; it must be"),
        (["--until-decided", "--vary", "split"], "until_decided is True, but vary is 'split'"),
        (["--until-decided", "--data", "iris"], "until_decided is True, but vary is 'split'"),
        (["--until-decided", "--self-calibration"], "self_calibration is True; it needs a number"),
        (["--until-decided", "--design", "crossed"], "but design is 'crossed'"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, capsys, tmp_path):
    assert main(["run", *arguments, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message in told
    assert not (tmp_path / "out").exists()


def test_the_folder_is_compared_and_gated_as_what_was_looked_at(at_once, tmp_path):
    from functional_clf.score_tables.folders import scores_of_folder
    from functional_clf.score_tables.gate import gate, side_of

    study_of().run_until_decided(tmp_path / "until", 400)
    found = fc.compare_scores(tmp_path / "until").comparisons[0]
    assert found.sequential
    assert found.earlier_looks == 0
    study_of(seeds=range(200, 220)).run(tmp_path / "fixed")
    tables = [scores_of_folder(tmp_path / name) for name in ("until", "fixed")]
    result = gate(side_of(tables[0], "large", "--model"), side_of(tables[1], "small", "--model"))
    a, b = (table.shares(name) for table, name in zip(tables, ("large", "small"), strict=True))
    own = [time_uniform_interval(one, 0, 1, 0.025) for one in (a, b)]
    assert not result.is_paired
    assert result.interval == (own[0].low - own[1].high, own[0].high - own[1].low)
    at_once.seeds.write_csv(tmp_path / "until" / "seeds.csv")
    (doubt,) = [one for one in fc.compare_scores(tmp_path / "until" / "seeds.csv").doubts
                if "lies in a run folder" in one]  # fmt: skip
    assert "looked at as they came" in doubt
