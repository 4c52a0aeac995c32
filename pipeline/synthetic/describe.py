"""The best possible AUROCs of a synthetic cohort as a table."""

from .best_possible import BestPossible, Reference


def best_possible_text(best: BestPossible) -> str:
    """Return the oracle and all modality combinations, in the population, on the cohort's stays, and as fitted."""
    lines = [
        "Best possible AUROC from the raw files, by modalities seen (availability included):",
        f"{'':16}{'any number':>12}{'these stays':>24}{'right model':>14}",
        f"{'':16}{'of stays':>12}{'':>24}{'fitted here':>14}",
        *map(_row, (best.oracle, *best.references)),
        "latent: were the hidden causes known. Right model: knows the law's form, learns its weights from these stays.",
    ]
    return "\n".join(lines)


def _row(reference: Reference) -> str:
    low, high = reference.interval
    here = f"{reference.auroc_cohort:.3f} [{low:.3f}, {high:.3f}]"
    fitted = "-" if reference.auroc_fitted is None else f"{reference.auroc_fitted:.3f}"
    return f"{reference.combination:16}{reference.auroc:>12.3f}{here:>24}{fitted:>14}"
