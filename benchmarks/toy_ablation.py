"""What each part of OmniFuse does on data of a known law: variants of the model, misreadings, and controls.

    python benchmarks/toy_ablation.py [--seeds 2] [--rows small|full] [--only PATTERN ...]

``--rows small`` shows in a minute per seed that every variant runs; its models have hardly begun to learn. Evidence
needs ``--rows full``, about six minutes per seed on one core.

Three modalities of 40 features show the same 8 hidden numbers, one well, one less, one hardly; a logistic law of the
hidden numbers gives the label. Every variant is trained on complete samples, with the same samples and seeds, and
tested complete, under each of the 7 combinations of modalities (their mean), and on a mixed population in which every
patient has a random combination. Below the means stand standard errors over seeds. A difference of less than about two
standard errors (of the difference to the default) is nothing, and the data of one law prove nothing about patients.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
import torch
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import Method, ModelSpec
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.omnifuse.dwfuse import Completed
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.methods.omnifuse.weighting import DynamicWeightedFuse
from omnifuse.fusion.parts.combinations import combination_table
from omnifuse.fusion.parts.targets import Target, mean_known
from omnifuse.fusion.scores import metrics
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import Tensor, nn

NAMES = ("strong", "middle", "weak")
GAIN = (0.8, 0.5, 0.25)  # how far each modality rises above its noise
FEATURES, HIDDEN = 40, 8
SIZES = {"full": (3000, 4000, 14), "small": (600, 1000, 8)}  # training samples, test samples, epochs


def draw(samples: int, generator: torch.Generator, law: Mapping[str, Tensor]) -> Inputs:
    """Return complete samples of the law; about 18 % of the labels are 1."""
    z = torch.randn(samples, HIDDEN, generator=generator)
    modalities = {}
    for name, gain in zip(NAMES, GAIN, strict=True):
        x = gain * z @ law[name] + torch.randn(samples, FEATURES, generator=generator)
        modalities[name] = ModalityInputs(x, None)
    y = torch.rand(samples, 1, generator=generator) < torch.sigmoid(z @ law["label"] - 2.3)
    return Inputs(y.float(), torch.ones(samples, len(NAMES), dtype=torch.bool), modalities, torch.arange(samples))


def new_law(generator: torch.Generator) -> dict[str, Tensor]:
    """Return how the hidden numbers show in each modality [HIDDEN, FEATURES], and in the label [HIDDEN, 1]."""
    law = {name: torch.randn(HIDDEN, FEATURES, generator=generator) / HIDDEN**0.5 for name in NAMES}
    direction = torch.randn(HIDDEN, 1, generator=generator)
    return {**law, "label": 1.8 * direction / direction.norm()}


class Overwriting(OmniFuse):
    """Misreading: what the cascade makes of shown embeddings replaces them."""

    def complete(self, embeddings: Tensor, missing: Tensor, used: Tensor) -> Completed:
        """Return the output of the cascade in every slot."""
        completed = super().complete(embeddings, missing, used)
        return completed if completed.imputed is None else completed._replace(embeddings=completed.imputed)


class CopyingCycle(OmniFuse):
    """Misreading: the way back starts from all of v', whose shown slots still hold the answer."""

    def build(self) -> int:
        """Build cascades of which the one back reads every slot."""
        width = super().build()
        assert self.imputation is not None
        back = self.imputation.towards_available
        assert back is not None
        self.imputation.reconstruct = lambda imputed, *_: back(imputed.flatten(1))[0].view_as(imputed)  # type: ignore[method-assign]
        return width


class Untrained(OmniFuse):
    """Control: cascades that learn from the heads' losses alone."""

    def _imputation_losses(self, *_: Any) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class FlowingWeights(DynamicWeightedFuse):
    """Misreading: weights that carry gradient."""

    def encoder_loss(self, lp: Tensor, l1p: Tensor, y: Tensor, trust: Tensor) -> Tensor:
        """Equation 12 with gradient through the weights."""
        values, known = self.target.gather(self.log_weights(l1p, trust).exp() * lp, y.unsqueeze(1))
        return mean_known(-mean_known(values, known).sum(-1), self.target.known(y))


@dataclass(frozen=True)
class Literal12(DynamicWeightedFuse):
    """Misreading: the weight inside the cross-entropy, -log(w p), as printed."""

    def encoder_loss(self, lp: Tensor, l1p: Tensor, y: Tensor, trust: Tensor) -> Tensor:
        """Equation 12 to the letter, but for its sign."""
        values, known = self.target.gather(self.log_weights(l1p, trust) + lp, y.unsqueeze(1))
        return mean_known(-mean_known(values, known).sum(-1), self.target.known(y))


