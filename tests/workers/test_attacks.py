"""Peers without the job's secret, who reach torchrun's store: nothing they write is believed."""

import contextlib
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
import torch.distributed as dist

from functional_clf.engines.cache import cache_folder
from functional_clf.record.rows import ChunkResult
from functional_clf.record.store import Store
from functional_clf.workers import mail
from functional_clf.workers import session as sessions
from functional_clf.workers.helper import Helper
from functional_clf.workers.launch import SECRET_VARIABLE, RankError
from functional_clf.workers.leader import Leader
from functional_clf.workers.mail import Inbox, Outbox, Pulse
from functional_clf.workers.ranks import Rank
from functional_clf.workers.session import PART_BYTES, Session
from functional_clf.workers.threads import Workers

SECRET, OTHER_SECRET = (
    b"known to the ranks of this job alone",
    b"what somebody else has made up",
)
NOT_SIGNED = "not signed with this job's secret"
STORES = int(os.environ.get("FUZZ_STORES", "16"))
"""So many jobs whose store somebody meddles with; more find more."""
CHUNKS = [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(8)]


@pytest.fixture(autouse=True)
def quick_pulses(monkeypatch):
    monkeypatch.setattr(mail, "PULSE_SECONDS", 0.05)


def ranks(secret=SECRET):
    store = dist.HashStore()
    return [Rank(index, 2, index, 2, store, secret=secret) for index in range(2)]


def record_of(seeds):
    return ChunkResult([("m", seed) for seed in seeds], {"m/curve": np.zeros(len(seeds))}, {})


def work(seeds, after_steps):
    time.sleep(0.02)
    return record_of(seeds)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    if not str(cache_folder("jobs")).startswith(str(folder)):
        pytest.skip("the temporary folder of this test is not closed to others")
    return cache_folder("jobs")


class Peer:
    """Another rank that has the secret, and does what a test has it do."""

    def __init__(self, store, secret=SECRET, name="1-peer"):
        self.raw, self.name = store, name
        self.session = Session(store, store.get("session").decode(), secret)
        self.inbox = Inbox(self.session, f"to/{name}")
        self.outbox = Outbox(self.session, f"from/{name}")
        self.pulse = Pulse(
            self.session, f"pulse/{name}", lambda: (0, self.inbox.received, self.outbox.sent)
        )

    def join(self):
        self.session.set("join/1", json.dumps([self.name, 1]).encode())

    def next(self):
        while (message := self.inbox.receive()) is None:
            time.sleep(0.01)
        return message.header

    def place(self, name):
        """The key of torchrun's store at which something of this session lies."""
        return f"{self.session.name}/{name}"


def led(leader, workers, check=lambda seeds, result: None, own_work=work):
    """The seeds that a leader gets trained, in order."""
    leader.start({"configuration": {}})
    records = [*leader.team(workers, check).map(own_work, CHUNKS)]
    leader.end(0)
    return sorted(row[1] for record in records for row in record.rows)


@contextlib.contextmanager
def leading(check=lambda seeds, result: None, lost_after=60.0, own_seconds=1.0):
    """A leader at work in a thread, slowly, so that there is something to deal."""

    def slow(seeds, after_steps):
        for _ in range(50):
            time.sleep(own_seconds / 50)
            after_steps(0)
        return record_of(seeds)

    rank, _ = ranks()
    with (
        ThreadPoolExecutor(1) as pool,
        Leader(rank, lost_after) as leader,
        Workers(1) as workers,
    ):
        peer = Peer(rank.store)
        try:
            yield peer, pool.submit(led, leader, workers, check, slow)
        finally:
            peer.pulse.stop()


def signed_elsewhere(session, name, value, secret=SECRET):
    """What lies in the store where a value was signed in another session or by another secret."""
    store = dist.HashStore()
    Session(store, session, secret).set(name, value)
    return store.get(f"{session}/{name}")


JUNK = {
    "empty": b"",
    "short": b"x",
    "zeros": bytes(100),
    "text": b'["1-peer", 4]',
    "deep": b"[" * 100_000,
    "large": bytes(7 * 2**20),
    "huge length": bytes(64) + b"\xff" * 8,
    "pickle": b"cos\nsystem\n(S'true'\ntR.",
}


