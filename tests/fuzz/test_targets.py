"""Run each target of the fuzzers on a few hundred damaged and arbitrary inputs."""

from __future__ import annotations

import pytest
from fuzz_targets import TARGETS, damaged, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
FILES = sorted(TARGETS.keys() - {"bundle"})  # its bytes say what is to be damaged
EDITS = st.binary(min_size=6, max_size=30)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_is_valid_is_taken(name: str) -> None:
    for content in seeds(name):
        TARGETS[name](content)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@SETTINGS
def test_a_damaged_file_is_read_or_refused(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds(name)))
    TARGETS[name](damaged(seed, data.draw(EDITS)))


@pytest.mark.parametrize("name", FILES)
@given(content=st.binary(max_size=400))
@SETTINGS
def test_any_bytes_are_read_or_refused(name: str, content: bytes) -> None:
    TARGETS[name](content)


@given(bundle=st.integers(0, 2), file=st.integers(0, 30), edits=EDITS)
@SETTINGS
def test_a_bundle_with_a_damaged_file_is_read_or_refused(bundle: int, file: int, edits: bytes) -> None:
    TARGETS["bundle"](bytes([bundle, file]) + edits)
