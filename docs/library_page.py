"""Writes the second half of docs/library.md from the docstrings of what ``omnifuse`` offers.

    python docs/library_page.py

The half above `MARK` is written by hand; a test compares the page with the code.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import omnifuse

PAGE = Path(__file__).with_name("library.md")
MARK = "<!-- from here on written by docs/library_page.py -->"
WIDTH = 100
"""Characters of a line of code."""


def page() -> str:
    """Return the page as it should be."""
    by_hand = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    names = sorted(omnifuse.__all__, key=lambda name: (name[0].isupper(), name.lower()))
    return by_hand + "\n\n".join([MARK, *(entry(name, getattr(omnifuse, name)) for name in names)]) + "\n"


def entry(name: str, thing: Any) -> str:
    """Return what there is to know of a function or class."""
    if not inspect.isclass(thing):
        return f"## {name}\n\n{signature(name, thing)}\n\n{text(thing)}"
    made = "" if issubclass(thing, Exception) else f"{signature(name, thing)}\n\n"
    arguments = (text(base).partition("**Parameters**") for base in thing.__mro__[1:] if _is_ours(base))
    inherited = ["".join(found[1:]) for found in arguments if found[1]]
    return "\n\n".join([f"## {name}\n\n{made}{text(thing)}", *inherited, *members(name, thing)])


def _is_ours(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("omnifuse")


def members(owner: str, thing: type) -> Iterator[str]:
    """Yield the public methods and properties of a class that OmniFuse wrote, in alphabetical order."""
    for name in dir(thing):
        home, member = next(base for base in thing.__mro__ if name in vars(base)), inspect.getattr_static(thing, name)
        if name.startswith("_") or not _is_ours(home) or issubclass(thing, Exception):
            continue
        if (
            member.__doc__ is None
            or type(member).__module__.startswith("sklearn")
            or not hasattr(type(member), "__get__")
        ):
            continue
        if inspect.isfunction(member) or isinstance(member, classmethod):
            yield f"### {owner}.{name}\n\n{signature(f'{owner}.{name}', getattr(thing, name))}\n\n{text(member)}"
        else:
            yield f"### {owner}.{name}\n\n{text(member)}"


def signature(name: str, thing: Any) -> str:
    """Return the signature as code, an argument a line where one line would be long."""
    found = inspect.signature(thing)
    arguments: list[str] = []
    for argument in found.parameters.values():
        if argument.kind is argument.KEYWORD_ONLY and not {"*", "**"} & {one[:1] for one in arguments}:
            arguments.append("*")
        if argument.name != "self":
            arguments.append(_argument(argument))
    returned = "" if inspect.isclass(thing) else f" -> {_annotation(found.return_annotation)}"
    line = f"{name}({', '.join(arguments)}){returned}"
    if len(line) > WIDTH:
        line = f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){returned}"
    return f"```python\n{line}\n```"


def _argument(argument: inspect.Parameter) -> str:
    stars = {argument.VAR_POSITIONAL: "*", argument.VAR_KEYWORD: "**"}.get(argument.kind, "")
    default = "" if argument.default is argument.empty else f" = {argument.default!r}"
    return f"{stars}{argument.name}: {_annotation(argument.annotation)}{default}"


def _annotation(given: Any) -> str:
    return re.sub(r"\b(?:[a-z_]+\.)+(?=\w)", "", given if isinstance(given, str) else inspect.formatannotation(given))


def text(thing: Any) -> str:
    """Return a docstring in Markdown: its sections in bold, what they list as lists."""
    lines = inspect.cleandoc(thing.__doc__).replace("``", "`").splitlines()
    lines = [re.sub(r":\w+:`[~.]?([^`]+)`", r"`\1`", line) for line in lines]
    written: list[str] = []
    listing = False
    for number, line in enumerate(lines):
        if set(line) == {"-"}:
            continue
        if number + 1 < len(lines) and lines[number + 1] and set(lines[number + 1]) == {"-"}:
            written += [f"**{line}**", ""]
            listing = True
        elif listing and line and not line.startswith(" "):
            name, _, rest = line.partition(" : ")
            written.append(f"- `{name}`" + (f": {rest}" if rest else ""))
        elif listing and line:
            written.append(f"  {line.strip()}")
        else:
            written.append(line)
    return "\n".join(written)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
