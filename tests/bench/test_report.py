import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.peers import CLASSIC, JAX, OURS
from bench.peers.minibatches import JAX_RECORDED, UNRECORDED
from bench.pictures import write_pictures
from bench.report import Command, render, wall_lines
from bench.runs import Run, read_runs, with_new, write_runs
from bench.scaling import peak_memory
from bench.settings import Settings
from bench.summary import (
    IN_BATCHES,
    Line,
    break_even,
    minibatches,
    overhead_share,
    processes,
    recording,
    scaling,
    standard_job,
    targets,
    whole_job,
)

ROOT = Path(__file__).parents[2]
MACHINE = {"CPU": "one", "cores": "2"}


def job_record(peer, n, wall, model="model_1"):
    return {
        "section": "standard_job", "model": model, "peer": peer, "round": n, "wall": wall,
        "seeds": 10, "epochs": 100, "variant": "plain", "disagreement": 1e-6, "first_call": 2.0,
        "probes": {"plain": 1e-5, "fancy": 2e-5},
    }  # fmt: skip


def batches_record(work, peer, n, wall):
    job = {"seeds": 64, "epochs": 50, "samples": 455, "layer_sizes": [30, 64, 64, 1]}
    return {
        **job_record(peer, n, wall, work), "section": "minibatches",
        "job": {**job, "batch_size": 64}, **({"engine": "fused"} if peer == OURS.name else {}),
    }  # fmt: skip


def a_run_of(records, date="2026-01-31", **settings):
    return Run("python -m bench.report", date, 12, MACHINE, Settings(**settings), records)


def process_record(state, engine, wall, n=0, seeds=64, **timings):
    return {
        "section": "process", "state": state, "engine": engine, "round": n, "wall": wall,
        "seeds": seeds, "ran": "compile", "reason": "it is cached", "timings": timings,
    }  # fmt: skip


def a_run():
    """Records in which every target is met."""
    records = []
    for n, ours in enumerate([1.0, 2.0, 1.5]):  # a machine that slows down slows all peers
        for peer, times in ((OURS, 1), (JAX, 2), (CLASSIC, 20)):
            records.append(job_record(peer.name, n, times * ours))
            records += [batches_record(work, peer.name, n, times * ours) for work in IN_BATCHES]
        for peer, times in ((UNRECORDED, 0.9), (JAX_RECORDED, 2)):
            records += [batches_record(work, peer.name, n, times * ours) for work in IN_BATCHES]
    for seeds, seconds in ((512, 5.12), (4096, 41.0)):
        records.append(
            {"section": "scaling", "seeds": seeds, "round": 0, "seconds": seconds,
             "peak_memory": 500 * 2**20, "wall": seconds}
        )  # fmt: skip
    records += [
        process_record("cold", "auto", 21.0, train=14.0, compile=1.0),
        process_record("cold", "compile", 30.0, train=3.0, compile=22.0),
        process_record("warm", "auto", 9.0, train=3.0, compile=2.0),
        process_record("warm", "eager", 20.0, train=16.0, compile=0.0),
        process_record("warm", "compile", 9.0, train=4.0, compile=2.0),
        process_record("large", "auto", 100.0, seeds=4096, train=80.0, data=5.0, statistics=1.0,
                       plots=3.0, export=1.0),
    ]  # fmt: skip
    for n in range(3):
        for what, wall in (("recorded", 1.02), ("unrecorded", 1.0)):
            records.append(
                {"section": "recording", "model": "model_1", "round": n, "what": what, "wall": wall}
            )
    return records


def test_ratios_are_taken_within_each_round():
    summary = standard_job(a_run())["model_1"]
    assert summary[OURS.name].speed.median == pytest.approx(1000 / 1.5)
    assert summary[JAX.name].ours_is == pytest.approx((2.0, 2.0, 2.0))
    assert summary[CLASSIC.name].ours_is == pytest.approx((20.0, 20.0, 20.0))


def test_without_ours_there_is_no_ratio():
    assert standard_job([job_record(JAX.name, 0, 1.0)])["model_1"][JAX.name].ours_is is None


def test_scaling_and_recording_and_overhead():
    records = a_run()
    assert scaling(records)[512].seconds_per_seed.median == pytest.approx(0.01)
    assert recording(records)["model_1"].median == pytest.approx(0.02)
    assert overhead_share(processes(records)["large", "auto"]) == pytest.approx(0.1)


def test_what_no_stage_accounts_for_is_shown():
    stages = processes(a_run())["warm", "auto"].stages
    assert stages == {"train": 3.0, "compile": 2.0, "other": pytest.approx(4.0)}


