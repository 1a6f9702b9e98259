"""Every name in long.txt is that of a test there is."""

import ast
from pathlib import Path

HERE = Path(__file__).parent


def _functions(path):
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_long_test_is_there_once():
    names = (HERE / "long.txt").read_text().splitlines()
    assert names == sorted(set(names))
    for name in names:
        path, _, test = name.partition("::")
        assert test.partition("[")[0] in _functions(HERE.parent / path), name


def test_a_long_test_is_not_run_by_default(request):
    """The marks come before pytest deselects."""
    config = request.config
    chosen = config.getoption("markexpr")
    if chosen == "not slow":
        names = (HERE / "long.txt").read_text().splitlines()
        assert not {item.nodeid for item in request.session.items} & set(names)
