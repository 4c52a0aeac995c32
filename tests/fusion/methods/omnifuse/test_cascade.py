"""Imputation: equations 2 to 8, and what may and what may not reach them."""

import pytest
import torch
from omnifuse.fusion.methods.omnifuse.cascade import (
    CascadeResidualAutoencoder,
    CycleImputation,
    Goal,
    backward_loss,
    forward_loss,
    layer_sizes,
)
from torch import Tensor, nn

BATCH, MODALITIES, WIDTH = 5, 3, 4
NOWHERE = torch.zeros(())  # missing embeddings where nothing is asked to become one


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def imputation() -> CycleImputation:
    torch.manual_seed(0)
    return CycleImputation(MODALITIES, WIDTH, blocks=2)


@pytest.fixture
def embeddings() -> Tensor:
    return torch.randn(BATCH, MODALITIES, WIDTH, generator=seeded())


@pytest.fixture
def missing() -> Tensor:
    return torch.randn(MODALITIES, WIDTH, generator=seeded(1))


class Affine(nn.Module):
    """Stands for a residual autoencoder: correction and latent are multiples of the input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, v: Tensor) -> tuple[Tensor, Tensor]:
        return self.factor * v, v[..., :1] * 10


def test_each_block_corrects_the_sum_of_input_and_earlier_corrections() -> None:
    """v = (1, 2), corrections 2v, then 3(v + 2v): v' = v + 2v + 9v = 12v; latents 10 v and 10 (3v)."""
    cascade = CascadeResidualAutoencoder(2, blocks=2)
    cascade.blocks = nn.ModuleList([Affine(2.0), Affine(3.0)])
    imputed, latents = cascade(torch.tensor([[1.0, 2.0]]))
    torch.testing.assert_close(imputed, torch.tensor([[12.0, 24.0]]))
    torch.testing.assert_close(latents, torch.tensor([[10.0, 30.0]]))


@pytest.mark.parametrize(("width", "sizes"), [(384, (256, 128, 64)), (768, (256, 128, 64)), (192, (128, 64, 32))])
def test_sizes_are_those_of_mmin_and_stay_a_bottleneck_when_narrow(width: int, sizes: tuple[int, ...]) -> None:
    assert layer_sizes(width) == sizes


def test_layers_have_leaky_encoder_and_rectified_decoder_and_bare_latent() -> None:
    block = CascadeResidualAutoencoder(384).blocks[0]
    assert [type(layer).__name__ for layer in block.encoder] == ["Linear", "LeakyReLU"] * 2 + ["Linear"]
    assert [type(layer).__name__ for layer in block.decoder] == ["Linear", "ReLU"] * 2 + ["Linear"]
    assert CascadeResidualAutoencoder(384).latent_size == 5 * 64


def test_slots_that_are_not_shown_reach_nothing(
    imputation: CycleImputation, embeddings: Tensor, missing: Tensor
) -> None:
    used = torch.tensor([[True, False, False]]).expand(BATCH, -1)
    changed = torch.where(used.unsqueeze(-1), embeddings, torch.full_like(embeddings, float("nan")))
    for one, other in zip(imputation(embeddings, missing, used), imputation(changed, missing, used), strict=True):
        assert one.equal(other)


def test_the_way_back_sees_imputed_slots_only(imputation: CycleImputation, embeddings: Tensor, missing: Tensor) -> None:
    """No copy of the answer: what stands in the shown slots of v' changes nothing."""
    used = torch.tensor([[True, False, True]]).expand(BATCH, -1)
    changed = torch.where(used.unsqueeze(-1), 1e3, embeddings)
    assert imputation.reconstruct(embeddings, missing, used).equal(imputation.reconstruct(changed, missing, used))


