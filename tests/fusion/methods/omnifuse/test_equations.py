"""Equations 2 to 18 on two samples with two modalities, against the same arithmetic written out in numpy.

Sample 0 has both modalities and is shown the first. Sample 1 has, and is shown, the second alone. Embeddings have width
2, a cascade has two residual autoencoders 4-2-1-1-1-2-4, every head is 2-2-1 (the joint head too: two latents).
"""

from functools import partial

import numpy as np
import pytest
import torch
from omnifuse.fusion.inputs.batches import Batch
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.methods.base import Context, ModelSpec
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.parts.encoders import Encoded
from omnifuse.fusion.parts.targets import Target
from torch import Tensor, nn

from tests.fusion.vectors import Showing

Array = np.ndarray
Layers = list[tuple[Array, Array]]

EMBEDDINGS = np.array([[[0.8, -0.3], [0.5, 0.9]], [[9.9, 9.9], [-0.6, 0.4]]])  # v [sample, modality, D]; 9.9: absent
MISSING = np.array([[0.1, -0.2], [0.3, 0.05]])  # v_0 [modality, D]
PRESENT = np.array([[True, True], [False, True]])  # r
USED = np.array([[True, False], [False, True]])  # a
Y = np.array([1, 0])
ALPHA, BETA, LAMBDA1, LAMBDA2, LAMBDA3 = 0.3, 0.5, 2.0, 10.0, 0.7
LAZY = np.array([False, True])  # the second modality alone


class FixedEncoders(nn.Module):
    """Stands for the encoders: answers with the embeddings above."""

    def forward(self, batch: Batch) -> Encoded:
        return Encoded(torch.from_numpy(EMBEDDINGS), torch.from_numpy(MISSING), batch.presence)


@pytest.fixture
def model() -> Showing:
    specs = (InputSpec("one", "features", 1, 0), InputSpec("two", "features", 1, 0))
    options = OmniFuse.Options(blocks=2, alpha=ALPHA, beta=BETA, lambda1=LAMBDA1, lambda2=LAMBDA2, lambda3=LAMBDA3)
    method = Showing(ModelSpec(specs, Target("binary"), EncoderConfig(dimension=2, hidden=2, dropout=0.0)), options)
    method.encoders = FixedEncoders()  # type: ignore[assignment]
    method = method.double()
    with torch.no_grad():
        for number, parameter in enumerate(method.parameters()):
            place = torch.arange(parameter.numel(), dtype=torch.float64).view_as(parameter)
            parameter.copy_(0.6 * torch.sin(1.0 + number + 1.7 * place))
    return method


@pytest.fixture
def batch() -> Batch:
    return Batch(torch.arange(2), torch.from_numpy(Y[:, None]).double(), torch.from_numpy(PRESENT), {}, torch.arange(2))


def layers(module: nn.Module) -> Layers:
    """Weight [out, in] and bias [out] of every linear layer."""
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    return [(part.weight.detach().numpy(), part.bias.detach().numpy()) for part in linear]


def perceptron(x: Array, layers: Layers, slope: float) -> Array:
    """Linear layers with (leaky) rectification between them."""
    for number, (weight, bias) in enumerate(layers):
        x = weight @ x + bias
        if number < len(layers) - 1:
            x = np.where(x > 0, x, slope * x)
    return x


def cascade(v: Array, module: nn.Module) -> tuple[Array, Array]:
    """Equations 4 and 5 for one sample: v' [MD] and the latents [c_1; c_2]."""
    latents = []
    for block in module.get_submodule("blocks").children():
        c = perceptron(v, layers(block.get_submodule("encoder")), slope=0.01)
        v = v + perceptron(c, layers(block.get_submodule("decoder")), slope=0.0)
        latents.append(c)
    return v, np.concatenate(latents)


def probability(x: Array, head: nn.Module) -> float:
    """Equations 9 and 11: probability of label 1."""
    return float(1 / (1 + np.exp(-perceptron(x, layers(head), slope=0.0)[0])))


def said(model: OmniFuse, sample: int, used: Array) -> tuple[Array, Array, float]:
    """v' [2, D], and p of both modalities and of the joint head for label 1."""
    v_in = np.where(used[:, None], EMBEDDINGS[sample], MISSING).ravel()  # (2)
    v_forward, latents = cascade(v_in, model.get_submodule("imputation.towards_missing"))  # (4), (5)
    v_forward = v_forward.reshape(2, 2)
    u = np.where(used[:, None], EMBEDDINGS[sample], v_forward)  # completed embeddings
    p = np.array([probability(u[m], model.heads[m]) for m in (0, 1)])  # (9)
    return v_forward, p, probability(latents, model.joint)  # (11)


def weights(p: Array, y: int) -> Array:
    """Equation 10 with M = 2: each modality is weighed by the doubt of the other about the value y."""
    of_value = p if y else 1 - p
    return np.array([(1 - of_value[1]) ** BETA, (1 - of_value[0]) ** BETA])


