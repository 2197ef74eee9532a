import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from functional_clf.contestants.mlp import model_0, model_1
from functional_clf.record.rows import ChunkResult
from functional_clf.record.store import Store
from functional_clf.study.execution import Execution
from functional_clf.study.study import Study
from functional_clf.workers.helper import Helper
from functional_clf.workers.launch import RankError
from functional_clf.workers.leader import Leader
from functional_clf.workers.ranks import Rank, launched_rank
from functional_clf.workers.threads import Workers

JOB = ["--samples", "80", "--epochs", "30", "--engine", "eager", "--no-plots"]


def alone(out, *args):
    command = [sys.executable, "-W", "error", "-m", "functional_clf.run", *JOB, "--out", out, *args]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=240)


def torchrun(out, *args, workers=2, options=()):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", workers,
        *options, "-m", "functional_clf.run", *JOB, "--out", out, *args,
    ]  # fmt: skip
    return subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def rank_process(agent, rank):
    """The process of a rank, once torchrun has started it."""
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
    for _ in range(1000):
        for child in children.read_text().split():
            if f"RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text():
                return int(child)
        time.sleep(0.02)
    raise AssertionError(f"rank {rank} was not started")


def kept(out):
    with Store(out) as store:
        return len(store.finished_seeds())


def wait_for_bytes(path, sizes):
    deadline = time.monotonic() + 90
    while not path.exists() or path.stat().st_size not in sizes:
        assert time.monotonic() < deadline
        time.sleep(0.02)


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds workers in /proc")


def test_one_process_two_workers_and_four_threads_give_the_same_bytes(tmp_path):
    job = torchrun(tmp_path / "ranks", "--seeds", 100)
    assert alone(tmp_path / "alone", "--seeds", 100, "--threads", 1).returncode == 0
    assert alone(tmp_path / "threads", "--seeds", 100, "--threads", 4).returncode == 0
    printed, complaint = job.communicate(timeout=120)
    assert job.returncode == 0, complaint
    assert printed.count("Verdict: ") == 1  # rank 0 alone prints
    tables = {
        (tmp_path / name / "seeds.csv").read_bytes() for name in ("ranks", "alone", "threads")
    }
    assert len(tables) == 1


@needs_proc
def test_a_killed_worker_ends_the_job_and_a_restart_continues_it(tmp_path):
    seeds = ["--seeds", 500]
    database = tmp_path / "out" / "study.sqlite"
    some, few = range(200_000, 10**9), range(100_000)
    job = torchrun(tmp_path / "out", *seeds)
    wait_for_bytes(database, some)
    os.kill(rank_process(job, 1), signal.SIGKILL)
    _, complaint = job.communicate(timeout=60)
    assert job.returncode == 1
    assert "stopped: finished chunks are kept" in complaint
    after_kill = kept(tmp_path / "out")
    assert 0 < after_kill < 500

    # Killed again, with elastic restarts: torchrun starts both again, and they finish.
    job = torchrun(tmp_path / "out", *seeds, "--fresh", options=("--max-restarts", 1))
    wait_for_bytes(database, few)
    wait_for_bytes(database, some)
    os.kill(rank_process(job, 1), signal.SIGKILL)
    _, complaint = job.communicate(timeout=120)
    assert job.returncode == 0, complaint
    assert f"--fresh deletes {after_kill} finished seeds" in complaint
    assert complaint.count("--fresh deletes") == 1  # not again after the restart

    assert alone(tmp_path / "undisturbed", *seeds).returncode == 0
    tables = [(tmp_path / name / "seeds.csv").read_bytes() for name in ("out", "undisturbed")]
    assert tables[0] == tables[1]


def test_a_user_error_is_said_once_and_a_second_job_is_refused(tmp_path):
    wrong = torchrun(tmp_path / "wrong", "--seeds", 0)
    with Store(tmp_path / "busy"):
        busy = torchrun(tmp_path / "busy", "--seeds", 5)
        for job, line in ((wrong, "error: seeds is 0"), (busy, "is in use by another process")):
            printed, complaint = job.communicate(timeout=120)
            assert (job.returncode, printed) == (1, "")  # torchrun's own code
            assert complaint.count(line) == 1
            assert "exitcode  : 2" in complaint
    assert not (tmp_path / "wrong").exists()


# The rest talks through a store in this process: ranks are threads.


SECRET = b"known to the ranks of this module alone"


def ranks(size):
    store = dist.HashStore()
    return [Rank(index, size, index, size, store, secret=SECRET) for index in range(size)]


def record_of(seeds):
    return ChunkResult([("m", seed) for seed in seeds], {}, {})


def slow_work(seeds, after_steps):
    time.sleep(0.05)
    after_steps(1)
    return record_of(seeds)


def led(leader, chunks, work=slow_work):
    """The seeds that a leader gets trained, in no order."""
    with leader, Workers(1) as workers:
        leader.start({"configuration": {}})
        records = [*leader.team(workers).map(work, chunks)]
        leader.end(0)
    return sorted(row[1] for record in records for row in record.rows)


def help_until_the_end(rank, work=slow_work):
    with Workers(1) as workers, Helper(rank, workers) as helper:
        assert helper.join() == {"configuration": {}}
        return helper.serve(work)


CHUNKS = [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(30)]
SEEDS = list(range(90))


def test_every_rank_trains_and_every_chunk_arrives_once():
    leading, *others = ranks(3)
    trained = {rank.index: 0 for rank in others}

    def counting(rank):
        def work(seeds, after_steps):
            trained[rank.index] += 1
            return slow_work(seeds, after_steps)

        return work

    with ThreadPoolExecutor(2) as pool:
        codes = [pool.submit(help_until_the_end, rank, counting(rank)) for rank in others]
        assert led(Leader(leading), CHUNKS) == SEEDS
        assert [code.result(10) for code in codes] == [0, 0]
    assert all(count > 3 for count in trained.values())


