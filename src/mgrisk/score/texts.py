"""Short texts in the form that compiled code takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Texts(NamedTuple):
    """Short texts for compiled code: text ``k`` is ``content[start[k]:start[k + 1]]``."""

    content: NDArray[np.uint8]
    start: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Return texts in UTF-8."""
        encoded = [text.encode() for text in texts]
        start = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), start)

    def to_arrow(self) -> pa.StringArray:
        """Return the texts as Arrow has them, at most 2 GiB in all."""
        starts = pa.py_buffer(self.start.astype(np.int32))
        return pa.StringArray.from_buffers(len(self.start) - 1, starts, pa.py_buffer(self.content))

    def to_list(self) -> list[str]:
        """Return the texts."""
        content = self.content.tobytes()
        edges = self.start.tolist()
        return [content[a:b].decode() for a, b in itertools.pairwise(edges)]
