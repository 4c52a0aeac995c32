"""What an encoder is asked to be, and what of a modality it gets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderConfig:
    """Kind and size of the encoders; the defaults were chosen on PhysioNet 2012 set-a by cross-validation."""

    timeseries: str = "statistics"
    """``statistics`` of each variable and an MLP; ``recurrent``, a GRU over the bins; ``both``, their sum; or one that
    a package brings."""
    embedding: str = "attention"
    """Gated ``attention`` over tokens or images, or their ``mean`` (computed once, hence much faster); or one that a
    package brings."""
    features: str = "mlp"
    """``mlp``, or one that a package brings."""
    dimension: int = 64
    """D, width of every modality's embedding."""
    hidden: int = 64
    """Hidden units of every MLP."""
    attention: int = 32
    """Units of the attention gate."""
    recurrent: int = 32
    """Units of the GRU."""
    dropout: float = 0.5
    """Share of hidden units dropped."""
    input_dropout: float = 0.5
    """Share of input columns dropped, for wide inputs only."""
    wide: int = 50
    """Inputs of more columns than this get input dropout; it costs narrow ones accuracy."""


READS_A_VECTOR = frozenset({"statistics", "mean", "mlp"})
READS_ROWS = frozenset({"recurrent", "attention"})
"""Encoders that read nothing else; for any other, vectors and rows are made ready."""


@dataclass(frozen=True)
class InputSpec:
    """Widths of one modality as its encoder gets it: per-sample vector and rows, 0 for what there is not."""

    name: str
    kind: str
    summary: int
    rows: int
