"""`mgrisk codebook`: look up a feature or an NHANES variable, or search CDC's codebook."""

from __future__ import annotations

import argparse

from mgrisk.errors import ExitStatus

HELP = "look up features and variables, or search CDC's codebook"
ABOUT = (
    "Show the sources of a feature, or a variable with its table, cycles, answers and counts; or search names, "
    "labels and questions."
)
EXAMPLES = (
    "mgrisk codebook magnesium_food_mg",
    "mgrisk codebook LBXGH",
    "mgrisk codebook sleep hours",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "name", nargs="*", metavar="NAME", help="a feature, an NHANES variable, or words to search for (all features)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.features.registry import FEATURES, features, lineage
    from mgrisk.nhanes.codebook import VARIABLES, variable
    from mgrisk.nhanes.documented import counts, documented, search

    asked = " ".join(options.name)
    if asked and (asked in VARIABLES or documented(asked)):
        print("\n".join([*variable(asked).lines(), *(f"    {line}" for line in counts(asked))]))
        return ExitStatus.DONE
    hits = [] if asked in FEATURES else search(asked)
    if asked and hits:
        for hit in hits:
            print(f"{hit.name:<10} {hit.table:<8} {hit.cycles[0][:4]}-{hit.cycles[-1][-4:]}  {hit.label}")
        return ExitStatus.DONE
    for feature in features([asked]) if asked else FEATURES.values():
        found = lineage(feature)
        print(f"{found.name}  ({feature.label_with_unit}; {found.group})")
        print(f"    {found.formula}")
        print(f"    values     {found.allowed}")
        if found.made_of:
            print(f"    derived    {', '.join(found.made_of)}")
        print(f"    variables  {', '.join(found.sources)}; weights of the {found.sample}")
        breaks = f"; a break at {', '.join(found.breaks)}" if found.breaks else ""
        print(f"    cycles     {found.cycles}{breaks}")
        print(f"    source     {found.citation}")
    return ExitStatus.DONE
