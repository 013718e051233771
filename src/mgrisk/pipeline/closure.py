"""Determine the code, data files and libraries that the result of a step depends on.

The code of a step is its module and all modules of mgrisk that it imports, directly or indirectly, found in the source
without importing it. Imports for type checking only are ignored, as are names that a package provides lazily in its
`__getattr__`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from mgrisk.storage.files import sha256

ROOT: Final = Path(str(files("mgrisk")))
FACTS: Final = {".toml", ".html", ".css", ".js"}
# Import names that differ from the name of the distribution.
DISTRIBUTIONS: Final = {
    "sklearn": ("scikit-learn",),
    "interpret": ("interpret-core",),
    "PIL": ("pillow",),
    "xgboost": ("xgboost", "xgboost-cpu"),
}
# Libraries used only through another one.
BEHIND: Final = {"pandas": ("pyarrow",)}


class Source(NamedTuple):
    """Dependencies of a module.

    Attributes
    ----------
    modules
        Modules of mgrisk that it imports.
    libraries
        Other packages that it imports, without the standard library.
    texts
        Its string constants, which may name data files.
    """

    modules: frozenset[str]
    libraries: frozenset[str]
    texts: frozenset[str]


class Closure(NamedTuple):
    """Files, relative to the package, and libraries that some code depends on."""

    files: tuple[str, ...]
    libraries: tuple[str, ...]


@cache
def closure(module: str, root: Path = ROOT) -> Closure:
    """Return the files and libraries that a module depends on.

    Parameters
    ----------
    module
        Its dotted name, such as ``mgrisk.pipeline.train``.
    root
        Folder of the package.

    Examples
    --------
    >>> found = closure("mgrisk.survey.design")
    >>> "survey/design.py" in found.files, "model/train.py" in found.files, "numpy" in found.libraries
    (True, False, True)
    """
    seen: dict[str, Source] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen[name] = _source(_path(name, root), root)
        waiting += [each for each in seen[name].modules if each not in seen]
    paths = {_path(name, root): source for name, source in seen.items()}
    facts = [fact for folder in {path.parent for path in paths} for fact in _facts(folder, paths, root)]
    libraries = {each for source in seen.values() for each in source.libraries}
    libraries |= {each for name in libraries for each in BEHIND.get(name, ())}
    return Closure(
        tuple(sorted(path.relative_to(root).as_posix() for path in (*paths, *facts))), tuple(sorted(libraries))
    )


@cache
def digest(module: str, root: Path = ROOT) -> str:
    """Return the sha256 of the files that a module depends on, and of the versions of Python and its libraries."""
    found = closure(module, root)
    content = {name: sha256(root / name) for name in found.files}
    libraries = {name: library_version(name) for name in found.libraries}
    return hashlib.sha256(
        json.dumps([content, libraries, platform.python_version()], sort_keys=True).encode()
    ).hexdigest()


def library_version(library: str) -> str:
    """Return the version of a library by its import name; `absent` if it is not installed.

    Examples
    --------
    >>> library_version("no_such_library")
    'absent'
    """
    for distribution in DISTRIBUTIONS.get(library, (library,)):
        with suppress(PackageNotFoundError):
            return version(distribution)
    return "absent"


def _facts(folder: Path, paths: dict[Path, Source], root: Path) -> list[Path]:
    """Return the data files beside modules that one of them reads.

    A file belongs to the modules of its package that name it or its folder; if none does (the name is composed at run
    time), it belongs to all of them.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).parts
        if path.suffix not in FACTS or any(
            (folder / Path(*place[:depth]) / "__init__.py").exists() for depth in range(1, len(place))
        ):
            continue
        named = [module for module in folder.glob("*.py") if _source(module, root).texts & {place[0], path.stem}]
        if not named or any(module in paths for module in named):
            found.append(path)
    return found


def _path(module: str, root: Path) -> Path:
    place = root.joinpath(*module.split(".")[1:])
    # A folder of data files may have the name of the module that reads them.
    of_module = place.with_suffix(".py")
    return of_module if of_module.is_file() else place / "__init__.py"


@cache
def _source(path: Path, root: Path) -> Source:
    modules, libraries, texts = set[str](), set[str](), set[str]()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            # A module imported by a computed name, such as f"mgrisk.features.{name}", may be any of its package.
            package, dot, rest = str(node.values[0].value).rpartition(".")
            if package.startswith("mgrisk.") and dot and not rest:
                modules |= {f"{package}.{path.stem}" for path in _path(package, root).parent.glob("[a-z]*.py")}
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            # A name imported from a package may be a module.
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [
                node.module,
                *(each for each in inside if each.startswith("mgrisk.") and _path(each, root).is_file()),
            ]
        for name in names:
            first, *below = name.split(".")
            if first == "mgrisk":
                modules |= {".".join([first, *below[:depth]]) for depth in range(len(below) + 1)}
            elif first not in sys.stdlib_module_names:
                libraries.add(first)
        waiting += ast.iter_child_nodes(node)
    return Source(frozenset(modules), frozenset(libraries), frozenset(texts))