def forgeries(session, name, value):
    """What somebody without the secret may put where a value is expected."""
    signed = signed_elsewhere(session, name, value)
    return {
        **JUNK,
        "another secret": signed_elsewhere(session, name, value, OTHER_SECRET),
        "another session": signed_elsewhere("0" * 16, name, value),
        "another place": signed_elsewhere(session, f"{name}0", value),
        "cut": signed[:-1],
        "longer": signed + b"x",
        "turned": signed[:-1] + bytes([signed[-1] ^ 1]),
        "its signature turned": bytes([signed[0] ^ 1]) + signed[1:],
    }


KINDS = [*forgeries("s", "n", b"value")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_forged_member_ends_the_job(kind):
    with leading() as (peer, job):
        value = json.dumps([peer.name, 4]).encode()
        peer.raw.set(peer.place("join/1"), forgeries(peer.session.name, "join/1", value)[kind])
        with pytest.raises(RankError, match=f"'join/1' that is {NOT_SIGNED}"):
            job.result(20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_forged_answer_is_not_believed(kind):
    with leading() as (peer, job):
        name = f"from/{peer.name}/0"
        honest = dist.HashStore()
        Outbox(Session(honest, peer.session.name, SECRET), f"from/{peer.name}").send(
            {"chunk": 1, "rows": [["m", 3]]}
        )
        head = sessions._TAG_BYTES + sessions._DIGEST_BYTES + sessions._LENGTH_BYTES
        value = honest.get(peer.place(name))[head:]
        peer.raw.set(peer.place(name), forgeries(peer.session.name, name, value)[kind])
        peer.join()
        with pytest.raises(RankError, match=f"{name}.*{NOT_SIGNED}"):
            job.result(20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_forged_pulse_keeps_nobody_alive(kind):
    with leading() as (peer, job):
        peer.join()
        peer.next()
        peer.pulse.stop()
        name = f"pulse/{peer.name}"
        peer.raw.set(peer.place(name), forgeries(peer.session.name, name, b"[9, 9, 9, 9]")[kind])
        with pytest.raises(RankError, match=f"{name}.*{NOT_SIGNED}"):
            job.result(20)


@contextlib.contextmanager
def helping(secret=SECRET, lost_after=20.0):
    """A helper at work in a thread."""
    leading_rank, other = ranks(secret)

    def help_until_the_end():
        with Workers(1) as workers, Helper(other, workers, lost_after) as helper:
            assert helper.join() == {"configuration": {}}
            return helper.serve(work)

    with ThreadPoolExecutor(1) as pool:
        yield leading_rank, pool.submit(help_until_the_end)


def joined(session):
    while (found := session.get("join/1")) is None:
        time.sleep(0.01)
    return json.loads(found)[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", ["job", "deal"])
def test_a_forged_deal_is_not_trained(kind, message):
    with helping() as (rank, helping_job), Leader(rank) as leader:
        name = joined(leader._session)
        outbox = Outbox(leader._session, f"to/{name}")
        if message == "deal":
            outbox.send({"configuration": {}})
        place = f"to/{name}/{outbox.sent}"
        value = b'{"chunk": 0, "seeds": [1, 2]}'
        rank.store.set(
            f"{leader._session.name}/{place}", forgeries(leader._session.name, place, value)[kind]
        )
        with pytest.raises(RankError, match=f"rank 1: .*{place}.*{NOT_SIGNED}"):
            helping_job.result(20)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["end", "pulse/0"])
def test_a_forged_leader_is_not_followed(kind, place):
    with helping() as (rank, helping_job), Leader(rank) as leader:
        joined(leader._session)
        leader._pulse.stop()
        value = b"0" if place == "end" else b"[9, 9, 9, 9]"
        rank.store.set(
            f"{leader._session.name}/{place}", forgeries(leader._session.name, place, value)[kind]
        )
        with pytest.raises(RankError, match=f"rank 1: .*'{place}'.*{NOT_SIGNED}"):
            helping_job.result(20)


@pytest.mark.parametrize(
    "name", ["", "x", "../../../etc/passwd", "0" * 17, "0123456789abcdeg", "\x00" * 16, "é" * 16]
)
def test_a_session_of_no_form_is_refused(name):
    with helping() as (rank, helping_job):
        rank.store.set("session", name)
        with pytest.raises(RankError, match="rank 1: torchrun's store names no session"):
            helping_job.result(20)


def test_a_session_that_somebody_else_leads_is_refused():
    with (
        helping() as (rank, helping_job),
        Leader(Rank(0, 2, 0, 2, rank.store, secret=OTHER_SECRET)),
        pytest.raises(RankError, match=f"rank 1: .*{NOT_SIGNED}"),
    ):
        helping_job.result(20)


def test_a_session_that_somebody_else_names_is_left_for_ours(own_cache):
    """Who has no file here has no secret that we would believe."""
    with helping(secret=None) as (rank, helping_job):
        rank.store.set("session", "0" * 16)
        time.sleep(0.1)
        with Leader(rank) as leader, Workers(1) as workers:
            joined(leader._session)
            assert led(leader, workers) == [seed for chunk in CHUNKS for seed in chunk]
            assert helping_job.result(20) == 0
    assert list(own_cache.iterdir()) == []  # all had joined, so nobody needs the secret any more


def test_an_old_answer_is_no_answer_to_another_chunk():
    with leading() as (peer, job):
        peer.join()
        peer.next()
        first = peer.next()
        copied = {}

        def copy(name, value, send=peer.session.set):
            send(name, value)
            copied[name] = peer.raw.get(peer.place(name))

        peer.session.set = copy
        peer.outbox.send({"chunk": first["chunk"], "rows": record_of(first["seeds"]).rows})
        peer.raw.set(peer.place(f"from/{peer.name}/1"), copied[f"from/{peer.name}/0"])
        with pytest.raises(RankError, match=f"from/{peer.name}/1.*{NOT_SIGNED}"):
            job.result(20)


def test_a_deal_to_a_former_life_is_none_to_this_one():
    with helping() as (rank, helping_job), Leader(rank) as leader:
        name = joined(leader._session)
        Outbox(leader._session, "to/1-dead").send({"configuration": {}})
        old = rank.store.get(f"{leader._session.name}/to/1-dead/0")
        rank.store.set(f"{leader._session.name}/to/{name}/0", old)
        with pytest.raises(RankError, match=NOT_SIGNED):
            helping_job.result(20)


def test_an_old_pulse_is_no_sign_of_life():
    """The dead one's chunk is trained by another, though somebody repeats its last pulse."""
    with leading(lost_after=0.5, own_seconds=0.1) as (peer, job):
        peer.join()
        peer.next()
        assert peer.next()["seeds"]
        peer.pulse.stop()
        old = peer.raw.get(peer.place(f"pulse/{peer.name}"))
        deadline = time.monotonic() + 20
        while not job.done():
            assert time.monotonic() < deadline
            peer.raw.set(peer.place(f"pulse/{peer.name}"), old)
            time.sleep(0.01)
        assert job.result() == [seed for chunk in CHUNKS for seed in chunk]


@pytest.mark.parametrize("which", ["deals", "answers"])
def test_messages_that_somebody_deletes_are_missed(which):
    with leading() as (peer, job):
        peer.join()
        peer.next()
        if which == "answers":
            deal = peer.next()
            send = peer.session.set
            peer.session.set = lambda name, value: None  # gone before rank 0 has seen it
            peer.outbox.send({"chunk": deal["chunk"], "rows": []})
            peer.session.set = send
        else:
            while not peer.session.has(f"to/{peer.name}/1"):
                time.sleep(0.01)
            peer.raw.delete_key(peer.place(f"to/{peer.name}/1"))
        with pytest.raises(RankError, match="a message between rank 0 and rank 1 has vanished"):
            job.result(20)


def test_a_job_whose_every_key_is_deleted_ends_in_a_line():
    with helping(lost_after=0.5) as (rank, helping_job), Leader(rank) as leader:
        name = joined(leader._session)
        leader._pulse.stop()
        for key in ("session", *(f"{leader._session.name}/{one}" for one in ("pulse/0", "join/1"))):
            rank.store.delete_key(key)
        with pytest.raises(RankError, match="rank 1: rank 0 does not answer"):
            helping_job.result(20)
        assert name


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ({"chunk": 7, "rows": []}, "sent chunk 7, which it was not dealt"),
        ({"chunk": "0", "rows": []}, "sent chunk '0', which it was not dealt"),
        ({"chunk": True, "rows": []}, "sent chunk True, which it was not dealt"),
        ({"rows": []}, "sent chunk None, which it was not dealt"),
        ({"chunk": "own"}, "without rows"),
        ({"chunk": "own", "rows": [3]}, "without rows"),
        ({"chunk": "own", "rows": [["m", 999]]}, "another result .* of the chunk.*: not the seeds"),
    ],
)
def test_an_answer_of_another_form_is_refused(header, line):
    def check(seeds, result):
        if [row[1] for row in result.rows] != seeds:
            raise ValueError("not the seeds")

    with leading(check) as (peer, job):
        peer.join()
        peer.next()
        deal = peer.next()
        asked = deal["chunk"] if header.get("chunk") == "own" else header.get("chunk")
        peer.outbox.send({**header, "chunk": asked})
        with pytest.raises(RankError, match=f"rank 1 {line}|rank 1 .*{line}"):
            job.result(20)


def test_a_chunk_is_answered_once():
    with leading() as (peer, job):
        peer.join()
        peer.next()
        deal = peer.next()
        for _ in range(2):
            peer.outbox.send({"chunk": deal["chunk"], "rows": record_of(deal["seeds"]).rows})
        with pytest.raises(RankError, match=f"sent chunk {deal['chunk']}, which it was not dealt"):
            job.result(20)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"chunk": 0},
        {"chunk": 0, "seeds": []},
        {"chunk": 0, "seeds": "0"},
        {"chunk": 0, "seeds": [-1]},
        {"chunk": 0, "seeds": [0.5]},
        {"chunk": 0, "seeds": [True]},
        {"chunk": 0, "seeds": [2**40]},
        {"chunk": None, "seeds": [1]},
    ],
)
def test_a_deal_of_another_form_is_refused(header):
    with helping() as (rank, helping_job), Leader(rank) as leader:
        outbox = Outbox(leader._session, f"to/{joined(leader._session)}")
        outbox.send({"configuration": {}})
        outbox.send(header)
        with pytest.raises(RankError, match="rank 1: rank 0 dealt chunk"):
            helping_job.result(20)


