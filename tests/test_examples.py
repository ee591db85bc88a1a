"""The examples in docstrings are true."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "voicemesh"
LEAST = 7  # modules that show how they are used


def examples() -> dict[str, list[str]]:
    """Docstrings with examples, by module; read off the source, as checked functions hide them."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>>" not in (source := path.read_text()):
            continue
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
        texts = [text for node in nodes if ">>>" in (text := ast.get_docstring(node) or "")]
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        found[name] = texts
    return found


def test_there_are_examples():
    assert len(examples()) >= LEAST


@pytest.mark.parametrize("name", examples())
def test_examples_are_true(name):
    module, runner = importlib.import_module(name), doctest.DocTestRunner()
    for number, text in enumerate(examples()[name]):
        told = doctest.DocTestParser().get_doctest(text, dict(vars(module)), name, None, number)
        runner.run(told)
    assert runner.tries and not runner.failures