class Flowing(OmniFuse):
    """OmniFuse whose weights carry gradient."""

    def __init__(self, spec: ModelSpec, options: OmniFuse.Options | None = None) -> None:
        super().__init__(spec, options)
        self.fuse = FlowingWeights(spec.target, self.options.beta, self.options.alpha)


class Literal(OmniFuse):
    """OmniFuse with equation 12 to the letter."""

    def __init__(self, spec: ModelSpec, options: OmniFuse.Options | None = None) -> None:
        super().__init__(spec, options)
        self.fuse = Literal12(spec.target, self.options.beta, self.options.alpha)


class WithoutNorm(OmniFuse):
    """OmniFuse whose embeddings have no fixed scale."""

    def __init__(self, spec: ModelSpec, options: OmniFuse.Options | None = None) -> None:
        super().__init__(spec, options)
        for encoder in self.encoders.each:
            encoder.norm = nn.Identity()


@dataclass(frozen=True)
class Variant:
    """A method (its class differs from the registered one for a misreading), a preset, and options."""

    name: str
    options: tuple[str, ...] = ()
    method: str = "omnifuse"
    preset: str = "default"
    misread: Callable[[ModelSpec, Any], Method] | None = None


VARIANTS = (
    Variant("default (table4-f)"),
    Variant("as-published", preset="as-published"),
    *(Variant(f"table4-{row}", preset=f"table4-{row}") for row in "abcde"),
    Variant("table4-b + modality dropout", ("modality_dropout=0.5",), preset="table4-b"),
    Variant("concat + modality dropout", method="concat", preset="modality-dropout"),
    Variant("target: complement (A1)", ("imputation_target=complement",)),
    Variant("target: all (A1)", ("imputation_target=all",)),
    Variant("truth: attached (A3)", ("truth=attached",)),
    Variant("truth: attached, no norm (A7)", ("truth=attached",), misread=WithoutNorm),
    Variant("truth: detached, no norm (A7)", misread=WithoutNorm),
    Variant("truth: teacher (A4)", ("truth=teacher",)),
    Variant("one cascade (A5)", ("share_cascades=true",)),
    Variant("misread: cycle sees all of v' (A6)", misread=CopyingCycle),
    Variant("misread: v' overwrites (A9)", misread=Overwriting),
    Variant("patterns: uniform over 7 (A10)", ("modality_dropout=1",)),
    Variant("patterns: uniform over 6 (A10)", ("modality_dropout=1", "patterns=proper")),
    Variant("patterns: independent (A10)", ("patterns=independent",)),
    Variant("misread: eq. 12 to the letter (A13)", misread=Literal),
    Variant("misread: weights with gradient (A14)", misread=Flowing),
    Variant("weighing: available (A15)", ("weighing=available",)),
    Variant("weighing: available, sum (A12)", ("weighing=available", "score=sum")),
    Variant("weighing: discounted (A15)", ("weighing=discounted",)),
    Variant("no backward loss", ("lambda1=0",)),
    Variant("no imputation losses", misread=Untrained),
    Variant("activation: force (A22)", ("activation=force",)),
    Variant("laziness: excess (A23)", ("laziness=excess",)),
    Variant("control: always strong", ("always_lazy=strong",)),
    Variant("control: always middle", ("always_lazy=middle",)),
    Variant("control: always weak", ("always_lazy=weak",)),
    Variant("control: no weights", ("beta=0",)),
    Variant("control: no weights, class weights", ("beta=0", "class_weights=true")),
    Variant("control: permuted weights", ("permute_weights=true",)),
)

COLUMNS = ("complete", "joint", "mean p", "7 comb.", "mixed", "log loss", "cosine", "spread", "L_fwd", "L_bwd")
WIDTH = max(len(variant.name) for variant in VARIANTS)


def trained(variant: Variant, seed: int, inputs: Inputs, samples: int, epochs: int) -> tuple[Method, dict[str, float]]:
    """Train a variant on the first samples; return it with the loss terms of its last epoch."""
    config = make_config(variant.method, variant.preset, [f"options.{option}" for option in variant.options])
    specs = tuple(InputSpec(name, "features", FEATURES, 0) for name in NAMES)
    torch.manual_seed(seed)
    create = variant.misread or METHODS.get(variant.method)
    method = create(ModelSpec(specs, Target("binary"), EncoderConfig(dimension=32)), config.options)
    parts = Parts(torch.arange(samples), torch.arange(0))
    history = fit(method, inputs, parts, FitConfig(epochs=epochs, mining_rows=1000), seed)
    return method, {row["term"]: row["value"] for row in history if row["epoch"] == epochs - 1}