def packed(*parts):
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"x", packed(), packed(b"{}"), packed(b"{}", b"", b"", b""), packed(b"", b"", b""),
        packed(b"[]", b"", b""), packed(b"[" * 100_000, b"", b""), packed(b"{}", b"x", b""),
        packed(b"{}", b"\xff" * 8, b""), packed(b"\xff", b"", b""), (2**63).to_bytes(8, "little"),
    ],
    ids=range(12),
)  # fmt: skip
def test_a_message_of_another_form_is_told_in_a_line(value):
    session = Session(dist.HashStore(), "0" * 16, SECRET)
    session.set("box/0", value)
    with pytest.raises(RankError, match="box/0 is no message of this version") as caught:
        Inbox(session, "box").receive()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES - 1])
def test_values_of_any_length_pass_through_torchs_store(length):
    """It breaks with whoever sends it more than 8 MiB at once."""
    store = dist.TCPStore(
        "127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=20), wait_for_workers=False
    )
    session = Session(store, "0" * 16, SECRET)
    value = np.random.default_rng(length).bytes(length)
    session.set("value", value)
    assert session.get("value") == value
    session.delete("value", length)
    assert session.get("value") is None
    assert store.num_keys() <= 1  # its own


@pytest.mark.parametrize("damage", ["deleted", "swapped", "turned"])
def test_a_part_that_was_changed_is_noticed(damage):
    store = dist.HashStore()
    session = Session(store, "0" * 16, SECRET)
    session.set("value", bytes(PART_BYTES) + b"\1" * PART_BYTES + b"\2" * PART_BYTES)
    first, second = (f"{session.name}/value/part/{number}" for number in (1, 2))
    if damage == "deleted":
        store.delete_key(second)
    elif damage == "swapped":
        parts = store.get(first), store.get(second)
        store.set(second, parts[0])
        store.set(first, parts[1])
    else:
        store.set(first, b"\1" * (PART_BYTES - 1) + b"\0")
    with pytest.raises(RankError, match=NOT_SIGNED):
        session.get("value")


