"""What an embedding may and may not depend on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Batch, ModalityBatch, Rows, RowStore
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.parts.encoders import ENCODERS, MEAN_DISTANCE, ModalityEncoder, ModalityEncoders, ScoreEncoder
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

CONFIGS = {
    "statistics": (InputSpec("ehr", "timeseries", 60, 0), EncoderConfig()),
    "recurrent": (InputSpec("ehr", "timeseries", 0, 4), EncoderConfig(timeseries="recurrent")),
    "both": (InputSpec("ehr", "timeseries", 60, 4), EncoderConfig(timeseries="both")),
    "attention": (InputSpec("rep", "embedding", 0, 4), EncoderConfig()),
    "features": (InputSpec("static", "features", 5, 0), EncoderConfig()),
}


def inputs_for(spec: InputSpec, lengths: list[int]) -> ModalityBatch:
    torch.manual_seed(1)
    summary = torch.randn(len(lengths), spec.summary) if spec.summary else None
    rows = Rows(torch.randn(sum(lengths), spec.rows), torch.tensor(lengths)) if spec.rows else None
    return ModalityBatch(torch.arange(len(lengths)), summary, rows)


def only(inputs: ModalityBatch, sample: int) -> ModalityBatch:
    """Return a batch of one sample."""
    rows = inputs.rows
    if rows is not None:
        rows = Rows(rows.values.split(rows.lengths.tolist())[sample], rows.lengths[sample : sample + 1])
    summary = None if inputs.summary is None else inputs.summary[sample : sample + 1]
    return ModalityBatch(torch.zeros(1, dtype=torch.int64), summary, rows)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_sample_alone_is_encoded_as_in_a_batch(name: str) -> None:
    encoder = ModalityEncoder(*CONFIGS[name]).eval()
    inputs = inputs_for(CONFIGS[name][0], [3, 1, 5])
    together = encoder(inputs)
    for sample in range(3):
        torch.testing.assert_close(encoder(only(inputs, sample))[0], together[sample])


@pytest.mark.parametrize("name", CONFIGS)
def test_embeddings_have_zero_mean_and_unit_deviation(name: str) -> None:
    encoder = ModalityEncoder(*CONFIGS[name]).eval()
    embedding = encoder(inputs_for(CONFIGS[name][0], [3, 1, 5]))
    assert embedding.shape == (3, 64)
    torch.testing.assert_close(embedding.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(embedding.std(1, correction=0), torch.ones(3), atol=1e-2, rtol=0)
    assert encoder.missing().shape == (64,)


def test_absent_slots_hold_the_missing_embedding() -> None:
    spec, config = CONFIGS["attention"]
    other = InputSpec("static", "features", 5, 0)
    encoders = ModalityEncoders([spec, other], config).eval()
    presence = torch.tensor([[True, False], [False, True], [False, False]])
    parts = {
        "rep": ModalityBatch(torch.tensor([0]), None, Rows(torch.randn(2, 4), torch.tensor([2]))),
        "static": ModalityBatch(torch.tensor([1]), torch.randn(1, 5), None),
    }
    encoded = encoders(Batch(torch.arange(3), torch.zeros(3, 1), presence, parts, torch.arange(3)))
    torch.testing.assert_close(encoded.embeddings[2], encoded.missing)
    torch.testing.assert_close(encoded.embeddings[1, 0], encoded.missing[0])
    assert not torch.allclose(encoded.embeddings[0, 0], encoded.missing[0])


def test_a_modality_that_nobody_has_is_no_error() -> None:
    spec, config = CONFIGS["attention"]
    nobody = ModalityBatch(
        torch.zeros(0, dtype=torch.int64), None, Rows(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    )
    batch = Batch(
        torch.arange(2), torch.zeros(2, 1), torch.zeros(2, 1, dtype=torch.bool), {"rep": nobody}, torch.arange(2)
    )
    encoded = ModalityEncoders([spec], config)(batch)
    encoded.embeddings.sum().backward()
    assert encoded.embeddings.shape == (2, 1, 64)


def test_only_wide_inputs_get_input_dropout() -> None:
    narrow, wide = (ModalityEncoder(InputSpec("x", "features", n, 0), EncoderConfig()) for n in (50, 51))
    assert (narrow.summary.dropout.p, wide.summary.dropout.p) == (0.0, 0.5)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_missing_embedding_is_the_answer_to_one_row_of_zeros(name: str) -> None:
    """Scores whose three terms are all zero: at the mean distance from the median, above and below."""
    spec, config = CONFIGS[name]
    encoder = ModalityEncoder(spec, config).eval()
    if isinstance(encoder.summary, ScoreEncoder):
        torch.nn.init.zeros_(encoder.summary.mlp[0].weight[:, : spec.summary])
    one = torch.ones(1, dtype=torch.int64)
    zeros = ModalityBatch(one - 1, torch.full((1, spec.summary), MEAN_DISTANCE), Rows(torch.zeros(1, spec.rows), one))
    torch.testing.assert_close(encoder.missing(), encoder(zeros)[0])


def test_scores_are_read_with_their_distance_from_the_median_and_whether_they_are_unknown() -> None:
    encoder = ScoreEncoder(2, EncoderConfig(dropout=0.0))
    encoder.mlp = torch.nn.Identity()
    read = encoder(torch.tensor([[-1.0, torch.nan], [0.0, 2.0]]))
    expected = [[-1, 0, 1 - MEAN_DISTANCE, 0, 0, 1], [0, 2, -MEAN_DISTANCE, 2 - MEAN_DISTANCE, 0, 0]]
    torch.testing.assert_close(read, torch.tensor(expected))
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    assert float(normal.abs().mean()) == pytest.approx(MEAN_DISTANCE, abs=0.01)


@pytest.mark.parametrize("name", ["recurrent", "both", "attention"])
def test_one_sample_of_3000_rows_among_single_rows(name: str) -> None:
    encoder = ModalityEncoder(*CONFIGS[name])
    inputs = inputs_for(CONFIGS[name][0], [1, 3000, 1])
    embedding = encoder.eval()(inputs)
    embedding.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())
    torch.testing.assert_close(embedding[2], encoder(only(inputs, 2))[0])


@pytest.mark.parametrize("name", ["recurrent", "attention"])
def test_the_largest_half_precision_values_do_not_overflow(name: str) -> None:
    """Rows are gathered from float16 and summed over thousands: everything after the cache is float32."""
    spec, config = CONFIGS[name]
    values = torch.full((3000, spec.rows), 65504.0, dtype=torch.float16)
    span = torch.tensor([0]), torch.tensor([3000])
    store = RowStore(values, *span, torch.ones(spec.rows), torch.zeros(spec.rows))
    inputs = ModalityBatch(torch.zeros(1, dtype=torch.int64), None, store.gather(torch.tensor([0])))
    assert ModalityEncoder(spec, config).eval()(inputs).isfinite().all()


LAST = """
from torch import nn
from omnifuse.fusion.parts.encoders import Encoder

