"""What torchrun tells its processes, and what comes of an environment that it did not make."""

import signal
import socket
import threading

import pytest
import torch.distributed as dist

from functional_clf.cli import screen
from functional_clf.cli.main import main
from functional_clf.workers import ranks
from functional_clf.workers.launch import SECRET_VARIABLE, RankError, launch_of
from functional_clf.workers.ranks import launched_rank

LAUNCHED = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _interrupts():
    """A command takes Ctrl-C over; give it back."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def launched(monkeypatch):
    """An environment as torchrun makes it, for rank 1; changed by what the test calls it with."""

    def change(**changes):
        monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "FATAL")
        for name, value in (LAUNCHED | changes).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return change


def test_what_torchrun_says_is_read():
    found = launch_of(LAUNCHED | {"TORCHELASTIC_RESTART_COUNT": "3"})
    assert found is not None
    assert (found.index, found.size, found.restarts, found.secret) == (1, 2, 3, None)
    assert "secret" not in repr(launch_of(LAUNCHED | {SECRET_VARIABLE: "x" * 32}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RANK", None), ("RANK", ""), ("RANK", "x"), ("RANK", "2"), ("RANK", "-1"), ("RANK", "1.0"),
        ("RANK", "9" * 5000), ("RANK", "\u0663"), ("WORLD_SIZE", "0"), ("WORLD_SIZE", "two"),
        ("LOCAL_RANK", None), ("LOCAL_RANK", "2"), ("LOCAL_WORLD_SIZE", None),
        ("LOCAL_WORLD_SIZE", "3"), ("MASTER_ADDR", None), ("MASTER_PORT", None),
        ("MASTER_PORT", "0"), ("MASTER_PORT", "99999"), ("TORCHELASTIC_RESTART_COUNT", "x"),
    ],
    ids=range(19),
)  # fmt: skip
def test_an_environment_that_torchrun_did_not_make_is_told_in_a_line(
    name, value, launched, capsys, tmp_path
):
    launched(**{name: value})
    assert main(["run", "--seeds", "4", "--out", str(tmp_path / "out")]) == 1
    printed, complaint = capsys.readouterr()
    assert (printed, complaint.count("\n")) == ("", 1)
    assert complaint.startswith("error: ")
    assert name in complaint
    assert len(complaint) < 250
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("secret", [None, "", "   ", "x" * 31, " " * 40 + "x"])
def test_on_several_machines_a_secret_is_asked_for(secret):
    environ = LAUNCHED | {"LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    if secret is not None:
        environ[SECRET_VARIABLE] = secret
    with pytest.raises(RankError, match=rf"rank 1: {SECRET_VARIABLE} .*32 or more") as caught:
        launch_of(environ)
    assert "x" * 31 not in str(caught.value)
    told = launch_of(environ | {SECRET_VARIABLE: f" {'x' * 32}\n"})
    assert told is not None
    assert told.secret == b"x" * 32


def test_a_short_secret_is_refused_on_one_machine_too():
    with pytest.raises(RankError, match="has 5 characters"):
        launch_of(LAUNCHED | {SECRET_VARIABLE: "short"})


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_store_that_cannot_be_reached_is_told_in_a_line(launched, monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(ranks, "CONNECT_SECONDS", 0.3)
    port = str(free_port())
    launched(MASTER_PORT=port)
    assert main(["run", "--seeds", "4", "--out", str(tmp_path / "out")]) == 1
    printed, complaint = capfd.readouterr()
    assert (printed, complaint.count("\n")) == ("", 1)
    assert complaint.startswith(f"error: rank 1 cannot reach torchrun's store, 127.0.0.1:{port}: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("manner", ["closes", "says something else", "says nothing"])
def test_what_is_no_store_is_told_in_a_line(manner, monkeypatch):
    monkeypatch.setattr(ranks, "CONNECT_SECONDS", 0.5)
    kept = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if manner == "says nothing":
                    kept.append(connection)
                    continue
                with connection:
                    if manner == "says something else":
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9)

        threading.Thread(target=serve, daemon=True).start()
        environ = LAUNCHED | {"MASTER_PORT": str(server.getsockname()[1])}
        with pytest.raises(RankError, match="rank 1 cannot reach torchrun's store") as caught:
            launched_rank(environ)
        assert "\n" not in str(caught.value)
        for connection in kept:
            connection.close()


def test_rank_0_keeps_the_store_where_torchrun_does_not():
    environ = LAUNCHED | {"RANK": "0", "LOCAL_RANK": "0", "MASTER_PORT": str(free_port())}
    leading = launched_rank(environ)
    other = launched_rank(environ | {"RANK": "1", "LOCAL_RANK": "1"})
    assert leading is not None
    assert other is not None
    leading.store.set("note", "text")
    assert other.store.get("note") == b"text"
    assert isinstance(other.store, dist.TCPStore)


def test_a_rank_that_is_not_torchruns_speaks_for_itself(monkeypatch, capsys):
    """Other launchers, and who has tried one, set RANK, too."""
    monkeypatch.setenv("RANK", "1")
    assert main(["run", "--seeds", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: seeds is 0")


def test_what_is_wrong_on_another_rank_is_said_after_a_while(launched, monkeypatch, capsys):
    waited = []
    monkeypatch.setattr(screen.time, "sleep", waited.append)
    launched()
    assert main(["run", "--seeds", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: rank 1: seeds is 0")
    assert waited == [screen.SAME_WRONG_SECONDS]


def test_the_first_start_of_a_job_is_told_from_a_later_one():
    store = dist.HashStore()
    first, again, restarted = (ranks.Rank(0, 2, 0, 2, store, restarts=one) for one in (0, 0, 1))
    assert not restarted.is_first_start()
    assert [first.is_first_start(), again.is_first_start()] == [True, False]
