"""The index of methods, which is read from their files, says what the imported classes say."""

import subprocess
import sys

from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.found import FAMILIES
from omnifuse.fusion.methods.index import index, index_text


def test_family_and_title_are_those_of_the_imported_class() -> None:
    entries = index()
    assert sorted(entry.name for entry in entries) == sorted(METHODS.names())
    for name, family, title in entries:
        method = METHODS.get(name)
        assert family == method.family
        assert title and title == (sys.modules[method.__module__].__doc__ or "").split("\n")[0]


def test_a_family_is_one_block_under_its_name() -> None:
    lines = index_text(index()).splitlines()
    assert max(map(len, lines)) <= 80
    families = [line for line in lines[:-2] if not line.startswith(" ")]
    assert families == list(dict.fromkeys(METHODS.get(name).family for name in METHODS.names())) == list(FAMILIES)
    first = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert first == [entry.name for entry in index()]


def test_the_index_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from omnifuse.cli import main\n"
        "assert 'omnifuse' in CliRunner().invoke(main, ['methods']).stdout\n"
        "sys.exit(bool({'torch', 'zarr', 'polars', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
