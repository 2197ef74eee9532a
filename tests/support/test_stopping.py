import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from functional_clf.support import stopping
from functional_clf.workers.threads import Workers


def test_who_asks_nobody_goes_on():
    stopping.check()
    assert not stopping.asked()()


def test_a_thread_asks_whom_it_was_told_to_and_no_other_thread_does():
    over = threading.Event()

    def told():
        stopping.ask(over.is_set)
        stopping.check()
        over.set()
        with pytest.raises(InterruptedError):
            stopping.check()
        return stopping.asked()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(told).result()()
    stopping.check()


def test_workers_that_are_left_stop_what_waits_in_them():
    begun, ended = threading.Event(), threading.Event()

    def wait():
        begun.set()
        while not ended.wait(0.01):
            try:
                stopping.check()
            except InterruptedError:
                ended.set()

    def interrupted():
        assert begun.wait(10)
        raise KeyboardInterrupt

    workers = Workers(threads=1)
    with pytest.raises(KeyboardInterrupt), workers:
        workers.call(wait, interrupted)
    assert ended.wait(10)
