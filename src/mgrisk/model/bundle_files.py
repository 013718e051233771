"""The files of a bundle, each name once."""

from __future__ import annotations

from typing import Final

from mgrisk.storage.files import SUMS as SUMS

DESCRIPTION: Final = "bundle.json"
CALIBRATOR: Final = "calibrator.json"
REFERENCE: Final = "reference.json"
PATTERNS: Final = "patterns.json"
CARD: Final = "card.md"
