"""Real people for tests of features that are marked nhanes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pandas as pd
import pytest

from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import features
from mgrisk.features.summary import gather
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

People = Callable[[Sequence[str], Sequence[str], Sequence[str]], pd.DataFrame]


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """From names of cycles, of features and of further NHANES variables to one frame with all of them."""
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path_factory.mktemp("cache"), offline=True)

    def read(cycles: Sequence[str], names: Sequence[str], variables: Sequence[str]) -> pd.DataFrame:
        chosen = features(names)
        raw = gather(store, cycles=[cycle(years) for years in cycles], chosen=chosen, names=variables).frame
        return pd.concat([raw[["cycle", *variables]], from_nhanes(raw, chosen)], axis=1)

    return read
