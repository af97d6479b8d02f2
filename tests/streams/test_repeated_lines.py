"""What the client libraries say again and again, with a clock of the test's own."""

from __future__ import annotations

import logging
from itertools import pairwise

from streams.repeated_lines import LONGEST_PAUSE_S, RepeatedLines


def a_line(
    words: str = "no node %s", *values: object, logger: str = "aiokafka"
) -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, "", 0, words, values or (1,), None)


def test_a_line_ten_times_a_second_is_written_at_once_and_then_ever_more_seldom() -> None:
    now_s = 0.0
    lines = RepeatedLines(lambda: now_s)
    written: list[tuple[float, str]] = []

    for tenth in range(6000):
        now_s = tenth / 10
        line = a_line()
        if lines.filter(line):
            written.append((now_s, line.getMessage()))

    assert written[:3] == [(0, "no node 1"), (1, "no node 1 (9 more like it)"), (3, written[2][1])]
    pauses_s = [after[0] - before[0] for before, after in pairwise(written)]
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[-1] == LONGEST_PAUSE_S


def test_other_lines_are_not_held_back_by_a_repeated_one() -> None:
    lines = RepeatedLines(lambda: 0.0)
    assert lines.filter(a_line())

    assert not lines.filter(a_line())
    assert lines.filter(a_line("no node %s", 2))
    assert lines.filter(a_line(logger="faust"))


def test_a_line_that_comes_back_after_a_long_silence_is_new() -> None:
    now_s = 0.0
    lines = RepeatedLines(lambda: now_s)
    for tenth in range(100):
        now_s = tenth / 10
        lines.filter(a_line())

    now_s += 1000
    back = a_line()

    assert lines.filter(back)
    assert back.getMessage() == "no node 1"
    now_s += 1.0
    assert lines.filter(a_line())


def test_endless_new_lines_are_all_written_and_not_all_remembered() -> None:
    lines = RepeatedLines(lambda: 0.0)

    assert all(lines.filter(a_line("%s", number)) for number in range(5000))

    assert lines.filter(a_line("%s", 0)), "the oldest should have been forgotten"
    assert not lines.filter(a_line("%s", 4999))
