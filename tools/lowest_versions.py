"""Print constraints with the lowest versions that pyproject.toml allows, which `.ci/run` tests.

    python tools/lowest_versions.py > lowest.txt && pip install -c lowest.txt '.[ebm]'

Each is the first version that is named, or a later bug-fix release of it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]


def main() -> None:
    for requirement in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["ebm"]]:
        found = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
        if found and "== 'Darwin'" not in requirement:
            print(f"{found[1]}=={found[2]}.*")


if __name__ == "__main__":
    main()