class LastRow(nn.Module):
    def __init__(self, columns, config):
        super().__init__()
        self.project = nn.Linear(columns, config.dimension)

    def forward(self, rows):
        return self.project(rows.values[rows.lengths.cumsum(0) - 1])

last = Encoder(rows=LastRow)
wrong = LastRow
empty = Encoder()
reading = Encoder(vector=LastRow)
"""


def test_a_package_brings_an_encoder_that_is_chosen_like_ours(
    install: Callable[[str, str, str], None], toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    install("lasts", "[omnifuse.encoders]\ntimeseries.last = lasts:last", LAST)
    config = make_config("concat", overrides=["encoder.timeseries=last", "fit.epochs=1", "folds=2"])
    run, cache = tmp_path / "run", toy_cache(tmp_path / "cache")
    train(cache, config, run)
    assert load_run(run).predict(cache)["p"].is_finite().all()
    encoder = ModalityEncoder(InputSpec("ehr", "timeseries", 60, 4), config.encoder)
    assert encoder.summary is None and type(encoder.rows).__name__ == "LastRow"
    with pytest.raises(InputError, match=r"Unknown embedding encoder 'last'\. Known are: attention, mean\."):
        make_config("concat", overrides=["encoder.embedding=last"])
    with pytest.raises(InputError, match="The features encoder 'last' reads nothing of 'static'"):
        install("rows", "[omnifuse.encoders]\nfeatures.last = lasts:last", "")
        ModalityEncoder(InputSpec("static", "features", 5, 0), EncoderConfig(features="last"))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("wrong", r"it is no .*parts\.encoders\.Encoder"),
        ("empty", "it reads neither a vector nor rows"),
        ("reading", "what reads the vector is no subclass of VectorEncoder"),
    ],
)
def test_what_is_no_encoder_is_refused_by_name(install: Callable[[str, str, str], None], what: str, said: str) -> None:
    install("lasts", f"[omnifuse.encoders]\ntimeseries.last = lasts:{what}", LAST)
    with pytest.raises(InputError, match=rf"'timeseries\.last' of the package lasts 1\.2 cannot be used: {said}"):
        ENCODERS.get("timeseries.last")