def test_what_a_lost_worker_was_training_is_trained_by_another():
    leading, other = ranks(2)
    with Workers(4) as workers:
        lost = Helper(other, workers)
        joined = threading.Thread(target=lost.join)
        joined.start()
        leader = Leader(leading, lost_after=1.5)

        def work(seeds, after_steps):
            if lost._own_pulse is not None:
                lost._own_pulse.stop()  # it dies with chunks in its hands
            return slow_work(seeds, after_steps)

        assert led(leader, CHUNKS, work) == SEEDS
        joined.join(10)


def test_a_late_worker_of_a_finished_job_leaves_and_one_of_a_dead_leader_gives_up():
    leading, other = ranks(2)
    assert led(Leader(leading), CHUNKS[:2]) == SEEDS[:6]
    with Workers(1) as workers, Helper(other, workers) as helper:
        assert helper.join() is None

    leading, other = ranks(2)
    Leader(leading).__exit__(None, None, None)  # it fails before it has said what to do
    with (
        Workers(1) as workers,
        Helper(other, workers, lost_after=1.5) as helper,
        pytest.raises(RankError, match="rank 1: rank 0 does not answer"),
    ):
        helper.join()


def test_a_worker_of_a_failed_job_leaves_with_its_code():
    leading, other = ranks(2)

    def failing(seeds, after_steps):
        time.sleep(1)  # the other has joined by now
        raise ValueError("broken")

    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(help_until_the_end, other)
        with pytest.raises(ValueError, match="broken"):
            led(Leader(leading), CHUNKS, failing)
        assert code.result(10) == 1


def test_nothing_that_a_former_life_left_in_the_store_is_believed():
    leading, other = ranks(2)
    dead = Leader(leading)
    dead.start({"configuration": {"of": "the dead"}})
    dead._pulse.stop()
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(help_until_the_end, other)
        time.sleep(0.3)  # by now it waits for the dead one
        assert led(Leader(leading), CHUNKS) == SEEDS
        assert code.result(10) == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vary": "init"}, "vary is 'init' there"),
        ({"seeds": [0, 9]}, r"seeds is \[0, 9\] there, \[0, 4\] asked"),
        ({"save_params": True}, "save_params is True there, False asked"),
        ({"engine": "none such"}, "engine is 'none such'"),
        ({"chunk_size": "wide"}, "chunk_size is 'wide' there"),
    ],
)
def test_a_worker_refuses_to_help_with_another_study(changed, told):
    leading, other = ranks(2)
    with Leader(leading) as leader, Workers(1) as workers, ThreadPoolExecutor(1) as pool:
        study = Study(seeds=4, engine="eager")
        trainer = Execution(study)._trainer(torch.device("cpu"))
        configuration = Execution(study)._configuration(study.identity(), trainer, "eager")
        leader.start({**Execution(study)._job(configuration), **changed})
        code = pool.submit(study.assist, other)
        training = pool_of_one(leader, workers)
        with pytest.raises(RankError, match=rf"rank 1 runs another study than rank 0: {told}"):
            code.result(10)
        training.set()


def pool_of_one(leader, workers):
    """Let a leader train in a thread of its own until the event is set."""
    done = threading.Event()

    def work(seeds, after_steps):
        done.wait(20)
        return record_of(seeds)

    threading.Thread(target=lambda: list(leader.team(workers).map(work, [[0]]))).start()
    return done


def test_records_pass_between_ranks_bit_for_bit():
    recipes = (model_0(epochs=3), model_1(epochs=3))
    record, _ = Study(contestants=recipes, engine="eager", chunk_size=3).retrain([0, 1, 2])
    leading, other = ranks(2)
    sent = record._replace(rows=[(*row[:9], float("nan"), *row[10:]) for row in record.rows])

    def late(seeds, after_steps):
        time.sleep(0.5)
        return sent

    with ThreadPoolExecutor(1) as pool:
        pool.submit(help_until_the_end, other, lambda seeds, after_steps: sent)
        with Leader(leading) as leader, Workers(1) as workers:
            leader.start({"configuration": {}})
            got = [*leader.team(workers).map(late, [[0], [1], [2], [3], [4], [5]])]
            leader.end(0)
    assert len(got) == 6
    for one in got:
        assert [repr(row) for row in one.rows] == [repr(row) for row in sent.rows]
        for kind in ("curves", "params"):
            there, here = getattr(sent, kind), getattr(one, kind)
            assert {key: value.tobytes() for key, value in there.items()} == {
                key: value.tobytes() for key, value in here.items()
            }
            assert [value.dtype for value in there.values()] == [here[k].dtype for k in there]


def test_a_process_of_its_own_has_no_rank():
    assert launched_rank({}) is None
    assert launched_rank({"RANK": "1", "WORLD_SIZE": "4"}) is None  # of some other launcher
    assert launched_rank({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "1"}) is None


def test_each_rank_takes_a_device_and_its_share_of_the_cores(monkeypatch):
    last = Rank(7, 8, local_index=3, local_size=4, store=dist.HashStore())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [last.device(name) for name in ("auto", "cuda", "cpu", "cuda:1")] == [
        "cuda:3", "cuda:3", "cpu", "cuda:1",
    ]  # fmt: skip
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RankError, match=r"rank 7 .* 2 CUDA devices"):
        last.device("auto")
    monkeypatch.setattr("functional_clf.workers.ranks.available_cores", lambda: 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert last.threads() == 4
