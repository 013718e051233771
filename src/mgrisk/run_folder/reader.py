"""The run folder as the report reads it: each file once, and a coded error where one is missing or unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.features.registry import Feature
from mgrisk.storage.files import read_json
from mgrisk.types import JsonRecord

SYNTHETIC: Final = "SYNTHETIC"
UNKNOWN: Final = "UNKNOWN"
LABELLED: Final = (
    "manifest.json",
    "cohort.json",
    "attrition.json",
    "evaluation.json",
    "tuning.json",
    "explanation_summary.json",
)


@dataclass(frozen=True)
class RunFiles:
    """Files of a run folder, read when first asked for.

    Attributes
    ----------
    folder
        The run folder.
    """

    folder: Path

    def has(self, name: str) -> bool:
        """Return whether the run has a file."""
        return (self.folder / name).is_file()

    def records(self, name: str) -> list[JsonRecord]:
        """Read a JSON list of flat records."""
        content = self._json(name)
        if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
            raise _bad(name, "is not a list of records")
        return content

    def mapping(self, name: str) -> JsonRecord:
        """Read a JSON object."""
        content = self._json(name)
        if not isinstance(content, dict):
            raise _bad(name, "is not a JSON object")
        return content

    def frame(self, name: str) -> pd.DataFrame:
        """Read a Parquet file."""
        path = self._existing(name)
        try:
            return pd.read_parquet(path)
        except (ValueError, OSError) as problem:
            raise _bad(name, f"cannot be read as Parquet: {problem}") from None

    @cached_property
    def evaluation(self) -> list[JsonRecord]:
        """Flat records of evaluation.json."""
        return self.records("evaluation.json")

    @cached_property
    def differences(self) -> list[JsonRecord]:
        """Flat records of differences.json."""
        return self.records("differences.json")

    @cached_property
    def scores(self) -> list[JsonRecord]:
        """What scores.json says of each published score."""
        return self.records("scores.json")

    @cached_property
    def thresholds(self) -> list[JsonRecord]:
        """Flat records of thresholds.json."""
        return self.records("thresholds.json")

    @cached_property
    def tuning(self) -> JsonRecord:
        """Content of tuning.json."""
        return self.mapping("tuning.json")

    @cached_property
    def cohort(self) -> JsonRecord:
        """Content of cohort.json."""
        return self.mapping("cohort.json")

    @cached_property
    def manifest(self) -> JsonRecord:
        """Content of manifest.json."""
        return self.mapping("manifest.json")

    @cached_property
    def curves(self) -> JsonRecord:
        """Curves by set and model, from curves.json."""
        return dict(self.mapping("curves.json")["sets"])

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """predictions.parquet."""
        return self.frame("predictions.parquet")

    @cached_property
    def explanation_summary(self) -> JsonRecord:
        """Content of explanation_summary.json."""
        return self.mapping("explanation_summary.json")

    @property
    def winner(self) -> str:
        """Name of the learner that the run chose."""
        return str(self.tuning["winner"])

    @cached_property
    def about(self) -> JsonRecord:
        """Content of the winner's bundle.json."""
        return self.mapping(f"trained/{self.winner}/bundle.json")

    @cached_property
    def reference(self) -> JsonRecord:
        """Content of the winner's reference.json."""
        return self.mapping(f"trained/{self.winner}/reference.json")

    @cached_property
    def calibrator(self) -> JsonRecord:
        """Content of the winner's calibrator.json."""
        return self.mapping(f"trained/{self.winner}/calibrator.json")

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Features of the winner, in its order."""
        try:
            return tuple(Feature.model_validate(row) for row in self.about["features"])
        except ValueError as problem:
            raise _bad("bundle.json", f"has a feature that cannot be read: {problem}") from None

    @property
    def held_out_name(self) -> str:
        """Name of the held-out set in records, for example 2017-2018."""
        return ", ".join(self.about["held_out"])

    @property
    def data_label(self) -> str:
        """What the numbers are about: SYNTHETIC if any file says so, UNKNOWN if none says anything."""
        labels = set()
        for name in LABELLED:
            try:
                content = self._json(name)
            except MgRiskError:
                continue  # its own section will say that it is missing
            rows = content if isinstance(content, list) else [content]
            labels |= {str(item["data"]) for item in rows if isinstance(item, dict) and "data" in item}
        if SYNTHETIC in labels:
            return SYNTHETIC
        return ", ".join(sorted(labels)) or UNKNOWN

    def _existing(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise bad_input(
                "report.missing_file",
                f"{name} is not in the run folder",
                where=str(self.folder),
                hint="run the pipeline again",
            )
        return path

    def _json(self, name: str) -> Any:
        path = self._existing(name)
        try:
            return read_json(path)
        except (ValueError, OSError) as problem:
            raise _bad(name, f"cannot be read as JSON: {problem}") from None


def pick(records: Iterable[Mapping[str, Any]], where: str, **wanted: str) -> Mapping[str, Any]:
    """Return the one record with these values.

    Parameters
    ----------
    records
        Flat records.
    where
        The file they are from, for the error.
    wanted
        Keys and the values they must have.

    Raises
    ------
    MgRiskError
        `report.no_record`.
    """
    for record in records:
        if all(record.get(key) == value for key, value in wanted.items()):
            return record
    asked = ", ".join(f"{key} {value}" for key, value in wanted.items())
    raise bad_input("report.no_record", f"{where} has no record of {asked}", where=where, hint="run the pipeline again")


def _bad(name: str, what: str) -> MgRiskError:
    return bad_input("report.bad_file", f"{name} {what}", where=name, hint="run the pipeline again")
