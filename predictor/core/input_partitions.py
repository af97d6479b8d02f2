"""How far the input partitions have come, and so which demand buckets are whole.

`predictor/core/history.py` asks it. A module's events may lie in every partition of every input
topic, so a bucket is complete only when every partition that anyone must wait for has passed it,
none lost records of it, and no topic was silent in it. This must never take silence for progress: a
partition that stays behind makes a gap, not a zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from predictor.core.input_topic import InputTopic, Proof
from streams.demand import TOPICS_MAX, Progress, topic_and_partition
from streams.gaps import Gap, Gaps, united

UNKNOWN_SPAN_S = 6 * 3600
"""A partition that has not reported may still bring what is so much older than our first look."""
LATEST_S = 253_402_300_799
"""The end of the year 9999, after which no time can be written as a date."""


class Behind(NamedTuple):
    """The partition that holds the others up most: by how much, and that in words."""

    seconds: int
    sentence: str


@dataclass(slots=True)
class InputPartitions:
    """What each input partition reported, merged; any order and any repetition give the same.

    A partition that others have left behind by more than `lost_after_s` is lost: nobody waits for
    it, and what it would have added is unknown. `gaps` are the buckets of which any partition lost
    records or in which a topic was silent; the same object while nothing changed. `topic_names` are
    the topics that must report, by their numbers. `given_up` are input numbers that an operator has
    written off: they are counted while they come and never waited for.
    """

    lost_after_s: int = 120
    silence_max_s: int = 120
    proof: Proof = "topic"
    topic_names: Mapping[int, str] = field(default_factory=dict)
    given_up: frozenset[int] = frozenset()
    partitions_max: int = 4096
    gaps: Gaps = field(default=(), init=False)
    _topics: dict[int, InputTopic] = field(default_factory=dict)
    _first_closed_s: int | None = None

    def advance(self, progress: Progress) -> bool:
        """Take a report in; False when it could not be one (a partition beyond all bounds)."""
        partitions = min(progress.partitions, self.partitions_max)
        number, partition = topic_and_partition(progress.partition)
        if not self.is_possible(progress.partition) or partition >= partitions:
            return False
        topic = self._topics.get(number)
        if topic is None:
            topic = self._topics[number] = self._new_topic(number)
        before = topic.lost, topic.silent
        newest_s = max(self.newest_s or 0, progress.closed_through_s)
        topic.advance(partition, msgspec.structs.replace(progress, partitions=partitions), newest_s)
        if (topic.lost, topic.silent) != before:
            every = (gaps for one in self._topics.values() for gaps in (one.lost, one.silent))
            found = united(*every)
            self.gaps = self.gaps if found == self.gaps else found
        if progress.closed_through_s > 0:
            first_s, closed_s = self._first_closed_s, progress.closed_through_s
            self._first_closed_s = closed_s if first_s is None else min(first_s, closed_s)
        return True

    def is_possible(self, number: int) -> bool:
        """Whether this can be an input number at all."""
        topic, partition = topic_and_partition(number)
        return 0 <= topic < TOPICS_MAX and partition < self.partitions_max

    @property
    def newest_s(self) -> int | None:
        """Where the furthest partition stands; None before any has seen an event."""
        return max((topic.newest_s for topic in self._topics.values()), default=0) or None

    def complete_through_s(self) -> int | None:
        """Buckets that start before this are whole, but for `gaps`."""
        waited_for = [stands_s for _, _, stands_s in self._stands()]
        if self._has_unknown():
            waited_for.append(self._unknown_stands_at_s())
        return min(waited_for, default=self.newest_s)

    def relied_on_s(self) -> int | None:
        """How old the oldest thing is that a decision must rely on; None if nobody can tell.

        That is where the slowest partition stands. One of which nothing is known yet counts from
        when it was first heard of, so that a partition that is added is no lag of days; one that
        was heard of before anything had been counted is of no age at all, not of all the time since
        1970.
        """
        oldest = [stands_s for _, _, stands_s in self._stands()]
        oldest += [topic.grown_at_s for topic in self._topics.values() if topic.unknown()]
        if self._unheard_topics():
            oldest.append(self._first_closed_s or 0)
        return min(oldest, default=self.newest_s) or None

    def settled_through_s(self) -> int | None:
        """Buckets that start before this are whole or will never be: nobody waits for them."""
        newest_s = self.newest_s
        if newest_s is None:
            return None
        oldest_s = newest_s - self.lost_after_s
        waited_for = [stands_s for _, _, stands_s in self._stands() if stands_s >= oldest_s]
        if self._has_unknown() and (self._first_closed_s or 0) >= oldest_s:
            waited_for.append(self._unknown_stands_at_s())
        return min(waited_for, default=newest_s)

    def watermark_s(self) -> int:
        """What every partition with events has reached; 0 before all have reported."""
        reports = [one for topic in self._topics.values() for one in topic.reports.values()]
        unheard = self._unheard_topics()
        if unheard or any(len(one.reports) < one.expected for one in self._topics.values()):
            return 0
        moving = [one.closed_through_s for one in reports if not one.idle]
        return min(moving or (one.closed_through_s for one in reports), default=0)

    def missing(self) -> str:
        """Why newer buckets are not whole, as a sentence; empty when nothing is missing."""
        newest_s = self.newest_s
        if newest_s is None:
            told = "counted anything yet" if self._topics else "reported"
            return f"no input partition has {told}"
        if unheard := self._unheard_topics():
            return f"no partition of {self._topic_name(unheard[0])} has reported"
        for number, topic in self._topics.items():
            if unknown := topic.unknown():
                more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
                told = "counted anything yet" if unknown[0] in topic.reports else "reported"
                return f"{self._name(number, unknown[0], more)} has not {told}"
        behind = self.behind()
        if behind.seconds > self.lost_after_s:
            return behind.sentence
        return self._lost_of_late(newest_s) or self._silent_of_late(newest_s)

    def behind(self) -> Behind:
        """The partition that is furthest behind the newest; nothing behind is ("", 0)."""
        newest_s = self.newest_s or 0
        stands = sorted((stands_s, number, at) for number, at, stands_s in self._stands())
        if not stands or stands[0][0] >= newest_s:
            return Behind(0, "")
        stands_s, number, partition = stands[0]
        topic, seconds = self._topics[number], newest_s - stands_s
        name = self._name(number, partition)
        if not topic.is_idle(partition):
            return Behind(seconds, f"{name} is {seconds} s behind the others")
        if self.proof == "partition":
            return Behind(seconds, f"{name} is silent for {seconds} s, without a heartbeat")
        if stands_s < topic.newest_s:
            return Behind(seconds, f"{name} was silent and is not read for {seconds} s")
        return Behind(
            seconds, f"{self._topic_name(number)} is silent for {seconds} s, without a heartbeat"
        )

    def _new_topic(self, number: int) -> InputTopic:
        given_up = {topic_and_partition(one) for one in self.given_up}
        return InputTopic(
            self.proof, self.silence_max_s, frozenset(at for one, at in given_up if one == number)
        )

    def _stands(self) -> Iterator[tuple[int, int, int]]:
        for number, topic in self._topics.items():
            for partition, stands_s in topic.stands().items():
                yield number, partition, stands_s

    def _has_unknown(self) -> bool:
        unknown = any(topic.unknown() for topic in self._topics.values())
        return unknown or bool(self._unheard_topics())

    def _unheard_topics(self) -> list[int]:
        return [number for number in self.topic_names if number not in self._topics]

    def _unknown_stands_at_s(self) -> int:
        """Where a partition that never reported is taken to stand.

        Some hours before our first look: it may be catching up as the others are, but one that was
        added lately must not turn weeks of history into a gap.
        """
        return (self._first_closed_s or 0) - UNKNOWN_SPAN_S

    def _lost_of_late(self, newest_s: int) -> str:
        """The newest gap, as long as it ended no longer ago than a partition is waited for."""
        recent = [
            (report.gaps[-1], number, partition)
            for number, topic in self._topics.items()
            for partition, report in topic.reports.items()
            if report.gaps
            and report.gaps[-1][1] > newest_s - self.lost_after_s
            and partition not in topic.given_up
        ]
        if not recent:
            return ""
        gap, number, partition = max(recent, key=lambda one: (*one[0][::-1], -one[1], -one[2]))
        more = f" and {len(recent) - 1} more" if len(recent) > 1 else ""
        return f"{self._name(number, partition, more)} lost the records {_stretch(gap)}"

    def _silent_of_late(self, newest_s: int) -> str:
        for number, topic in self._topics.items():
            gap = topic.silent[-1] if topic.silent else (0, 0)
            if gap[1] > newest_s - self.lost_after_s:
                return f"{self._topic_name(number)} was silent {_stretch(gap)}"
        return ""

    def _name(self, number: int, partition: int, more: str = "") -> str:
        of_topic = f" of {self._topic_name(number)}" if self._is_named(number) else ""
        return f"partition {partition} of {self._topics[number].expected}{more}{of_topic}"

    def _topic_name(self, number: int) -> str:
        return self.topic_names.get(number) or f"input topic {number}"

    def _is_named(self, number: int) -> bool:
        return number in self.topic_names or number > 0


def _stretch(gap: Gap) -> str:
    """The gap in words; the day is named where it lasts beyond midnight."""
    from_s, until_s = gap
    until = datetime.fromtimestamp(min(until_s, LATEST_S), UTC)
    if from_s <= 0:
        return f"before {until:%H:%M:%S} UTC"
    begin = datetime.fromtimestamp(min(from_s, LATEST_S), UTC)
    first = f"{begin:%H:%M:%S}" if begin.date() == until.date() else f"{begin:%Y-%m-%d %H:%M:%S}"
    return f"from {first} to {until:%H:%M:%S} UTC"
