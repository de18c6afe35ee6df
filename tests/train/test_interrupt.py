import os
import signal
import time

import pytest

from mfl_adapt.train.interrupt import GracefulStop


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # Python runs the handler between two bytecodes of the main thread.


def test_first_press_only_raises_the_flag() -> None:
    with GracefulStop() as stop:
        assert not stop.requested
        press_ctrl_c()
        assert stop.requested


def test_what_a_cluster_sends_means_the_same() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with GracefulStop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert stop.requested
    assert signal.getsignal(signal.SIGTERM) is before


def test_second_press_stops_at_once() -> None:
    with GracefulStop():
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()


def test_handler_is_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with GracefulStop():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_comes_after_others_have_stopped_passes_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with GracefulStop() as stop:
        assert stop.agreed([True, False])
    press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_one_that_was_asked_itself_waits_for_nothing_more() -> None:
    before = signal.getsignal(signal.SIGINT)
    with GracefulStop() as stop:
        assert not stop.agreed([False, False])
        press_ctrl_c()
        assert stop.agreed([stop.requested, False])
    assert signal.getsignal(signal.SIGINT) is before
