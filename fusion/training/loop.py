"""The one training loop, and predictions of a trained model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch, Inputs
from ..inputs.queries import drawn, drawn_count
from ..methods.base import Context, Method, Phase, Prediction, combine
from ..methods.fitting import EVALUATION_BATCH, FitConfig, Fitting, Progress, cosine_share, prior_logits, silent
from ..scores.measures import MEASURES, PRIMARY
from .outcome import judged


@dataclass(frozen=True)
class Parts:
    """Positions in the cohort [n] that a fit may see; ``validation`` may be empty."""

    train: Tensor
    validation: Tensor


History = list[dict[str, Any]]


def fit(
    method: Method, inputs: Inputs, parts: Parts, config: FitConfig, seed: int, progress: Progress = silent
) -> History:
    """Train a method in place and return its history: rows of epoch, part, term, value.

    The result depends on the seed alone, not on torch's global generator, which is left as it was found. The method
    is left in evaluation mode. Of several predictions a sample every epoch draws some, see `FitConfig.times`; what is
    fitted at once sees one draw, and so does who validates.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if inputs.sample is not None:
            parts = replace(parts, validation=seen_once(inputs, parts.validation, config, seed))
        method.start_from(prior_logits(method, inputs.y[parts.train]))
        descend = _descend if method.by_gradient else _fit_at_once
        return descend(method, inputs, parts, config, seed, progress)


class NestedFits:
    """Other models that a method trains and asks while it is fitted, by the same loop."""

    def fit(self, method: Method, inputs: Inputs, samples: Tensor, config: FitConfig, seed: int) -> None:
        """Train another model in place, without a validation part."""
        fit(method, inputs, Parts(samples, samples[:0]), config, seed)

    def predict(self, method: Method, inputs: Inputs, samples: Tensor) -> Prediction:
        """Predict samples with a trained model."""
        return predict(method, inputs, samples)


def _fit_at_once(
    method: Method, inputs: Inputs, parts: Parts, config: FitConfig, seed: int, progress: Progress
) -> History:
    method.eval()
    train = seen_once(inputs, parts.train, config, seed)
    method.fit(Fitting(inputs, train, config, seed, progress, NestedFits()))
    with torch.no_grad():
        return [
            row
            for part, samples in (("train", train), ("validation", parts.validation))
            for row in measure(method.loss, inputs.batches(samples, EVALUATION_BATCH)).rows(0, part)
        ]


def seen_once(inputs: Inputs, positions: Tensor, config: FitConfig, seed: int) -> Tensor:
    """Return what is seen of some positions [n] by whoever sees them once."""
    return drawn(positions, inputs.sample, config.times, torch.Generator().manual_seed(seed))


def _descend(method: Method, inputs: Inputs, parts: Parts, config: FitConfig, seed: int, progress: Progress) -> History:
    generator = torch.Generator().manual_seed(seed)
    phases = method.phases()
    epochs = [max(1, round(phase.share * config.epochs)) for phase in phases]
    context = replace(_context(inputs, parts, config, generator), epochs=epochs[0])
    method.on_fit_start(context)
    history: History = []
    numbers = iter(progress(range(sum(epochs))))
    for number, (phase, length) in enumerate(zip(phases, epochs, strict=True)):
        steps = length * math.ceil(drawn_count(parts.train, inputs.sample, config.times) / config.batch_size)
        with _training_only(method, phase.modules):
            step = Steps(method, phase, config, steps)
            for epoch, at in zip(range(length), numbers, strict=False):
                context = replace(context, phase=number, epoch=epoch, epochs=length)
                index = drawn(parts.train, inputs.sample, config.times, generator)
                history += _epoch(step, inputs.batches(index, config.batch_size, generator), context, at)
    next(numbers, None)  # so that the progress ends
    method.eval()
    with torch.no_grad():
        method.on_fit_end(context)
    return history


def _epoch(step: Steps, batches: Iterable[Batch], context: Context, number: int) -> History:
    """Train one epoch and return its rows of the history."""
    method, name = step.method, step.phase.name
    method.train()
    method.on_epoch_start(context)
    trained = measure(partial(step, context=context), batches)
    method.eval()
    with torch.no_grad():
        validated = measure(step.phase.loss, context.validation())
        judged = [] if name else _validation_measure(method, context, number)
        method.on_epoch_end(context)
    return trained.rows(number, "train", name) + validated.rows(number, "validation", name) + judged


def _validation_measure(method: Method, context: Context, number: int) -> History:
    """Return the primary measure of the validation part as a row of the history; none where it is not defined.

    It is that of outcomes as the method learns them: quantities in deviations, times in intervals.
    """
    batches = list(context.validation())
    if not batches:
        return []
    y = torch.cat([batch.y for batch in batches]).cpu().numpy()
    probability = torch.cat([method.predict(batch).probability for batch in batches]).cpu().numpy()
    name = PRIMARY[method.target.kind]
    value = MEASURES.get(name).value(*judged(method.target, y, probability))
    return [] if value is None else [{"epoch": number, "part": "validation", "term": name, "value": value}]


@contextmanager
def _training_only(method: Method, modules: Sequence[nn.Module]) -> Iterator[None]:
    """Let gradients reach the parameters of some modules and no others."""
    trained = {parameter for module in modules for parameter in module.parameters()}
    frozen = [parameter for parameter in method.parameters() if parameter.requires_grad and parameter not in trained]
    try:
        for parameter in frozen:
            parameter.requires_grad_(False)
            parameter.grad = None  # of an earlier phase; clipping would count it
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


