"""Collects public names and their docstrings from the source, without importing anything."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MODULES = {
    "mfl_adapt": "Load a base and adapters, reconstruct and draw: `import mfl_adapt as mfl`.",
    "mfl_adapt.types": "The records that travel through the program.",
    "mfl_adapt.errors": "What is raised, always with one line: where, expected, got, what to do.",
    "mfl_adapt.plugin": "What a plugin author imports: the hook, the records, what they build.",
    "mfl_adapt.plugin.testing": "The conformance kit.",
    "mfl_adapt.plugin.registry": "Load plugins and build components from Python.",
    "mfl_adapt.plugin.tracing": "Watch what plugins do.",
    "mfl_adapt.cameras": "Cameras as numbers, in numpy float64.",
    "mfl_adapt.cameras.unmap": "From the prepared frame back to the recording.",
    "mfl_adapt.cameras.similarity": "Maps of the world: rotation, scale, shift.",
    "mfl_adapt.images": "Pictures and masks; the only ways in which pixels move.",
    "mfl_adapt.data.collate": "From samples to the tensors that a base takes.",
    "mfl_adapt.metrics": "Scores over the subject and over the picture.",
    "mfl_adapt.checks": "Checks of values, each of which raises in the same words.",
    "mfl_adapt.files": "Files that appear whole or not at all.",
    "mfl_adapt.adapter": "Adapters beyond `mfl.load_adapter`: attach, save, read, prove.",
    "mfl_adapt.hub": "Fetch bases; publish and pull adapters.",
    "mfl_adapt.synth": "The heads and mice that the package draws.",
}
"""Modules of the page in their order, with what each is for."""

_SECTION = re.compile(r"^(Args|Returns|Yields|Raises|Attributes):\n", re.MULTILINE)
_ENTRY = re.compile(r"^    (\*{0,2}\w+)(?: \([^)]*\))?:\s", re.MULTILINE)


@dataclass(frozen=True)
class Name:
    """A public name, and the syntax tree that defines it."""

    name: str
    node: ast.stmt
    doc: str
    module: str


def api_page(heading: str) -> str:
    """Return the page of all public names."""
    lines = [heading]
    for module, summary in MODULES.items():
        found = list(_public(module))
        lines += [f"## {module}", "", summary, "", "| name | |", "|---|---|"]
        for one in found:
            first = one.doc.split("\n\n")[0].replace("\n", " ")
            lines.append(f"| [`{one.name}`](#{_anchor(module, one.name)}) | {_code(first)} |")
        lines.append("")
        for one in found:
            lines += [f"### {module}.{one.name}", "", *_describe(one)]
    return "\n".join(lines).rstrip() + "\n"


def _anchor(module: str, name: str) -> str:
    return f"{module}.{name}".replace(".", "").lower()


def _path(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _parse(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _public(module: str) -> Iterator[Name]:
    """Names of ``__all__``, or what a module without it defines; submodules are left out."""
    tree = _parse(module)
    names = _all_of(tree)
    if names is None:
        names = [name for node in tree.body for name in _defines(node) if name[0] != "_"]
    for name in names:
        found = _find(module, name)
        if found is not None:
            yield found


def _all_of(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if "__all__" in _defines(node):
            return [name for name in ast.literal_eval(node.value) if name[0] != "_"]
    return None


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [one.id for one in node.targets if isinstance(one, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _find(module: str, name: str) -> Name | None:
    """Follow imports to where a name is defined; None for a module.

    Raises:
        LookupError: If the module neither defines nor imports it.
    """
    if (_path(module).parent / f"{name}.py").exists() and _path(module).name == "__init__.py":
        return None
    tree = _parse(module)
    for index, node in enumerate(tree.body):
        if name in _defines(node):
            return Name(name, node, _docstring(tree.body, index), module)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    found = _find(node.module, alias.name)
                    return found and Name(name, found.node, found.doc, found.module)
    raise LookupError(f"{module}: expected a definition or import of {name}, got none.")


def _docstring(body: list[ast.stmt], index: int) -> str:
    node = body[index]
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return ast.get_docstring(node) or ""
    below = body[index + 1] if index + 1 < len(body) else None
    if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
        return inspect.cleandoc(str(below.value.value))
    return ""


def _describe(one: Name) -> Iterator[str]:
    yield from ["```text", _signature(one.name, one.node), "```", "", *_sections(one.doc)]
    if isinstance(one.node, ast.ClassDef):
        yield from _members(one.node)


def _signature(name: str, node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return _wrap(f"{name}(", _arguments(node), f"){returns}")
    if isinstance(node, ast.ClassDef):
        made = next((one for one in node.body if "__init__" in _defines(one)), None)
        if isinstance(made, ast.FunctionDef):
            return _wrap(f"{name}(", _arguments(made)[1:], ")")
        if any("dataclass" in ast.unparse(one) for one in node.decorator_list):
            return _wrap(f"{name}(", [ast.unparse(one) for one in _fields(node)], ")")
        return f"{name}({', '.join(ast.unparse(base) for base in node.bases)})"
    return ast.unparse(node)


def _fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    return [
        one
        for one in node.body
        if isinstance(one, ast.AnnAssign) and not ast.unparse(one.annotation).startswith("ClassVar")
    ]


def _arguments(node: ast.FunctionDef) -> list[str]:
    # Commas within annotations and defaults do not separate arguments.
    parts, depth = [""], 0
    for sign in ast.unparse(node.args):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    # `unparse` leaves no space around the default of an annotated argument.
    return [re.sub(r"^(\w+: [^=]+)=", r"\1 = ", part.strip()) for part in parts if part.strip()]


def _wrap(start: str, arguments: list[str], end: str) -> str:
    line = start + ", ".join(arguments) + end
    if len(line) <= 96:
        return line
    return "\n".join([start, *(f"    {one}," for one in arguments), end])


def _sections(doc: str) -> Iterator[str]:
    parts = _SECTION.split(doc)
    if parts[0].strip():
        yield from [_prose(parts[0]), ""]
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        # What stands below a section without indent is prose again.
        inside, _, rest = re.sub(r"\n(?=\S)", "\0", text, count=1).partition("\0")
        yield from [f"**{title}**", "", *_entries(title, inside), ""]
        if rest.strip():
            yield from [_prose(rest), ""]


def _entries(title: str, text: str) -> Iterator[str]:
    pieces = _ENTRY.split(text)
    if title in ("Returns", "Yields") or len(pieces) == 1:
        yield _code(" ".join(text.split()))
        return
    for name, said in zip(pieces[1::2], pieces[2::2], strict=True):
        yield f"- `{name}`: {_code(' '.join(said.split()))}"


def _prose(text: str) -> str:
    """Keep paragraphs and lists; what is indented is code."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if paragraph.startswith("    "):
            lines.append(f"```text\n{inspect.cleandoc(paragraph)}\n```")
        else:
            lines.append(_code(paragraph.strip()))
    return "\n\n".join(lines)


def _code(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Public methods and properties, each with the first paragraph of its docstring."""
    rows = []
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name[0] != "_":
            doc = " ".join((ast.get_docstring(one) or "").split("\n\n")[0].split())
            is_value = any("property" in ast.unparse(mark) for mark in one.decorator_list)
            typed = one.name if is_value else f"{one.name}({', '.join(_names(one))})"
            rows.append(f"| `{typed}` | {_code(doc)} |")
        elif isinstance(one, ast.FunctionDef) and one.name == "__call__":
            doc = " ".join((ast.get_docstring(one) or "").split("\n\n")[0].split())
            rows.append(f"| `(...)({', '.join(_names(one))})` | {_code(doc)} |")
    if rows:
        yield from ["| member | |", "|---|---|", *rows, ""]


def _names(node: ast.FunctionDef) -> list[str]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [one.arg for one in every if one.arg not in ("self", "cls")]
