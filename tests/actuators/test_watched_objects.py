"""What a watch leaves in the store, whatever pieces and whatever order it comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.actuators.object_store import ObjectStore, is_older
from predictor.actuators.objects import Deployment, Metadata
from predictor.actuators.watch_events import lines


async def pieces(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(parts: Sequence[bytes], line_bytes_max: int = 1000) -> list[bytes]:
    return [line async for line in lines(pieces(parts), line_bytes_max)]


def an_object(version: str, name: str = "a", uid: str = "u") -> Deployment:
    return Deployment(Metadata(name=name, uid=uid, resource_version=version, namespace="n"))


def versions(store: ObjectStore[Deployment]) -> dict[str, str]:
    return {one.metadata.name: one.metadata.resource_version for one in store}


@given(st.lists(st.binary(min_size=1, max_size=30)), st.integers(1, 40))
def test_lines_are_the_same_however_the_network_cuts_them(whole: list[bytes], cut: int) -> None:
    wanted = [one.replace(b"\n", b"-") for one in whole]
    wanted = [one for one in wanted if one.strip()]
    stream = b"".join(one + b"\n" for one in wanted)

    parts = [stream[start : start + cut] for start in range(0, len(stream), cut)]

    assert asyncio.run(read(parts)) == wanted


async def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ValueError, match="longer than 1000 bytes"):
        await read([b"x" * 600, b"x" * 600, b"x" * 600])


async def test_a_last_line_that_was_cut_off_is_no_event() -> None:
    assert await read([b"one\ntw"]) == [b"one"]


@given(st.permutations([str(one) for one in range(8, 13)]))
def test_the_newest_state_of_an_object_stays_whatever_comes_late(order: list[str]) -> None:
    store: ObjectStore[Deployment] = ObjectStore()

    for version in order:
        store.put(an_object(version))

    assert versions(store) == {"a": "12"}


def test_an_object_that_went_and_came_back_is_not_removed_by_the_old_news() -> None:
    store: ObjectStore[Deployment] = ObjectStore()
    store.put(an_object("20", uid="new"))

    store.remove(an_object("15", uid="old"))
    kept = versions(store)
    store.remove(an_object("21", uid="new"))

    assert (kept, versions(store)) == ({"a": "20"}, {})


def test_a_list_is_all_there_is() -> None:
    store: ObjectStore[Deployment] = ObjectStore()
    store.put(an_object("5", "gone"))

    store.replace([an_object("3", "a"), an_object("4", "b")], "7")

    assert (versions(store), store.resource_version) == ({"a": "3", "b": "4"}, "7")


def test_every_change_is_another_revision() -> None:
    store: ObjectStore[Deployment] = ObjectStore()
    seen = [store.revision]
    for change in (store.put, store.put, store.remove):
        change(an_object("5"))
        seen.append(store.revision)

    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("9", "10", True),
        ("10", "9", False),
        ("9", "9", False),
        ("9", "x", False),
        ("x", "9", False),
    ],
)
def test_versions_are_numbers_or_nothing_is_concluded(version: str, than: str, older: bool) -> None:
    assert is_older(version, than) is older
