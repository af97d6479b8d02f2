from __future__ import annotations

from streams.standstill import Standstill


def test_what_does_not_move_for_the_limit_stands_still() -> None:
    watch = Standstill(10.0)

    assert [watch.has_lasted((1, 7), at_s) for at_s in (100.0, 105.0, 109.9, 110.0)] == [
        False, False, False, True,
    ]  # fmt: skip


def test_what_moves_now_and_then_does_not() -> None:
    watch = Standstill(10.0)

    assert not any(watch.has_lasted(at_s // 9, float(at_s)) for at_s in range(1000))


def test_nothing_under_way_is_no_standstill() -> None:
    watch = Standstill(10.0)
    watch.has_lasted("taking over", 0.0)

    assert not any(watch.has_lasted(None, at_s) for at_s in (5.0, 50.0, 500.0))
    assert not watch.has_lasted("taking over", 501.0)