def measured(method: Method, terms: Mapping[str, float], test: Inputs, seed: int) -> dict[str, float]:
    """Return every column of the table for one trained method."""
    everyone, y = torch.arange(len(test.y)), test.y.numpy()
    complete = predict(method, test, everyone)
    scores = {name: value.numpy() for name, value in complete.readouts.items()}
    p = np.stack(list(complete.combinations.values()) or one_by_one(method, test))  # [7, n], the full one last
    drawn = np.random.default_rng(seed).integers(len(p), size=len(y))
    return {
        "complete": auroc(y, p[-1]),
        "joint": auroc(y, scores.get("joint")),
        "mean p": auroc(y, scores.get("mean")),
        "7 comb.": float(np.mean([auroc(y, one) for one in p])),
        "mixed": auroc(y, p[drawn, np.arange(len(y))]),
        "log loss": float(metrics.log_loss("binary", y, p[-1][:, None])),
        **embeddings_of(method, test),
        "L_fwd": terms.get("forward", np.nan),
        "L_bwd": terms.get("backward", np.nan),
    }


def one_by_one(method: Method, test: Inputs) -> list[np.ndarray]:
    """Return the probability of every sample under each combination, for a method that does not say it itself."""
    everyone, found = torch.arange(len(test.y)), []
    for shown in combination_table(len(NAMES)).tolist():
        hidden = [name for name, is_shown in zip(NAMES, shown, strict=True) if not is_shown]
        found.append(predict(method, test.without(hidden), everyone).probability[:, 0].numpy())
    return found


def auroc(y: np.ndarray, p: np.ndarray | None) -> float:
    """Area under the curve; NaN where a method has no such readout."""
    area = None if p is None else metrics.auroc(y[:, 0], p)
    return float("nan") if area is None else area


def embeddings_of(method: Method, test: Inputs) -> dict[str, float]:
    """Cosine between imputed and true embeddings, both centred, and the spread of the true ones over samples."""
    with torch.no_grad():
        encoded = method.encode(test.batch(torch.arange(len(test.y))))
        truth = encoded.embeddings - encoded.embeddings.mean(0)
        found = {"spread": truth.std(0).mean().item(), "cosine": float("nan")}
        imputation = getattr(method, "imputation", None)
        if imputation is not None:
            imputed = imputation.impute_each(encoded.embeddings, encoded.missing, encoded.presence)
            found["cosine"] = nn.functional.cosine_similarity(imputed - imputed.mean(0), truth, dim=-1).mean().item()
    return found


def cohorts(seeds: int, rows: str) -> list[tuple[Inputs, Inputs]]:
    """Return training and test samples of one law per seed."""
    drawn, (samples, tested, _) = [], SIZES[rows]
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        law = new_law(generator)
        drawn.append((draw(samples, generator, law), draw(tested, generator, law)))
    return drawn


def measurements(variant: Variant, drawn: list[tuple[Inputs, Inputs]], epochs: int) -> np.ndarray:
    """Train and test a variant with every seed: [seeds, columns]."""
    table = []
    for seed, (train, test) in enumerate(drawn):
        method, terms = trained(variant, seed, train, len(train.y), epochs)
        values = measured(method, terms, test, seed)
        table.append([values[column] for column in COLUMNS])
    return np.array(table)


def print_row(name: str, values: np.ndarray, first: np.ndarray) -> None:
    """Print means, the difference to the first variant, and below them standard errors over seeds."""
    difference = (values - first)[:, COLUMNS.index("7 comb."), None]
    cells = np.concatenate([values, difference], axis=1)
    print(f"{name:<{WIDTH}}", *(f"{value:9.3f}" for value in cells.mean(0)), flush=True)
    if len(values) > 1:
        errors = cells.std(0, ddof=1) / len(values) ** 0.5
        print(" " * WIDTH, *(f"{f'±{error:.3f}':>9}" for error in errors), flush=True)


def main() -> None:
    """Run the variants that were asked for and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", choices=SIZES, default="small")
    parser.add_argument("--only", nargs="*", default=["*"], help="names of variants, with * and ?")
    options = parser.parse_args()
    variants = [
        variant
        for variant in VARIANTS
        if variant is VARIANTS[0] or any(fnmatch(variant.name, pattern) for pattern in options.only)
    ]
    start, drawn, first = time.perf_counter(), cohorts(options.seeds, options.rows), None
    print(" " * WIDTH, *(f"{column:>9}" for column in (*COLUMNS, "- default")))
    for variant in variants:
        values = measurements(variant, drawn, SIZES[options.rows][-1])
        first = values if first is None else first
        print_row(variant.name, values, first)
    print(f"\n{options.seeds} seeds, {options.rows} rows, {time.perf_counter() - start:.0f} s.", end=" ")
    print("Last column: mean AUROC over the 7 combinations, minus that of the default.")


if __name__ == "__main__":
    main()
