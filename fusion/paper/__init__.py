"""What authors need of a run or a study for a paper: checklist, model card, texts, tables, figures, data."""

from .kit import write_paper

__all__ = ["write_paper"]
