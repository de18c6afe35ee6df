"""Reads every import statement of a file, also those inside functions, without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        target: Absolute dotted name, with the imported attribute (``mfl_adapt.types.Sample``).
        line: Line of the statement, from 1.
        at_top: True if it runs when the module is imported.
    """

    target: str
    line: int
    at_top: bool


def read_imports(path: Path, package: str) -> list[Import]:
    """Return all imports of a file.

    Args:
        path: The file.
        package: Dotted package that relative imports start from.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return list(_walk(tree, package, at_top=True))


def package_of(path: Path, root: Path) -> str:
    """Return the dotted package of a file below a source root."""
    return ".".join(path.relative_to(root).parent.parts)


def _walk(node: ast.AST, package: str, *, at_top: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(name.name, child.lineno, at_top) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, package)
            yield from (Import(f"{base}.{name.name}", child.lineno, at_top) for name in child.names)
        elif isinstance(child, ast.If) and _is_type_checking(child.test):
            for each in child.body:
                yield from _walk(ast.Module([each], []), package, at_top=False)
            for each in child.orelse:
                yield from _walk(ast.Module([each], []), package, at_top=at_top)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _walk(child, package, at_top=at_top and not inside)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
