"""Names, and the partition in which a module's parts meet."""

from __future__ import annotations

from pathlib import Path

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from streams.backoff import Backoff
from streams.topics import KafkaConnection, demand_partition, group_name, transactional_id


@given(st.text(min_size=1, max_size=40), st.integers(1, 64))
def test_module_goes_where_kafkas_own_partitioner_puts_it(module: str, partitions: int) -> None:
    every = list(range(partitions))

    assert demand_partition(module, partitions) == DefaultPartitioner()(
        module.encode(), every, every
    )


def test_names_follow_the_convention() -> None:
    group = group_name("us-east-1", "ingest")

    assert group == "mplp-predictor.us-east-1.ingest"
    assert transactional_id(group, "mplp.requests", 3) == f"{group}-mplp.requests-3"


def test_password_is_read_from_its_file_and_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    connection = KafkaConnection(
        bootstrap_servers="a:1,b:2",
        security_protocol="SASL_PLAINTEXT",
        sasl_username="mplp",
        sasl_password_file=secret,
    )

    assert connection.options()["sasl_plain_password"] == "hunter2"
    assert "hunter2" not in repr(connection)


def test_delays_grow_to_a_bound_and_start_over() -> None:
    backoff = Backoff(first_s=1.0, longest_s=8.0)

    delays_s = [backoff.next_delay_s() for _ in range(6)]

    for delay_s, step_s in zip(delays_s, (1, 2, 4, 8, 8, 8), strict=True):
        assert step_s / 2 <= delay_s <= step_s
    backoff.reset()
    assert backoff.next_delay_s() <= 1