class Meddler:
    """A store in which somebody changes one of the values that are written, or more."""

    def __init__(self, seed):
        self.store = dist.HashStore()
        self.random = np.random.default_rng(seed)
        self.first = int(self.random.integers(1, 25))  # what is written before is left alone
        self.writes, self.seen, self.lock = 0, [], threading.Lock()

    def check(self, keys):
        return self.store.check(keys)

    def get(self, key):
        return self.store.get(key)

    def delete_key(self, key):
        return self.store.delete_key(key)

    def set(self, key, value):
        value = value.encode() if isinstance(value, str) else value
        with self.lock:
            self.writes += 1
            is_later = self.writes > self.first
            if self.writes == self.first or (is_later and self.random.random() < 0.1):
                value = self.changed(value)
            self.seen.append(value)
        if value is not None:
            self.store.set(key, value)

    def changed(self, value):
        """The value with a bit turned, cut, lengthened, an older one of any key, or none at all."""
        how = self.random.integers(6)
        place = int(self.random.integers(len(value)))
        if how == 0:
            return value[:place] + bytes([value[place] ^ 1 << place % 8]) + value[place + 1 :]
        if how == 1:
            return value[:place]
        if how == 2:
            return value + self.random.bytes(place + 1)
        if how == 3:
            return self.random.bytes(len(value))
        older = [one for one in self.seen if one is not None]
        return older[int(self.random.integers(len(older)))] if how == 4 and older else None


