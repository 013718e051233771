"""The bundles that come with mgrisk: inside an installed package, or under `models/` of a checkout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from mgrisk.errors import bad_bundle
from mgrisk.model.bundle import SUMS

DEFAULT: Final = "undiagnosed"


def released_bundles() -> dict[str, Path]:
    """Return the folder of each released bundle, by name.

    Examples
    --------
    >>> DEFAULT in released_bundles()
    True
    """
    package = Path(str(files("mgrisk")))
    # The wheel carries models/ as mgrisk/released; an editable installation finds it in the checkout.
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
        `bundle.unknown` with the names that there are; exit status 5.
    """
    found = released_bundles()
    if name not in found:
        raise bad_bundle(
            "bundle.unknown",
            f"there is no bundle {name}",
            where=name,
            expected=", ".join(found) or "none is released",
            hint="give the folder of a bundle, the name of a released one, or NAME@ALIAS of a registry",
        )
    return found[name]