class Steps:
    """Takes the optimiser's steps of one phase, ``steps`` in all, with a learning rate that falls along a cosine."""

    def __init__(self, method: Method, phase: Phase, config: FitConfig, steps: int) -> None:
        self.method, self.phase, self.config = method, phase, config
        groups = [[p for p in group if p.requires_grad] for group in method.parameter_groups()]
        self.optimiser = torch.optim.AdamW(
            [{"params": group} for group in groups],
            lr=config.learning_rate, weight_decay=config.weight_decay, fused=True,
        )  # fmt: skip
        self.schedule = cosine(self.optimiser, config.final_rate, steps)
        # walking modules takes long
        self.models = [list(model.parameters()) for model in method.independent_parts()]

    def __call__(self, batch: Batch, context: Context) -> dict[str, Tensor]:
        """Take one step and return the loss terms."""
        self.optimiser.zero_grad()
        terms = self.phase.loss(batch)
        torch.autograd.backward(terms["total"])
        self.method.before_step(context)
        clip_gradients(self.models, self.config.clip)
        for group, size in zip(self.optimiser.param_groups, self.method.step_sizes(), strict=True):
            group["lr"] *= size
        self.optimiser.step()
        self.schedule.step()  # sets the rates anew
        return terms


def clip_gradients(models: Sequence[Sequence[Tensor]], norm: float) -> None:
    """Scale the gradients of each model down to at most ``norm``."""
    for parameters in models:
        torch.nn.utils.clip_grad_norm_(parameters, norm)


def measure(loss: Callable[[Batch], dict[str, Tensor]], batches: Iterable[Batch]) -> Terms:
    """Return the terms of a loss over some batches."""
    terms = Terms()
    for batch in batches:
        terms.add(loss(batch), len(batch))
    return terms


def cosine(optimiser: torch.optim.Optimizer, final: float, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the schedule from the highest learning rate to a share of it along half a cosine, step by step."""
    return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: cosine_share(done / steps, final))


def _context(inputs: Inputs, parts: Parts, config: FitConfig, generator: torch.Generator) -> Context:
    chosen = torch.randperm(len(parts.train), generator=generator)[: config.mining_rows].sort().values
    return Context(
        phase=0,
        epoch=0,
        epochs=config.epochs,
        training=partial(inputs.batches, parts.train[chosen.to(parts.train.device)], EVALUATION_BATCH),
        validation=partial(inputs.batches, parts.validation, EVALUATION_BATCH),
        generator=generator,
    )


class Terms:
    """Running means of named loss terms over the samples of an epoch."""

    def __init__(self) -> None:
        self.sums: defaultdict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
        self.samples = 0

    def add(self, terms: dict[str, Tensor], samples: int) -> None:
        """Add the terms of one batch, where they lie: to fetch them from a GPU would mean to wait for it."""
        self.samples += samples
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value.detach() * samples

    def rows(self, epoch: int, part: str, phase: str = "") -> History:
        """Return the means as history rows."""
        prefix = f"{phase}: " if phase else ""
        return [
            {"epoch": epoch, "part": part, "term": prefix + name, "value": float(total) / self.samples}
            for name, total in self.sums.items()
        ]


def predict(method: Method, inputs: Inputs, samples: Tensor) -> Prediction:
    """Predict the given samples [n] in their order."""
    method.eval()
    with torch.no_grad():
        pieces = [method.predict(batch) for batch in _unlabelled(inputs, samples)]
    found = combine(pieces, lambda parts: torch.cat(parts).cpu())
    _refuse_no_probabilities(method, found.probability, len(samples))
    return found


def _refuse_no_probabilities(method: Method, probability: Tensor, samples: int) -> None:
    """Raise `InputError` for an answer that is not [n, K] numbers."""
    expected, name = (samples, method.target.output_size), f"The method {method.name!r}"
    if probability.shape != expected:
        raise InputError(f"{name} gives probabilities {list(probability.shape)}; expected {list(expected)}.")
    if not probability.isfinite().all():
        what = "values" if method.target.kind == "regression" else "probabilities"
        raise InputError(
            f"{name} gives {what} that are no numbers: its training diverged, or an encoder makes no number of "
            "an input that is unknown (NaN). Give a lower fit.learning_rate or fit.clip, or mend the encoder."
        )


def probabilities(method: Method, inputs: Inputs, samples: Tensor) -> Tensor:
    """Return the probabilities [n, K] of the given samples [n]; the prior, whatever the method, for one without input.

    They lie in the memory of the processor.
    """
    shown = inputs.presence[samples].any(1)
    answer: Tensor = method.target.probabilities(method.prior).cpu().repeat(len(samples), 1)
    if shown.any():
        answer[shown.cpu()] = predict(method, inputs, samples[shown]).probability
    return answer


def _unlabelled(inputs: Inputs, samples: Tensor) -> Iterator[Batch]:
    """Yield batches whose labels are all unknown: a prediction cannot look at what it predicts."""
    for batch in inputs.batches(samples, EVALUATION_BATCH):
        yield replace(batch, y=torch.full_like(batch.y, torch.nan))
