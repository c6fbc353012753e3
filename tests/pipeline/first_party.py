"""Which of our own files a module needs, read from its imports."""

import ast
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"


def module_file(name: str) -> Path | None:
    """The file of `ferpipe.x.y`, or None if that is not one of our modules."""
    path = SRC / name.replace(".", "/")
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_names(path: Path) -> set[str]:
    """Every dotted name that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == "ferpipe"}


def is_empty(path: Path) -> bool:
    """Whether a file holds nothing but a docstring, so that it cannot change a result."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def first_party(*names: str) -> set[str]:
    """Paths, relative to the repository, of the modules, all that they import and style sheets."""
    seen: set[Path] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        parents = [".".join(name.split(".")[:length]) for length in range(1, name.count(".") + 1)]
        for each in (name, *parents):
            path = module_file(each)
            if path is not None and path not in seen:
                seen.add(path)
                waiting.extend(imported_names(path))
    # A module's own style sheet lies beside it under its name.
    beside = {path.with_suffix(".css") for path in seen if path.with_suffix(".css").is_file()}
    code = {path for path in seen if not is_empty(path)}
    return {path.relative_to(SRC.parent).as_posix() for path in code | beside}
