"""How a server that fails is spared, and who may take a floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.actuators.backoff import Patience, RequestBackoff
from predictor.actuators.bounded_memory import BoundedMemory
from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget, RouteTarget
from predictor.actuators.connection import Answer
from predictor.actuators.refusal import refusal
from predictor.core.reasons import Code


class Watch:
    """A clock that stands still until it is moved."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def a_backoff(watch: Watch, draw: float = 1.0) -> RequestBackoff:
    return RequestBackoff(1.0, 30.0, watch, lambda: draw)


def test_requests_go_out_at_once_until_one_fails() -> None:
    watch = Watch()
    backoff = a_backoff(watch)

    before = backoff.wait_s
    backoff.failed()

    assert (before, backoff.wait_s) == (0.0, 1.0)


def test_delays_double_up_to_the_longest() -> None:
    watch, waits = Watch(), []
    backoff = a_backoff(watch)

    for _ in range(8):
        backoff.failed()
        waits.append(backoff.wait_s)
        watch.now_s += backoff.wait_s

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_requests_that_fail_together_count_once() -> None:
    backoff = a_backoff(Watch())

    for _ in range(10):
        backoff.failed()

    assert backoff.wait_s == 1.0


def test_an_answer_ends_the_waiting() -> None:
    backoff = a_backoff(Watch())

    backoff.failed()
    backoff.answered()

    assert backoff.wait_s == 0.0


def test_the_server_may_ask_for_a_longer_wait_but_not_for_an_endless_one() -> None:
    polite, endless = a_backoff(Watch()), a_backoff(Watch())

    polite.failed(asked_wait_s=7.0)
    endless.failed(asked_wait_s=86_400.0)

    assert (polite.wait_s, endless.wait_s) == (7.0, 120.0)


@given(st.floats(min_value=0, max_value=1), st.integers(min_value=1, max_value=2000))
def test_a_wait_is_never_none_and_never_beyond_the_longest(draw: float, failures: int) -> None:
    watch = Watch()
    backoff = a_backoff(watch, draw)

    for _ in range(failures):
        backoff.failed()
        watch.now_s += backoff.wait_s
        backoff.failed()

    assert 0.5 <= backoff.wait_s <= 30.0


def test_one_path_is_spared_and_others_are_not() -> None:
    watch = Watch()
    patience = Patience(1.0, 30.0, watch)

    assert not patience.refused("/a", 7.0)

    assert (patience.wait_s("/a"), patience.wait_s("/b")) == (7.0, 0.0)
    watch.now_s += 7.0
    assert patience.wait_s("/a") == 0.0


def test_a_server_that_refuses_everybody_is_spared_by_everybody() -> None:
    patience = Patience(1.0, 30.0, Watch())

    refused = [patience.refused(path, 1.0) for path in ("/a", "/b", "/c")]
    patience.answered("/d")

    assert refused == [False, False, True]
    assert not patience.refused("/e", 1.0)


def test_the_memory_of_spared_paths_is_bounded() -> None:
    patience = Patience(1.0, 30.0, Watch(), size_max=2)
    for path in ("/a", "/b", "/c"):
        patience.refused(path, 5.0)

    assert [patience.wait_s(path) for path in ("/a", "/b", "/c")] == [0.0, 5.0, 5.0]


def test_a_memory_is_bounded_and_holds_the_newest() -> None:
    memory: BoundedMemory[str, int] = BoundedMemory(size_max=2)
    for uid, replicas in (("u-1", 2), ("u-2", 3), ("u-2", 4), ("u-3", 5)):
        memory.note(uid, replicas)

    assert [memory.of(uid) for uid in ("u-1", "u-2", "u-3")] == [None, 4, 5]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, Code.FORBIDDEN),
        (403, Code.FORBIDDEN),
        (404, Code.TARGET_MISSING),
        (409, Code.MOVED_ON),
        (422, Code.REFUSED),
        (429, Code.UNREACHABLE),
        (500, Code.UNREACHABLE),
        (503, Code.UNREACHABLE),
    ],
)
def test_what_the_server_says_is_kept_with_what_it_means(status: int, code: Code) -> None:
    reason = refusal(Answer(status, b'{"message": "because of this"}'), "HPA a/b")

    assert reason.code is code
    assert reason.sentence.startswith("HPA a/b: ")
    assert "because of this" in reason.sentence


def test_a_conflict_between_managers_is_not_an_object_that_moved_on() -> None:
    body = (
        b'{"message": "Apply failed with 1 conflict", "details": {"causes": ['
        b'{"reason": "FieldManagerConflict", "field": ".spec.minReplicas"}]}}'
    )

    assert refusal(Answer(409, body), "HPA a/b").code is Code.CONFLICT


def test_an_answer_that_is_no_status_is_cut_to_size() -> None:
    reason = refusal(Answer(502, b"<html>" + b"x" * 100_000), "HPA a/b")

    assert len(reason.sentence) < 500


def test_a_target_configured_twice_is_an_error_that_names_it() -> None:
    target = HpaTarget("core", "us-east-1", "mplp", "mplp-core-hpa")

    with pytest.raises(ValueError, match="core"):
        ClusterSettings(targets=(target, target))


def test_two_regions_cannot_share_a_host() -> None:
    with pytest.raises(ValueError, match="mplp/traffic"):
        RouteTarget("core", "mplp", "traffic", {"east": "core.east", "west": "core.east"})
