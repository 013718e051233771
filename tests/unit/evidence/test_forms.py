from __future__ import annotations

import pytest

from mgrisk.evidence.forms import FORMS

MASSES = {"Mg": 24.305, "O": 15.999, "C": 12.011, "H": 1.008, "N": 14.007, "Cl": 35.45}
ATOMS = {
    "oxide": {"Mg": 1, "O": 1},
    "citrate": {"Mg": 3, "C": 12, "H": 10, "O": 14},
    "glycinate": {"Mg": 1, "C": 4, "H": 8, "N": 2, "O": 4},
    "chloride": {"Mg": 1, "Cl": 2, "H": 12, "O": 6},
}


def test_a_salt_weighs_what_its_atoms_weigh() -> None:
    assert {form.name for form in FORMS} == set(ATOMS)
    for form in FORMS:
        atoms = ATOMS[form.name]
        assert form.weight == pytest.approx(sum(MASSES[name] * number for name, number in atoms.items()), abs=0.002)
        assert form.magnesium == pytest.approx(MASSES["Mg"] * atoms["Mg"], abs=0.001)
