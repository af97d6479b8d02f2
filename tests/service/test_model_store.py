"""A store of many versions: published whole, promoted at once, bounded, safe to read meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest

from models.manifest import ARRAYS, MANIFEST, SIGNATURE, ModelRefused
from models.store import ModelFiles, packed, signed
from models.stored_parameters import StoredParameters
from predictor.model_store.folders import StoreUnreachable
from predictor.model_store.model_store import CURRENT, ModelStore, Pointer
from predictor.model_store.watcher import ModelWatcher, WatchTimes
from tests.models.stored_builders import CREATED, KEY, OTHER_KEY, TRUSTED, some_parameters


@pytest.fixture(params=["disk", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(tmp_path / "store") if request.param == "disk" else f"memory://{secrets.token_hex(4)}"
    )


def version_files(number: int) -> ModelFiles:
    """The model of a day; each has numbers of its own."""
    created = CREATED + timedelta(days=number)
    return packed(some_parameters(scale=1.0 + number), created, key=KEY)


def scale_of(parameters: StoredParameters) -> float:
    """What stands for a model here: the number that tells whose arrays these are."""
    return float(parameters.arrays["spread"].max())


def put(url: str, path: str, body: bytes) -> None:
    """Write over a file behind the store's back."""
    system, root = fsspec.core.url_to_fs(url)
    system.pipe_file(f"{root}/{path}", body)