def fused(p: Array, o: float) -> float:
    """Probability of label 1 by the label-free rule, in its normalised form."""
    score = []
    for value in (0, 1):
        omega = weights(p, value)
        lp, lo = (np.log(p), np.log(o)) if value else (np.log(1 - p), np.log(1 - o))
        score.append((omega @ lp + ALPHA * lo) / (omega.sum() + ALPHA))
    return float(np.exp(score[1]) / np.exp(score).sum())


def cross_entropy(p: float, y: int) -> float:
    return float(-np.log(p if y else 1 - p))


def training_terms(model: Showing, batch: Batch) -> dict[str, float]:
    """What the model computes in one training step, the second modality alone being lazy."""
    model.used = torch.from_numpy(USED)
    model.train()
    model.activation.active = 1
    return {name: float(value.detach()) for name, value in model.loss(batch).items()}


def test_training_step(model: Showing, batch: Batch) -> None:
    terms = training_terms(model, batch)
    answers = [said(model, sample, USED[sample]) for sample in (0, 1)]

    # (3), (7): the only slot that exists and is hidden is the second of sample 0
    hidden = answers[0][0][1]
    forward = np.mean((hidden - EMBEDDINGS[0, 1]) ** 2)

    # (6), (8): the way back starts from imputed slots alone, and is judged at the shown ones
    back = []
    for sample in (0, 1):
        w = np.where(USED[sample][:, None], MISSING, answers[sample][0]).ravel()
        v_back, _ = cascade(w, model.get_submodule("imputation.towards_available"))
        back.append(v_back.reshape(2, 2))
    backward = np.mean([(back[0][0] - EMBEDDINGS[0, 0]) ** 2, (back[1][1] - EMBEDDINGS[1, 1]) ** 2])

    # (10), (12), (13)
    enc, joint, ce = [], [], []
    for (_, p, o), y in zip(answers, Y, strict=True):
        omega = weights(p, y)
        enc.append(sum(omega[m] * cross_entropy(p[m], y) for m in (0, 1)))
        joint.append(cross_entropy(o, y))
        ce.append(cross_entropy(fused(p, o), y))
    dw = np.mean(enc) + ALPHA * np.mean(joint)  # (14)

    tla = np.mean([ce[sample] for sample in (0, 1) if (USED[sample] == LAZY).all()])  # (16), (17): sample 1
    total = forward + LAMBDA1 * backward + LAMBDA2 * dw + LAMBDA3 * tla  # (18)

    heads = {"enc": np.mean(enc), "joint": np.mean(joint), "ce": np.mean(ce)}
    expected = {**heads, "forward": forward, "backward": backward, "tla": tla, "total": total}
    assert terms == pytest.approx(expected, abs=1e-6)


def test_mining(model: OmniFuse, batch: Batch) -> None:
    """(15): the first modality and both together exist in sample 0 alone, the second in both samples."""
    part = partial(iter, [batch])
    with torch.no_grad():
        model.eval().on_epoch_end(Context(0, 0, 1, part, partial(iter, []), torch.Generator()))

    def distance(used: Array, samples: list[int]) -> float:
        answers = [said(model, sample, used) for sample in samples]
        return float(np.mean([cross_entropy(fused(p, o), Y[s]) for s, (_, p, o) in zip(samples, answers, strict=True)]))

    expected = [
        distance(np.array([True, False]), [0]),
        distance(np.array([False, True]), [0, 1]),
        distance(np.array([True, True]), [0]),
    ]
    trace = model.activation.trace
    assert [row["distance"] for row in trace] == pytest.approx(expected, abs=1e-6)
    assert [row["chosen"] for row in trace] == [value == max(expected) for value in expected]


def test_prediction_and_its_explanation(model: OmniFuse, batch: Batch) -> None:
    with torch.no_grad():
        prediction = model.eval().predict(batch)
    for sample in (0, 1):
        _, p, o = said(model, sample, PRESENT[sample])
        expected = fused(p, o)
        omega = weights(p, int(expected > 0.5))
        assert prediction.probability[sample].item() == pytest.approx(expected, abs=1e-6)
        assert of(prediction.modality_probability, sample) == pytest.approx(p, abs=1e-6)
        assert of(prediction.weight, sample) == pytest.approx(omega, abs=1e-6)
        assert prediction.readouts["joint"][sample].item() == pytest.approx(o, abs=1e-6)
        assert prediction.readouts["mean"][sample].item() == pytest.approx(p.mean(), abs=1e-6)
    alone = fused(*said(model, 0, np.array([True, False]))[1:])
    assert of(prediction.combinations["one"], slice(None)) == pytest.approx([alone, np.nan], abs=1e-6, nan_ok=True)


def of(table: Tensor | None, sample: int | slice) -> list[float]:
    assert table is not None
    return table[sample].tolist()  # type: ignore[no-any-return]
