"""Grids that have a name: each is the path of a YAML file."""

from pathlib import Path

FOLDER = Path(__file__).parent

baselines = FOLDER / "baselines.yaml"
paper = FOLDER / "paper.yaml"
paper_full = FOLDER / "paper-full.yaml"
quick = FOLDER / "quick.yaml"
