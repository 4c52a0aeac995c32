"""Grids that have a name: each is the path of a YAML file."""

from pathlib import Path

from ....registry import Registry

FOLDER = Path(__file__).parent

baselines = FOLDER / "baselines.yaml"
decompensation = FOLDER / "decompensation.yaml"
learning_curve = FOLDER / "learning-curve.yaml"
length_of_stay = FOLDER / "length_of_stay.yaml"
paper = FOLDER / "paper.yaml"
paper_full = FOLDER / "paper-full.yaml"
quick = FOLDER / "quick.yaml"
remaining_los = FOLDER / "remaining_los.yaml"

NAMES = (
    "baselines", "decompensation", "learning-curve", "length_of_stay", "paper", "paper-full", "quick", "remaining_los",
)  # fmt: skip


def _flaw(grid: Path) -> str | None:
    return None if isinstance(grid, Path) and grid.is_file() else "it is not the path of a YAML file"


PRESETS: Registry[Path] = Registry(
    "omnifuse.presets",
    "preset",
    {name: f"fusion.study.presets:{name.replace('-', '_')}" for name in NAMES},
    _flaw,
)
"""Grids by name; a package adds one by an entry point that is the path of a YAML file."""


def preset_names() -> list[str]:
    """Return the names of the presets."""
    return sorted(PRESETS.names())
