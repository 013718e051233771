"""Look up known vulnerabilities of the packages in constraints.txt, and list those that could not be looked up.

    python tools/known_vulnerabilities.py

The exit status is 1 if a package has a vulnerability, and 2 if pip-audit gave no answer. If no package could be
looked up, because the package index has no such list, this is reported and is not a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ASK = (
    "pip-audit", "--requirement", str(Path(__file__).parents[1] / "constraints.txt"), "--no-deps", "--disable-pip",
    "--progress-spinner", "off", "--format", "json",
)  # fmt: skip
SHOWN = 8


def summary(answer: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the lines to print and the exit status for an answer of pip-audit.

    Parameters
    ----------
    answer
        {dependencies}: a list of {name, version, vulns}, or {name, skip_reason} if it was not looked up.

    Examples
    --------
    >>> summary({"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "unknown"}]})
    (['1 of 2 packages looked up: no known vulnerability', 'NOT looked up (1): b'], 0)
    >>> summary({"dependencies": [{"name": "b", "skip_reason": "unknown"}]})[0][0]
    '0 of 1 packages looked up: this says nothing about vulnerabilities'
    """
    packages = answer["dependencies"]
    looked_up = [package for package in packages if "vulns" in package]
    others = sorted(package["name"] for package in packages if "vulns" not in package)
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        f" (fixed in {', '.join(vulnerability.get('fix_versions', [])) or 'no version yet'})"
        for package in looked_up
        for vulnerability in package["vulns"]
    ]
    came_to = f"{len(found)} known vulnerabilities" if found else "no known vulnerability"
    if not looked_up:
        came_to = "this says nothing about vulnerabilities"
    lines = [f"{len(looked_up)} of {len(packages)} packages looked up: {came_to}", *found]
    if others:
        more = " …" if len(others) > SHOWN else ""
        lines.append(f"NOT looked up ({len(others)}): {', '.join(others[:SHOWN])}{more}")
    return lines, int(bool(found))


def main() -> int:
    """Run pip-audit, print the result, and return the exit status."""
    asked = subprocess.run(ASK, capture_output=True, text=True, check=False)
    try:
        lines, status = summary(json.loads(asked.stdout))
    except (ValueError, KeyError, TypeError):
        print(f"nothing was looked up, pip-audit gave no answer (status {asked.returncode}):\n{asked.stderr[-2000:]}")
        return 2
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
