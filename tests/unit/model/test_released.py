"""Released bundles are found by name, can be loaded, and are suggested for former names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.model.bundle import read_bundle
from mgrisk.model.released import DEFAULT, released, released_bundles

if TYPE_CHECKING:
    pass


def test_the_default_is_released() -> None:
    assert DEFAULT in released_bundles()


@pytest.mark.parametrize("name", sorted(released_bundles()))
def test_every_released_bundle_loads_is_real_and_has_a_card(name: str) -> None:
    bundle = read_bundle(released(name))
    assert bundle.about["synthetic"] is False
    assert bundle.about["data"] == "NHANES"
    assert b"Not for" in bundle.parts["card.md"] or b"not" in bundle.parts["card.md"]


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(MgRiskError) as caught:
        released("pima")
    assert caught.value.code == "bundle.unknown"
    assert caught.value.status == ExitStatus.BUNDLE
    assert DEFAULT in (caught.value.expected or "")