def test_losses_by_hand() -> None:
    """Two samples, two modalities, D = 2. Sample 0 has both, the second hidden; sample 1 has and shows the first."""
    present = torch.tensor([[True, True], [True, False]])
    used = torch.tensor([[True, False], [True, False]])
    truth = torch.tensor([[[1.0, 1.0], [2.0, 0.0]], [[3.0, 1.0], [9.0, 9.0]]])
    imputed = torch.tensor([[[7.0, 7.0], [1.0, 0.5]], [[7.0, 7.0], [0.0, 0.0]]])
    back = torch.tensor([[[0.5, 1.0], [8.0, 8.0]], [[3.0, 3.0], [8.0, 8.0]]])
    forward = (1.0**2 + 0.5**2) / 2  # the one hidden slot that has a truth
    backward = (0.5**2 + 0.0 + 0.0 + 2.0**2) / 4  # the two shown slots
    assert forward_loss(imputed, truth, NOWHERE, present, used).item() == pytest.approx(forward, abs=1e-6)
    assert backward_loss(back, truth, used).item() == pytest.approx(backward, abs=1e-6)


@pytest.mark.parametrize("reason", ["nothing is hidden", "what is hidden never existed"])
def test_without_a_truth_the_forward_loss_is_exactly_zero(reason: str, embeddings: Tensor) -> None:
    present = torch.tensor([[True, True, False]]).expand(BATCH, -1)
    estimate = torch.zeros_like(embeddings, requires_grad=True)
    if reason == "nothing is hidden":
        present = torch.ones_like(present)
    loss = forward_loss(estimate, embeddings, NOWHERE, present, used=present)
    loss.backward()
    assert loss.item() == 0
    assert estimate.grad is not None
    assert estimate.grad.eq(0).all()


def test_complete_samples_do_not_enter_the_way_back(embeddings: Tensor) -> None:
    used = torch.ones(BATCH, MODALITIES, dtype=torch.bool)
    assert backward_loss(embeddings + 1, embeddings, used).item() == 0
    used[0, 0] = False
    assert backward_loss(embeddings + 1, embeddings, used).item() == pytest.approx(1.0)


def test_imputation_learns_a_modality_that_another_determines() -> None:
    """Both show the same two hidden numbers; the mean alone would leave an error of 1."""
    torch.manual_seed(0)
    model, generator = CycleImputation(2, 8, blocks=2), seeded()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    present = torch.ones(128, 2, dtype=torch.bool)
    used, missing = present & torch.tensor([True, False]), torch.zeros(2, 8)
    errors = []
    for _ in range(200):
        hidden = torch.randn(128, 2, generator=generator).repeat(1, 4)
        truth = torch.stack([hidden, -hidden], dim=1)
        imputed, _ = model(truth, missing, used)
        errors = [
            forward_loss(imputed, truth, missing, present, used),
            backward_loss(model.reconstruct(imputed, missing, used), truth, used),
        ]
        optimiser.zero_grad()
        sum(errors).backward()
        optimiser.step()
    assert max(errors) < 0.1


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("hidden", (1.0**2 + 0.5**2) / 2),
        ("complement", (1.0**2 + 0.5**2 + 6.0**2 + 5.0**2) / 4),  # the shown slot is to become (1, 2)
        ("all", (1.0**2 + 0.5**2 + 6.0**2 + 6.0**2) / 4),  # the shown slot is to stay (1, 1)
    ],
)
def test_what_the_forward_cascade_is_trained_towards(goal: Goal, expected: float) -> None:
    """Sample 0 has both modalities and hides one. Sample 1 has one, shown: neither it nor what it lacks counts."""
    present = torch.tensor([[True, True], [True, False]])
    used = torch.tensor([[True, False], [True, False]])
    missing = torch.tensor([[1.0, 2.0], [5.0, 5.0]])
    truth = torch.tensor([[[1.0, 1.0], [2.0, 0.0]], [[3.0, 1.0], [9.0, 9.0]]])
    imputed = torch.tensor([[[7.0, 7.0], [1.0, 0.5]], [[7.0, 7.0], [0.0, 0.0]]])
    assert forward_loss(imputed, truth, missing, present, used, goal).item() == pytest.approx(expected)
