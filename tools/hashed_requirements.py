"""Write requirements.txt: what mgrisk needs on Linux, and what builds it, with the hashes of each version's files.

    pip install uv && python tools/hashed_requirements.py

Versions are those of constraints.txt. pip takes no hashes from constraints, so this is a file of requirements, with
dependencies of dependencies. The hashes are those of all files that the package index has of a version: for any Python
and any processor.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "requirements.txt"
HEAD = """\
# What mgrisk needs on Linux, with hashes: pip install --require-hashes -r requirements.txt
# then                                     pip install --no-deps --no-build-isolation .
# Written by tools/hashed_requirements.py from constraints.txt.
"""
ASK = (
    "uv", "pip", "compile", "pyproject.toml", "-", "--constraint", "constraints.txt", "--generate-hashes",
    "--python-version", "3.11", "--python-platform", "linux", "--no-header", "--no-annotate", "--quiet",
)  # fmt: skip


def main() -> int:
    """Ask uv, write the file and return the exit status."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    # Hatchling asks for editables when an editable installation is built.
    asked = subprocess.run(
        ASK, cwd=ROOT, input="\n".join([*build, "editables"]), stdout=subprocess.PIPE, text=True, check=False
    )
    if asked.returncode == 0:
        TARGET.write_text(HEAD + asked.stdout, "utf-8")
    return asked.returncode


if __name__ == "__main__":
    sys.exit(main())