class Service:
    """What a watcher hands models to."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self.models: list[float] = []
        self.counts: Counter[str] = Counter()
        self.watcher = ModelWatcher(
            ModelStore(url), TRUSTED, model_of=scale_of,
            take=lambda model, digest: self.models.append(model),
            times=WatchTimes(poll_s=0.01, timeout_s=timeout_s), counts=self.counts,
        )  # fmt: skip


def test_published_version_is_in_use_once_it_is_promoted(url: str) -> None:
    store = ModelStore(url)

    version = store.publish(version_files(0))

    assert store.pointer() == Pointer()
    assert store.promote(version, TRUSTED) == store.pointer() == Pointer(version)
    assert scale_of(store.open(version, TRUSTED).parameters) == 1.0


def test_promotion_keeps_the_former_and_leads_back_to_it(url: str) -> None:
    store = ModelStore(url)
    first, second = (store.publish(version_files(number)) for number in (0, 1))
    store.promote(first, TRUSTED)

    assert store.promote(second, TRUSTED) == Pointer(second, first)
    assert store.promote(second, TRUSTED) == Pointer(second, first)
    assert store.promote_former(TRUSTED) == store.pointer() == Pointer(first, second)


def test_without_a_former_version_there_is_no_way_back(url: str) -> None:
    store = ModelStore(url)
    store.promote(store.publish(version_files(0)), TRUSTED)

    with pytest.raises(ModelRefused, match="no former version"):
        store.promote_former(TRUSTED)


def test_publishing_again_changes_nothing_but_the_signature(url: str) -> None:
    store = ModelStore(url)
    unsigned = packed(some_parameters(), CREATED)
    version = store.publish(unsigned)
    assert store.facts(version, {}).signer.sentence == "unsigned"

    assert store.publish(signed(unsigned, KEY)) == version

    assert store.versions() == (version,)
    assert store.facts(version, TRUSTED).signer.trusted


def test_oldest_versions_go_but_never_the_one_in_use_or_the_one_before_it(url: str) -> None:
    store = ModelStore(url)
    names = [store.publish(version_files(number), kept=4) for number in (0, 1)]
    for name in names:
        store.promote(name, TRUSTED)

    names += [store.publish(version_files(number), kept=4) for number in range(2, 8)]

    assert store.versions() == (names[7], names[6], names[1], names[0])
    assert scale_of(store.open(names[0], TRUSTED).parameters) == 1.0


def test_what_a_dead_publisher_left_goes_with_a_later_one(tmp_path: Path) -> None:
    left = tmp_path / ".new-20260101T000000Z-0123456789ab"
    left.mkdir()
    (left / ARRAYS).write_bytes(b"half")

    version = ModelStore(str(tmp_path)).publish(version_files(0))

    assert [path.name for path in tmp_path.iterdir()] == [version]


@pytest.mark.parametrize("name", ["../evil", "current", "", "20260102T030405Z-0123456789ab/.."])
def test_name_that_is_no_version_leads_nowhere(url: str, name: str) -> None:
    with pytest.raises(ModelRefused, match="is no version"):
        ModelStore(url).open(name, TRUSTED)


@pytest.mark.parametrize(
    "body", [b"", b"x" * 5000, b"[]", b'{"current": "../../evil"}', b'{"current": 1}', b"\xff"]
)
def test_pointer_that_names_no_version_is_refused(url: str, body: bytes) -> None:
    store = ModelStore(url)
    store.publish(version_files(0))
    put(url, CURRENT, body)

    with pytest.raises(ModelRefused, match=r"is no version|names no version|more than 4096"):
        store.pointer()


def test_store_that_is_not_there_is_unreachable_and_says_where(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match=r"nowhere: No such file"):
        ModelStore(str(tmp_path / "nowhere")).pointer()
    with pytest.raises(ValueError, match="abc"):
        ModelStore("abc://bucket")


def test_a_password_in_an_url_is_not_shown() -> None:
    with pytest.raises(ValueError, match="…@host") as told:
        ModelStore("abc://ada:secret@host/models")
    assert "secret" not in str(told.value)


def test_a_reader_sees_the_old_or_the_new_version_while_others_promote(url: str) -> None:
    store = ModelStore(url)
    names = [store.publish(version_files(number)) for number in (0, 1)]
    store.promote(names[0], TRUSTED)

    def promote_often() -> None:
        for name in itertools.islice(itertools.cycle(names), 60):
            ModelStore(url).promote(name, TRUSTED)

    with ThreadPoolExecutor(1) as pool:
        writer, seen = pool.submit(promote_often), []
        while not writer.done():
            current = store.pointer().current
            assert current is not None
            seen.append(scale_of(store.open(current, TRUSTED).parameters))

    writer.result()
    assert set(seen) <= {1.0, 2.0}


async def test_service_takes_up_what_is_promoted_and_what_is_taken_back(url: str) -> None:
    store = ModelStore(url)
    names = [store.publish(version_files(number)) for number in (0, 1)]
    service = Service(url)

    await service.watcher.poll()
    for name in names:
        store.promote(name, TRUSTED)
        await service.watcher.poll()
        await service.watcher.poll()
    store.promote_former(TRUSTED)
    await service.watcher.poll()

    assert service.models == [1.0, 2.0, 1.0]
    assert service.counts == {"loaded": 3}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param(ARRAYS, version_files(2)[ARRAYS], id="arrays of another version"),
        pytest.param(SIGNATURE, version_files(2)[SIGNATURE], id="signature of another version"),
        pytest.param(SIGNATURE, signed(version_files(1), OTHER_KEY)[SIGNATURE], id="another key"),
        pytest.param(MANIFEST, version_files(2)[MANIFEST], id="manifest of another version"),
        pytest.param(ARRAYS, version_files(1)[ARRAYS][:-1], id="truncated"),
    ],
)
async def test_refused_version_leaves_the_former_model_in_use(
    url: str, name: str, body: bytes
) -> None:
    store = ModelStore(url)
    first, second = (store.publish(version_files(number)) for number in (0, 1))
    store.promote(first, TRUSTED)
    service = Service(url)
    await service.watcher.poll()
    store.promote(second, TRUSTED)

    put(url, f"{second}/{name}", body)
    await service.watcher.poll()
    assert (service.models, service.counts["refused"]) == ([1.0], 1)

    put(url, f"{second}/{name}", version_files(1)[name])
    await service.watcher.poll()
    assert service.models == [1.0, 2.0]


async def test_refused_version_is_said_once_and_counted_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ModelStore(str(tmp_path))
    version = store.publish(version_files(0))
    store.promote(version, TRUSTED)
    put(str(tmp_path), f"{version}/{ARRAYS}", b"spoilt")
    service = Service(str(tmp_path))

    for _ in range(3):
        await service.watcher.poll()

    said = capsys.readouterr()
    assert (said.out + said.err).count("model_refused") == 1
    assert service.counts == {"refused": 3}


async def test_store_where_nothing_is_promoted_is_said_once_and_is_no_failure(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ModelStore(url).publish(version_files(0))
    service = Service(url)

    for _ in range(3):
        await service.watcher.poll()

    said = capsys.readouterr()
    assert (said.out + said.err).count("model_none_promoted") == 1
    assert (service.models, service.counts) == ([], {})


async def test_store_that_goes_away_leaves_the_model_in_use(tmp_path: Path) -> None:
    place = tmp_path / "store"
    store = ModelStore(str(place))
    store.promote(store.publish(version_files(0)), TRUSTED)
    service = Service(str(place))
    await service.watcher.poll()

    place.rename(tmp_path / "away")
    await service.watcher.poll()
    (tmp_path / "away").rename(place)
    await service.watcher.poll()

    assert service.models == [1.0]
    assert service.counts == {"loaded": 1, "unreachable": 1}


async def test_store_that_does_not_answer_in_time_is_asked_by_one_thread_only(
    tmp_path: Path,
) -> None:
    store = ModelStore(str(tmp_path))
    version = store.publish(version_files(0))
    store.promote(version, TRUSTED)
    slow = tmp_path / version / SIGNATURE
    body = slow.read_bytes()
    slow.unlink()
    os.mkfifo(slow)
    service = Service(str(tmp_path), timeout_s=0.05)

    for _ in range(3):
        await service.watcher.poll()
    unanswered = dict(service.counts)
    # Whoever reads a pipe waits until somebody writes into it: exactly one does.
    await asyncio.to_thread(slow.write_bytes, body)
    while not service.models:
        await service.watcher.poll()

    assert unanswered == {"unreachable": 3}
    assert service.models == [1.0]


async def test_watcher_stops_at_once(tmp_path: Path) -> None:
    service = Service(str(tmp_path))
    running = asyncio.create_task(service.watcher.run())
    await asyncio.sleep(0.05)

    service.watcher.stop()

    await asyncio.wait_for(running, 5)
