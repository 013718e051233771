"""The bundles that come with mgrisk, by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from mgrisk.errors import bad_bundle
from mgrisk.model.bundle_files import SUMS

DEFAULT: Final = "undiagnosed"
RETIRED: Final = {
    "undiagnosed-brief": "undiagnosed",
    "undiagnosed-2021-2023": "undiagnosed",
    "diabetes-2021-2023": "diabetes",
    "insulin-resistance-2021-2023": "insulin-resistance",
}
"""Released bundles of earlier versions, and their replacements."""


def is_reserved(name: str) -> bool:
    """Return whether a name in a registry is that of a released bundle, with or without the prefix mgrisk-.

    Examples
    --------
    >>> is_reserved("mgrisk-undiagnosed"), is_reserved("mgrisk-demo-SYNTHETIC")
    (True, False)
    """
    return name.casefold().removeprefix("mgrisk-") in {*released_bundles(), *RETIRED}


def released_bundles() -> dict[str, Path]:
    """Return the folder of each released bundle, by name.

    Examples
    --------
    >>> DEFAULT in released_bundles()
    True
    """
    package = Path(str(files("mgrisk")))
    # The wheel contains models/ as mgrisk/released; an editable installation finds it in the checkout.
    found: dict[str, Path] = {}
    for home in (package.parents[1] / "models", package / "released"):
        if home.is_dir():
            found |= {path.name: path for path in sorted(home.iterdir()) if (path / SUMS).is_file()}
    return found


def released(name: str) -> Path:
    """Return the folder of a released bundle.

    Raises
    ------
    MgRiskError
        `bundle.unknown` with the known names, `bundle.retired` with the replacement; exit status 5.
    """
    found = released_bundles()
    if name not in found and name in RETIRED:
        raise bad_bundle(
            "bundle.retired",
            f"{name} is no longer released: {RETIRED[name]} predicts from any subset of its inputs",
            where=name,
            hint=f"use --model {RETIRED[name]}",
        )
    if name not in found:
        raise bad_bundle(
            "bundle.unknown",
            f"there is no bundle {name}",
            where=name,
            expected=", ".join(found) or "none is released",
            hint="give the folder of a bundle, the name of a released one, or NAME@ALIAS of a registry",
        )
    return found[name]
