"""Whether the tables of a folder have the columns that concepts ask for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .....cache_schema import InputError, meant
from ..folder import MimicFolder
from .definitions import Concept
from .reading import event_files


def refuse_unknown_columns(
    folder: MimicFolder, concepts: Sequence[Concept], said_in: Mapping[str, Path] | None = None
) -> None:
    """Raise an error where a file lacks what every row needs, or all of a concept a column of ``where`` or ``without``.

    Files that are not there are not asked. ``said_in`` says which sets of concepts are of a user's file.
    """
    for file in event_files(folder, concepts):
        file.require()
    asking = [concept for concept in concepts if concept.where or concept.without]
    files = [file for file in event_files(folder, asking) if file.table is not None]
    for concept in asking:
        of_concept = [
            file for file in files
            if file.logical in concept.items and file.event_table.has_any(concept.items[file.logical])
        ]  # fmt: skip
        known = [name for file in of_concept if file.table for name in file.table.columns]
        for word, columns in (("where", concept.where), ("without", concept.without)):
            for column in columns:
                if of_concept and column not in known:
                    names = ", ".join(file.event_table.name for file in of_concept)
                    said = f"{said_in[concept.set]}: " if said_in and concept.set in said_in else ""
                    where = f"{said}{concept.set}: {concept.name}: {word}"
                    paths = ", ".join(str(file.table.path) for file in of_concept if file.table)
                    raise InputError(f"{where}: {names} has no column {column!r} ({paths}).{meant(column, known)}")
