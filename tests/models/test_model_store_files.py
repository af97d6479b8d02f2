"""A model's files: whatever is wrong with one of them, the model is refused before it is parsed."""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes

from models.array_bytes import arrays_from, packed_arrays
from models.manifest import ARRAYS, MANIFEST, SIGNATURE, ModelRefused, version_of
from models.model_signature import trusted_keys
from models.store import opened, packed, signed
from models.zip_bytes import BytesRefused
from tests.models.stored_builders import (
    ABSENT,
    CREATED,
    KEY,
    KEY_TEXT,
    OTHER_KEY,
    TRUSTED,
    open_files,
    reader,
    some_files,
    some_parameters,
    with_file,
    with_manifest,
)

FILES = some_files()
OTHER = some_files(scale=2.0)
VERSION = version_of(FILES[MANIFEST], CREATED)
NAMES = sorted(FILES)


def npz(**entries: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return body.getvalue()


def npy(array: Any, **options: Any) -> bytes:
    body = io.BytesIO()
    np.lib.format.write_array(body, np.asarray(array), version=(1, 0), **options)
    return body.getvalue()


class Alarm:
    """Goes off when a pickle of it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was loaded",)


def test_what_was_packed_is_opened_as_it_was() -> None:
    wanted = some_parameters()

    found = open_files(FILES, trusted=TRUSTED, version=VERSION)

    assert found.parameters.rows == wanted.rows
    assert found.parameters.levels == wanted.levels
    for name, array in wanted.arrays.items():
        assert (found.parameters.arrays[name] == array).all()
        assert found.parameters.arrays[name].dtype == array.dtype
    assert found.facts.signer.sentence.startswith("signed with the trusted key ")


def test_same_model_gives_the_same_bytes() -> None:
    assert some_files() == FILES
    assert packed(some_parameters(), CREATED, seed=8, key=KEY)[MANIFEST] != FILES[MANIFEST]


@given(name=st.sampled_from(NAMES), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_signed_model_is_refused(name: str, place: float, bit: int) -> None:
    body = bytearray(FILES[name])
    body[int(place * len(body))] ^= 1 << bit

    with pytest.raises(ModelRefused):
        open_files({**FILES, name: bytes(body)}, trusted=TRUSTED, version=VERSION)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_version_tells_any_flipped_bit_of_an_unsigned_manifest(place: float, bit: int) -> None:
    body = bytearray(FILES[MANIFEST])
    body[int(place * len(body))] ^= 1 << bit

    with pytest.raises(ModelRefused):
        open_files({**FILES, MANIFEST: bytes(body)}, version=VERSION)


@given(name=st.sampled_from(NAMES), share=st.floats(0, 1, exclude_max=True))
def test_any_truncated_file_is_refused(name: str, share: float) -> None:
    body = FILES[name][: int(share * len(FILES[name]))]

    with pytest.raises(ModelRefused):
        open_files({**FILES, name: body}, trusted=TRUSTED)


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_nothing_is_opened_of_a_model_whose_signature_does_not_fit(name: str) -> None:
    seen: list[str] = []

    with pytest.raises(ModelRefused, match="not one of its manifest"):
        opened(reader({**FILES, name: OTHER[name]}, seen), TRUSTED)

    assert ARRAYS not in seen


def test_arrays_of_another_version_are_refused_by_their_hash() -> None:
    longer = packed(some_parameters(), CREATED, key=KEY)
    with pytest.raises(ModelRefused, match=r"arrays.npz has sha256 .*, its manifest says"):
        open_files({**longer, ARRAYS: OTHER[ARRAYS]}, trusted=TRUSTED)


def test_a_whole_version_under_the_name_of_another_is_refused() -> None:
    with pytest.raises(ModelRefused, match=f"and not of {VERSION}"):
        open_files(OTHER, trusted=TRUSTED, version=VERSION)


@pytest.mark.parametrize(
    ("files", "fact"),
    [
        pytest.param(some_files(key=None), "is unsigned", id="unsigned"),
        pytest.param(signed(FILES, OTHER_KEY), "is signed with key", id="another key"),
        pytest.param({**FILES, SIGNATURE: b"{}"}, "cannot be read", id="no signature"),
        pytest.param({**FILES, SIGNATURE: b" " * 2000}, "more than 1024 bytes", id="too long"),
        pytest.param(
            {**FILES, SIGNATURE: FILES[SIGNATURE] + b"\n"}, "not as it was", id="spelling"
        ),
    ],
)
def test_with_trusted_keys_only_their_signature_counts(files: dict[str, bytes], fact: str) -> None:
    with pytest.raises(ModelRefused, match=fact):
        open_files(files, trusted=TRUSTED)


def test_without_trusted_keys_a_model_is_used_and_said_to_be_unchecked() -> None:
    unsigned, by_somebody = some_files(key=None), signed(FILES, OTHER_KEY)

    assert open_files(unsigned).facts.signer.sentence == "unsigned"
    assert "not checked" in open_files(by_somebody).facts.signer.sentence


@pytest.mark.parametrize(
    "text", ["", "abc", KEY_TEXT[:-2] + "==", KEY_TEXT.lower() + "=", "ü" * 44]
)
def test_what_is_no_public_key_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ValueError, match="is no public key"):
        trusted_keys([text])


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"format_version": 1}, "format version 1, this program reads 2: train again"),
        ({"step_s": 0}, "step of 0 s"),
        ({"levels": [0.9, 0.5]}, "do not rise"),
        ({"levels": []}, "do not rise"),
        ({"levels": [0.5, 1.0]}, "do not rise"),
        ({"files": {}}, "the files"),
        ({"files": {"../evil": {"sha256": "0" * 64, "bytes": 1}}}, "the files"),
        ({"files": {ARRAYS: {"sha256": "x", "bytes": 1}}}, "sha256"),
        ({"files": {ARRAYS: {"sha256": "0" * 64, "bytes": 2**40}}}, "of 1099511627776 bytes"),
        ({"created": "2026-01-02T00:00:00"}, "zone"),
        ({"created": "0001-01-01T00:00:00+14:00"}, "the year 1 "),
        ({"trained_to_s": 0}, "ends before it begins"),
        ({"trained_to_s": 10**15}, "trained_to_s"),
        ({"rows": [["core", "*"], ["core", "*"]]}, "twice"),
        ({"surprise": 1}, "surprise"),
        ({"step_s": ABSENT}, "step_s"),
    ],
)
def test_wrong_manifest_is_refused_with_the_fact(changed: dict[str, Any], fact: str) -> None:
    with pytest.raises(ModelRefused, match=fact):
        open_files(with_manifest(FILES, **changed))


@pytest.mark.parametrize("body", [b"", b"null", b"[" * 100_000, b"\xff", b"{}"])
def test_what_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(ModelRefused, match=MANIFEST):
        open_files({**FILES, MANIFEST: body})


BOMB = io.BytesIO()
with zipfile.ZipFile(BOMB, "w", zipfile.ZIP_DEFLATED) as _archive:
    _archive.writestr("spread.npy", bytes(50_000_000))
HUGE_HEADER = npy([1.0]).replace(b"(1,)", b"(9" + b"9" * 2 + b",)")
PICKLED = npy(np.array([Alarm()], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("body", "fact"),
    [
        pytest.param(npz(spread=PICKLED), "which is not numbers", id="pickle in npy"),
        pytest.param(npz(spread=pickle.dumps(Alarm())), "as an array", id="pickle as npy"),
        pytest.param(pickle.dumps(Alarm()), "as a zip archive", id="pickle"),
        pytest.param(BOMB.getvalue(), "compressed entry", id="zip bomb"),
        pytest.param(npz(**{"../../evil": npy([1.0])}), "entry named", id="path"),
        pytest.param(npz(**{"/etc/evil": npy([1.0])}), "entry named", id="absolute path"),
        pytest.param(npz(spread=npy([1.0])[:-1]), "its shape", id="short"),
        pytest.param(npz(spread=npy(["text"])), "expected numbers", id="text"),
        pytest.param(npz(spread=HUGE_HEADER), "spread.npy", id="more promised than there"),
        pytest.param(b"", "bytes", id="empty"),
    ],
)
def test_odd_arrays_with_a_right_hash_are_refused(body: bytes, fact: str) -> None:
    with pytest.raises(ModelRefused, match=fact):
        open_files(with_file(FILES, ARRAYS, body))


@given(st.data())
def test_arrays_of_every_shape_come_back_and_pack_to_the_same_bytes(data: st.DataObject) -> None:
    kind = scalar_dtypes().filter(lambda dtype: dtype.kind in "biuf" and dtype.itemsize <= 8)
    shape = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    array = data.draw(arrays(kind, shape))

    (found,) = arrays_from(packed_arrays({"one": array})).values()

    assert found.shape == array.shape
    assert found.tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert packed_arrays({"one": found}) == packed_arrays({"one": np.array(array, order="F")})


@given(st.binary(max_size=300))
def test_bytes_that_are_no_arrays_are_refused_and_nothing_else(body: bytes) -> None:
    with pytest.raises(BytesRefused):
        arrays_from(body)


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_spoilt_arrays_are_refused_or_read_within_their_size(place: float, value: int) -> None:
    body = bytearray(FILES[ARRAYS])
    body[int(place * len(body))] = value

    try:
        found = arrays_from(bytes(body))
    except BytesRefused:
        return
    assert sum(array.nbytes for array in found.values()) <= len(body)
