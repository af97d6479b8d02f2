"""The topics that ingest reads, what is particular to each, and the numbers of their partitions.

`streams/ingest.py` asks it. Partitions of several topics are told apart by input numbers
(`streams/demand.py`); what a topic is called is configuration, its number is not. Must never give
two topics one number.
"""

from __future__ import annotations

from typing import NamedTuple

from aiokafka import TopicPartition

from streams.demand import input_number, topic_and_partition
from streams.event_columns import Cells


class InputTopic(NamedTuple):
    """A topic and how its records are read.

    `lateness_s` is how far out of order they may come, `silence_max_s` how long none may come
    before that is a silence.
    """

    name: str
    cells: Cells
    lateness_s: float
    silence_max_s: int


class InputTopics:
    """In the order of their numbers: requests first, then metrics where they are read."""

    def __init__(self, topics: list[InputTopic]) -> None:
        self.topics = topics
        self._numbers = {topic.name: number for number, topic in enumerate(topics)}
        if len(self._numbers) < len(topics):
            raise ValueError(f"a topic is named twice among {sorted(self._numbers)}")

    @property
    def names(self) -> list[str]:
        """What to subscribe to."""
        return [topic.name for topic in self.topics]

    def number(self, source: TopicPartition) -> int:
        """The input number of a topic's partition."""
        return input_number(self._numbers[source.topic], source.partition)

    def source(self, number: int) -> TopicPartition:
        """The topic and partition that an input number stands for."""
        topic, partition = topic_and_partition(number)
        return TopicPartition(self.topics[topic].name, partition)

    def of(self, number: int) -> InputTopic:
        """The topic that an input number lies in."""
        return self.topics[topic_and_partition(number)[0]]