@pytest.mark.parametrize("seed", range(STORES))
def test_whatever_becomes_of_the_store_there_is_the_truth_or_a_line(seed):
    def true_work(seeds, after_steps):
        time.sleep(0.01)
        return ChunkResult(
            [("m", one, 0.1 * one) for one in seeds], {"m/curve": 7.0 * np.array(seeds)}, {}
        )

    store = Meddler(seed)
    rank, other = (Rank(index, 2, index, 2, store, secret=SECRET) for index in range(2))

    def help_until_the_end():
        with Workers(1) as workers, Helper(other, workers, 1.0) as helper:
            return None if helper.join() is None else helper.serve(true_work)

    def lead():
        with Leader(rank, 1.0) as leader, Workers(1) as workers:
            leader.start({"configuration": {}})
            found = [*leader.team(workers).map(true_work, CHUNKS * 3)]
            leader.end(0)
        return found

    outcomes = []
    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(help_until_the_end), pool.submit(lead)]:
            try:
                outcomes.append(job.result(30))
            except RankError as error:
                outcomes.append(str(error))
    assert not any("\n" in one for one in outcomes if isinstance(one, str))
    helped, found = outcomes
    assert helped in (None, 0, 1) or helped.startswith("rank 1: ")
    assert store.writes >= store.first
    if not isinstance(found, str):
        assert len(found) == 3 * len(CHUNKS)
        for one in found:
            seeds = [row[1] for row in one.rows]
            assert seeds in CHUNKS
            assert [*one.rows] == [("m", seed, 0.1 * seed) for seed in seeds]
            np.testing.assert_array_equal(one.curves["m/curve"], 7.0 * np.array(seeds))


# The secret that rank 0 makes for the ranks of its machine.


def test_the_secret_of_a_session_is_in_a_file_of_this_user_alone(own_cache):
    store = dist.HashStore()
    ours = sessions.begin(store, None)
    (file,) = own_cache.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == (ours.name, 0o600)
    assert (own_cache.stat().st_mode & 0o777, file.stat().st_size) == (0o700, 32)
    theirs = sessions.current(store, None)
    assert theirs is not None
    ours.set("note", b"text")
    assert theirs.get("note") == b"text"
    again = sessions.begin(store, None)
    again.set("note", b"new")
    with pytest.raises(RankError, match=NOT_SIGNED):  # each has a secret of its own
        Session(store, again.name, theirs._secret).get("note")
    sessions.end(ours)
    sessions.end(ours)
    assert [one.name for one in own_cache.iterdir()] == [again.name]


