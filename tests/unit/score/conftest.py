"""Loops for reading and writing, in Python and compiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mgrisk import compiled

ALWAYS, NEVER = -1, 2**62
"""For `compiled.FEW_BYTES`: when loops are compiled."""


@pytest.fixture(params=[NEVER, ALWAYS], ids=["python", "machine-code"], scope="module")
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a module's tests twice: loops as Python, and compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "FEW_BYTES", request.param)
        yield