def test_break_even():
    lines = wall_lines(processes(a_run()))
    assert lines["eager"] == Line(fixed=4.0, per_seed=0.25)
    assert break_even(lines["compile, cold"], lines["eager"]) == pytest.approx(23 / (13 / 64))
    assert break_even(Line(1.0, 1.0), Line(2.0, 2.0)) == 0
    assert break_even(Line(3.0, 2.0), Line(2.0, 1.0)) is None


def test_every_target_is_met_by_the_good_run():
    assert [(one.promise, one.met) for one in targets(a_run()) if not one.met] == []


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        (lambda one: one.get("peer") == OURS.name, [0, 1, 8, 9, 12, 15]),
        (lambda one: one["section"] == "scaling" and one["seeds"] == 4096, [2]),
        (lambda one: (one.get("state"), one.get("engine")) == ("warm", "auto"), [4]),
        (lambda one: (one.get("state"), one.get("engine")) == ("cold", "auto"), [5]),
        (lambda one: one.get("what") == "recorded", [6]),
    ],
)
def test_a_target_that_is_missed_is_said_to_be(slow, expected):
    records = [
        {**one, "wall": 1.5 * one["wall"], "seconds": 1.5 * one.get("seconds", 0)}
        if slow(one)
        else one
        for one in a_run()
    ]
    assert [n for n, one in enumerate(targets(records)) if one.met is False] == expected


def test_what_was_not_measured_is_said_not_to_be():
    assert {one.met for one in targets([])} == {None}
    records = [process_record("large", "auto", 100.0, seeds=4096, train=80.0)]
    assert targets(records)[7].met is None
    assert "does not time data, statistics" in render([a_run_of(records)], [])


def test_the_report_shows_every_section(tmp_path):
    records = a_run()
    found = processes(records)
    drawn = write_pictures(
        tmp_path,
        standard_job(records),
        minibatches(records),
        scaling(records),
        found,
        wall_lines(found),
    )
    names = {path.stem for path in drawn}
    assert names == {"standard_job", "minibatches", "scaling", "process", "break_even"}
    text = render([a_run_of(records)], names)
    assert text.count(" met |") == 17
    assert all(f"({name}.png)" in text for name in names)
    assert "no GPU was at hand" in text or "Not measured in this run" in text
    assert "**not met**" not in text


def test_a_peer_that_trains_a_part_is_told_by_the_seconds_of_the_whole():
    record = batches_record("digits", JAX.name, 0, 3.0)  # of 10 seeds x 100 epochs
    assert whole_job(minibatches([record])["digits"][JAX.name]) == pytest.approx((9.6, 9.6, 9.6))


def test_sections_that_are_not_measured_again_keep_their_figures_machine_and_date(tmp_path):
    path = tmp_path / "report.json"
    assert read_runs(path) == []
    write_runs(path, [a_run_of(a_run(), date="2026-01-30", scaling_epochs=7)])
    again = a_run_of([batches_record("digits", OURS.name, 0, 1.0)])
    write_runs(path, with_new(again, read_runs(path)))
    new, old = read_runs(path)
    assert new == again
    assert (old.date, old.settings.scaling_epochs) == ("2026-01-30", 7)
    assert "minibatches" not in old.sections
    assert {"standard_job", "scaling"} < set(old.sections)
    text = render([new, old], [])
    assert "| date | 2026-01-31 | 2026-01-30 |" in text
    assert "a run folder, 7 epochs" in text


def test_a_record_of_another_form_is_not_overwritten(tmp_path):
    path = tmp_path / "report.json"
    path.write_text('{"records": []}')
    with pytest.raises(ValueError, match="move it away"):
        read_runs(path)


def test_a_quick_report_does_not_replace_the_committed_one(tmp_path):
    assert Command(quick=True).folder().name != "results"
    assert Command(quick=True, out=tmp_path).folder() == tmp_path
    assert Command().folder().name == "results"


def test_quick_keeps_the_device():
    assert Command(device="cuda", quick=True).settings() == Settings(device="cuda").shrunk()
    assert Command(seeds=7).settings() == Settings(seeds=7)


def test_rounds_are_interleaved():
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "bench", "--collect-only", "-q",
         "--bench-rounds=2", "-p", "no:cacheprovider"],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    order = [line for line in listed.splitlines() if "test_standard_job[model_1" in line]
    peers = [line.split("-", 2)[2] for line in order]
    half = len(peers) // 2
    assert half > 3
    assert peers[:half] == peers[half:]
    assert len(set(peers[:half])) == half


def test_peak_memory_never_falls():
    before = peak_memory()
    held = bytearray(os.urandom(1)) * (64 * 2**20)
    assert before > 2**20
    assert peak_memory() >= before
    assert len(held) == 64 * 2**20