def test_an_old_secret_is_removed_by_a_later_job(own_cache):
    store = dist.HashStore()
    old, young = (sessions.begin(store, None) for _ in range(2))
    os.utime(own_cache / old.name, (time.time() - sessions.KEPT_SECONDS - 9,) * 2)
    new = sessions.begin(store, None)
    assert {one.name for one in own_cache.iterdir()} == {young.name, new.name}


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users are told apart by numbers")
@pytest.mark.parametrize("planted", ["a link", "written by others", "a pipe", "of another user"])
def test_a_secret_that_somebody_else_may_know_is_refused(own_cache, tmp_path, planted):
    store = dist.HashStore()
    session = sessions.begin(store, None)
    path = own_cache / session.name
    if planted == "a link":
        shutil.move(path, tmp_path / "secret")
        path.symlink_to(tmp_path / "secret")
    elif planted == "a pipe":
        path.unlink()
        os.mkfifo(path, 0o600)
    elif planted == "of another user":
        if os.geteuid() != 0:
            pytest.skip("needs root, to give a file away")
        os.chown(path, 65534, 65534)
    else:
        path.chmod(0o666)
    with pytest.raises(RankError, match="the job's secret cannot be read"):
        sessions.current(store, None)


def test_a_helper_that_finds_no_secret_says_what_to_set(own_cache):
    with helping(secret=None, lost_after=0.3) as (rank, helping_job):
        rank.store.set("session", "0" * 16)
        with pytest.raises(
            RankError, match=f"rank 1: .*its secret is not found.*{SECRET_VARIABLE}"
        ):
            helping_job.result(20)


def test_a_later_job_keeps_the_secret_of_one_that_runs_for_days(own_cache):
    rank, _ = ranks(secret=None)
    with Leader(rank) as leader:
        file = own_cache / leader._session.name
        os.utime(file, (time.time() - sessions.KEPT_SECONDS - 9,) * 2)
        deadline = time.monotonic() + 5
        while time.time() - file.stat().st_mtime > 60 and time.monotonic() < deadline:
            time.sleep(0.02)
        sessions.begin(dist.HashStore(), None)
        assert sessions.current(rank.store, None) is not None
        file.unlink()
        time.sleep(0.2)
        assert leader._pulse._thread.is_alive()  # a file that is gone is no fault of the job


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """Where compiled code has no place but a temporary folder of each process."""
    shared = tmp_path / "all users"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", os.devnull)
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    return shared


needs_modes = pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no other users")


