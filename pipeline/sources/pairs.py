"""Files that are given names on the command line."""

from pathlib import Path

from ...cache_schema import InputError


def named_files(option: str, pairs: tuple[str, ...]) -> dict[str, Path]:
    """Parse the NAME=FILE pairs of an option."""
    named = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        if not equals or not file or name in named:
            raise InputError(f"{option} {pair!r}; write NAME=FILE, each name once, such as rna=rna.csv.")
        named[name] = Path(file)
    return named
