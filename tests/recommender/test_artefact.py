"""Arrays as bytes that can be mapped: exact, aligned, and nothing else is taken for them."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from recommender import artefact
from recommender.artefact import Damaged, Seal

ARRAYS = {
    "factors": np.arange(12, dtype=np.float32).reshape(4, 3),
    "flags": np.array([True, False, True]),
    "empty": np.zeros((0, 7)),
    "words": artefact.text({"names": ["thé", "café"]}),
}


def _whole(arrays: dict[str, np.ndarray]) -> memoryview:
    return memoryview(b"".join(artefact.parts(arrays)))


class TestWhatIsReadAgain:
    def test_is_what_was_written(self) -> None:
        again = artefact.read(_whole(ARRAYS))
        assert list(again) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert again[name].dtype == array.dtype and np.array_equal(again[name], array)
        assert artefact.value(again["words"]) == {"names": ["thé", "café"]}

    @given(
        arrays_of.arrays(
            st.sampled_from([np.dtype(kind) for kind in ("<f8", "<i8", "<i4", "|b1", "|u1")]),
            arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=0),
        )
    )
    def test_is_any_plain_array(self, array: np.ndarray) -> None:
        assert artefact.read(_whole({"it": array}))["it"].tobytes() == array.tobytes()

    def test_lies_where_it_was_and_cannot_be_changed(self) -> None:
        whole = _whole(ARRAYS)
        factors = artefact.read(whole)["factors"]
        assert np.shares_memory(factors, np.frombuffer(whole, np.uint8))
        assert factors.__array_interface__["data"][0] % 16 == np.frombuffer(whole, np.uint8).ctypes.data % 16
        with pytest.raises(ValueError, match="read-only"):
            factors[0] = 1

    def test_comes_in_parts_of_one_size(self) -> None:
        big = {"zeros": np.zeros(artefact.PART + 5, np.uint8), "ones": np.ones(artefact.PART, np.uint8)}
        sizes = [len(part) for part in artefact.parts(big)]
        assert sizes[:2] == [artefact.PART] * 2 and 0 < sizes[2] < artefact.PART
        assert artefact.read(_whole(big))["ones"].all()


def test_the_same_arrays_have_the_same_seal() -> None:
    seals = {Seal.of(artefact.parts(arrays)) for arrays in (ARRAYS, dict(ARRAYS), ARRAYS | {"flags": np.zeros(3)})}
    assert len(seals) == 2


class TestRefused:
    def test_are_bytes_that_are_no_artefact(self) -> None:
        whole = bytes(_whole(ARRAYS))
        for bytes_ in (b"", b"PK\x03\x04rest", whole[:100], whole[:-200], whole.replace(b'"format":2', b'"format":9')):
            with pytest.raises(Damaged):
                artefact.read(memoryview(bytes_))

    def test_are_objects_both_ways(self) -> None:
        with pytest.raises(TypeError, match="objects"):
            list(artefact.parts({"about": np.array([{"a": 1}], dtype=object)}))
        whole = bytes(_whole({"factors": np.zeros(3)}))
        with pytest.raises(Damaged):
            artefact.read(memoryview(whole.replace(b'"<f8"', b'"|O" ')))

    def test_is_a_pickle(self) -> None:
        out = io.BytesIO()
        np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(Damaged):
            artefact.read(memoryview(out.getvalue()))
