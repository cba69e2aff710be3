"""The package as a whole: cheap to import, layered, typed, documented."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aesexpert


ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "aesexpert"

# Who may import whom, each line a package and what it may know of the others.
ALLOWED = {
    "_version": set(),
    "taxonomy": set(),
    "data": {"taxonomy"},
    "metrics": set(),
    "llm": set(),
    "instruct": {"taxonomy", "data", "llm"},
    "models": {"taxonomy"},
    "train": {"taxonomy", "data", "models", "hub"},
    "bench": {"_version", "taxonomy", "data", "metrics", "models", "llm"},
    "hub": {"taxonomy", "data", "models", "metrics"},
    "cli": {"_version", "taxonomy", "data", "metrics", "llm", "instruct", "models", "train", "bench", "hub"},
    "__main__": {"cli"},
    "__init__": {"_version", "data", "models"},
}
TRAVELLERS = [
    *(file for kind in ("configuration", "modeling", "processing") for file in PACKAGE.glob(f"models/**/{kind}_*.py")),
    PACKAGE / "metrics" / "aesbench" / "aesbench.py",
]


def imported_modules(file: Path) -> set[str]:
    """The modules that a file imports, relative imports written out with a leading dot."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def part(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_keep_the_order_of_the_layers(file):
    known = {name.split(".")[1] for name in imported_modules(file) if name.startswith("aesexpert.")}
    assert known - {part(file)} <= ALLOWED[part(file)]


@pytest.mark.parametrize("file", TRAVELLERS, ids=lambda file: file.name)
def test_files_that_travel_alone_import_nothing_of_the_package(file):
    allowed = {"transformers", "torch", "numpy", "datasets", "evaluate", *sys.stdlib_module_names}
    for name in imported_modules(file):
        assert name.split(".")[0] in allowed or name.startswith((".configuration_", ".modeling_")), name


def test_import_is_cheap():
    code = "import sys, aesexpert; assert not {'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(PACKAGE.parent)})


@pytest.mark.parametrize("name", aesexpert.__all__)
def test_public_names_are_there(name):
    assert getattr(aesexpert, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'aesexpert' has no attribute 'AesBench'"):
        aesexpert.AesBench  # noqa: B018


def public_functions(file: Path) -> list[ast.FunctionDef | ast.ClassDef]:
    body = ast.parse(file.read_text()).body
    return [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_public_names_are_documented_and_files_stay_small(file):
    for node in public_functions(file):
        assert ast.get_docstring(node), f"{node.name} has no docstring"
    assert file.read_text().count("\n") <= 450
