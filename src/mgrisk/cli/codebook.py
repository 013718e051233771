"""`mgrisk codebook`: where each feature comes from, and what a variable of NHANES is."""

from __future__ import annotations

import argparse

from mgrisk.errors import ExitStatus

HELP = "where each feature comes from"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a feature or an NHANES variable (all features)")


def run(options: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    from mgrisk.features.registry import FEATURES, features, lineage
    from mgrisk.nhanes.codebook import VARIABLES, variable
    from mgrisk.nhanes.documented import documented

    if options.name and (options.name in VARIABLES or documented(options.name)):
        print("\n".join(variable(options.name).lines()))
        return ExitStatus.DONE
    for feature in features([options.name]) if options.name else FEATURES.values():
        found = lineage(feature)
        print(f"{found.name}  ({feature.label_with_unit}; {found.group})")
        print(f"    {found.formula}")
        print(f"    values     {found.allowed}")
        if found.made_of:
            print(f"    made of    {', '.join(found.made_of)}")
        print(f"    variables  {', '.join(found.sources)}; weights of the {found.sample}")
        breaks = f"; a break at {', '.join(found.breaks)}" if found.breaks else ""
        print(f"    cycles     {found.cycles}{breaks}")
        print(f"    source     {found.citation}")
    return ExitStatus.DONE