def another_process_finds(store, shared):
    """Whether a process of its own cache finds the secret of the session."""
    code = (
        "import sys\n"
        "from functional_clf.workers import session\n"
        "print(session._found(sys.argv[1]).hex())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, store.get("session").decode()],
        env={**os.environ, "TMPDIR": str(shared), "TORCHINDUCTOR_CACHE_DIR": os.devnull},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return bytes.fromhex(ran.stdout)


@needs_modes
@pytest.mark.parametrize("runtime", [True, False])
def test_ranks_whose_caches_are_temporary_find_the_secret(no_cache, tmp_path, monkeypatch, runtime):
    place = no_cache / f"functional-clf_jobs_{os.geteuid()}"
    if runtime:
        (tmp_path / "run").mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
        place = tmp_path / "run" / "functional-clf_jobs"
    before = os.umask(0o002)
    try:
        cache_folder()  # as every rank does: from now on its cache is one of its own
        store = dist.HashStore()
        session = sessions.begin(store, None)
    finally:
        os.umask(before)
    assert session.file == place / session.name
    assert place.stat().st_mode & 0o777 == 0o700
    assert another_process_finds(store, no_cache) == session._secret
    sessions.end(session)
    assert list(place.iterdir()) == []


@needs_modes
@pytest.mark.parametrize("wrong", ["a link", "open to others", "a file", "relative"])
def test_a_runtime_folder_that_is_not_private_is_not_used(no_cache, tmp_path, monkeypatch, wrong):
    told = tmp_path / "run"
    (tmp_path / "private").mkdir(mode=0o700)
    if wrong == "a link":
        told.symlink_to(tmp_path / "private")
    elif wrong == "a file":
        told.touch(0o600)
    else:
        told.mkdir()
        told.chmod(0o750 if wrong == "open to others" else 0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run" if wrong == "relative" else str(told))
    assert sessions._folder() == no_cache / f"functional-clf_jobs_{os.geteuid()}"


@needs_modes
@pytest.mark.parametrize("wrong", ["a link", "open to others", "a file", "of another user"])
def test_where_no_folder_is_private_every_rank_says_at_once_what_to_set(no_cache, tmp_path, wrong):
    place = no_cache / f"functional-clf_jobs_{os.geteuid()}"
    if wrong == "a link":
        (tmp_path / "private").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "private")
    elif wrong == "a file":
        place.touch(0o600)
    else:
        place.mkdir(mode=0o700)
        if wrong == "open to others":
            place.chmod(0o770)
        elif os.geteuid() != 0:
            pytest.skip("needs root, to give a folder away")
        else:
            os.chown(place, 65534, 65534)
    rank, other = ranks(secret=None)
    with pytest.raises(RankError, match=f"kept nowhere.*{place.name}.*set {SECRET_VARIABLE}"):
        Leader(rank)
    other.store.set("session", "0" * 16)
    with pytest.raises(RankError, match=f"kept nowhere.*set {SECRET_VARIABLE}"):
        sessions.current(other.store, None)


@needs_modes
def test_a_temporary_folder_of_another_user_must_be_sticky(no_cache):
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a folder away")
    no_cache.chmod(0o777)
    os.chown(no_cache, 65534, 65534)
    with pytest.raises(RankError, match=f"not sticky.*set {SECRET_VARIABLE}"):
        sessions._folder()


# Two processes and somebody else, all at one store.


def job_process(store, rank, out, *args, secret=None):
    command = [
        sys.executable, "-m", "functional_clf.run", "--samples", "80", "--epochs", "30",
        "--engine", "eager", "--no-plots", "--threads", "1", "--chunk-size", "4",
        "--seeds", "24", "--out", out, *args,
    ]  # fmt: skip
    launched = {
        "TORCHELASTIC_RUN_ID": "none", "RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank,
        "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port,
        "TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": 1,
    }  # fmt: skip
    more = {} if secret is None else {SECRET_VARIABLE: secret}
    environment = {**os.environ, **{key: str(value) for key, value in launched.items()}, **more}
    return subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def torchs_store():
    return dist.TCPStore(
        "127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=60), wait_for_workers=False
    )


def outcome_of(job):
    printed, complaint = job.communicate(timeout=60)
    return job.returncode, printed, complaint


def test_a_worker_without_the_secret_is_not_believed(own_cache, tmp_path):
    """It does what a worker did before messages were signed."""
    store = torchs_store()
    job = job_process(store, 0, tmp_path / "out")
    store.wait(["session"])
    session = store.get("session").decode()
    store.set(f"{session}/pulse/1-forged", "0 0")
    store.set(f"{session}/join/1", json.dumps(["1-forged", 40]))
    code, printed, complaint = outcome_of(job)
    assert (code, printed, complaint.count("\n")) == (1, "", 1), complaint
    assert complaint.startswith("error: torchrun's store holds a 'join/1' that is not signed")
    with Store(tmp_path / "out") as kept:
        assert kept.finished_seeds() <= set(range(24))  # what rank 0 has trained itself


def test_a_leader_without_the_secret_is_not_followed(own_cache, tmp_path):
    store = torchs_store()
    with Leader(Rank(0, 2, 0, 2, store, secret=OTHER_SECRET)) as forged:
        forged.start({"engine": "eager"})
        job = job_process(store, 1, tmp_path / "out", secret=SECRET.decode())
        code, printed, complaint = outcome_of(job)
    assert (code, printed, complaint.count("\n")) == (1, "", 1), complaint
    assert complaint.startswith("error: rank 1: torchrun's store holds a 'pulse/0' that is not")


def test_a_store_that_goes_away_is_told_in_a_line(own_cache, tmp_path):
    store = torchs_store()
    job = job_process(store, 1, tmp_path / "out", secret=SECRET.decode())
    with Leader(Rank(0, 2, 0, 2, store, secret=SECRET)) as leader:
        joined(leader._session)
    del leader, store
    gc.collect()
    code, printed, complaint = outcome_of(job)
    assert (code, printed, complaint.count("\n")) == (1, "", 1), complaint


def test_what_is_wrong_on_one_rank_alone_is_said(tmp_path):
    store = torchs_store()
    wrong = job_process(store, 1, tmp_path / "out", "--seeds", "0")
    other = job_process(store, 1, tmp_path / "out", "--data", str(tmp_path / "none.csv"))
    for job, line in ((wrong, "seeds is 0"), (other, "data is ")):
        code, printed, complaint = outcome_of(job)
        assert (code, printed, complaint.count("\n")) == (2, "", 1), complaint
        assert complaint.startswith(f"error: rank 1: {line}")
    assert not (tmp_path / "out").exists()
