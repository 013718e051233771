"""The sections of the report; each module exports its own as ``SECTION``, or by name where it has several.

A new one is a function from a run to a section, a `ReportSection` of it, and a line in `report.content.SECTIONS`;
`added_value` is a plain example. A file that no section has read is added to the inputs in `pipeline/report.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mgrisk.errors import MgRiskError
from mgrisk.report.blocks import ABSENT, Block, Section, missing, section
from mgrisk.run_folder.folder import RunFolder


@dataclass(frozen=True)
class ReportSection:
    """A section before a run is looked at.

    Attributes
    ----------
    name, heading
        Its id in the page, and what stands above it.
    build
        Describes a run.
    folded
        Whether it starts closed below its heading: what is looked up rather than read.
    """

    name: str
    heading: str
    build: Callable[[RunFolder], Section]
    folded: bool = False

    def of(self, blocks: Sequence[Block], *, heading: str = "", sections: Sequence[Section] = ()) -> Section:
        """Return the section of a run, perhaps with a heading that says more."""
        return section(self.name, heading or self.heading, blocks, sections=sections, folded=self.folded)

    def absent(self, reason: str) -> Section:
        """Return the section of a run that has nothing to say there."""
        return missing(self.name, self.heading, reason, status=ABSENT)

    def attempt(self, run: RunFolder) -> Section:
        """Return the section, or the reason why it could not be made."""
        # Only what a damaged or unfinished run folder causes is caught; a bug of ours must not look like one.
        try:
            return self.build(run)
        except MgRiskError as problem:
            return missing(self.name, self.heading, f"{problem.what()} ({problem.where}; {problem.code})")
        except KeyError as problem:
            return missing(self.name, self.heading, f"a file of the run folder has no entry {problem}")
        except OSError as problem:
            return missing(self.name, self.heading, f"a file of the run folder cannot be read: {problem}")
