import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssl_bench.models.trained import encode_by_shape


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_each_table_is_encoded_as_if_alone_and_each_shape_once(
    lengths: list[int], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    tables = [generator.normal(size=(2, length)).astype(np.float32) for length in lengths]
    batches: list[int] = []

    def extremes(batch: Tensor) -> Tensor:
        assert not batch.requires_grad
        batches.append(len(batch))
        return batch.amax(dim=2)

    found = encode_by_shape(tables, extremes)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.stack([table.max(axis=1) for table in tables]))
    assert len(batches) == len(set(lengths))
    assert sum(batches) == len(lengths)
