"""Every option of OmniFuse that answers a question about the paper: what it changes, and what it leaves alone."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omnifuse.cache_schema.errors import InputError
from omnifuse.fusion.inputs.batches import Batch, Inputs, ModalityInputs, RowStore
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import ModelSpec
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from safetensors.torch import save_file
from torch import Tensor

from ...vectors import COLUMNS, TARGETS, changed, context_of, dwfuse, model, noise, showing, spec_of, step, whole

CHOICES: list[dict[str, Any]] = [
    {"imputation": "forward"},
    {"imputation": "none"},
    {"share_cascades": True},
    {"imputation_target": "complement"},
    {"imputation_target": "all"},
    {"truth": "teacher"},
    {"truth": "attached"},
    {"weighing": "available"},
    {"weighing": "discounted"},
    {"readout": "joint"},
    {"readout": "weighted"},
    {"readout": "mean"},
    {"modality_heads": False},
    {"patterns": "independent"},
    {"activation": "force"},
    {"class_weights": True},
    {"permute_weights": True},
    {"score": "sum", "weighing": "available", "alpha": 0.0},
]


def described(options: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items())


def parts(samples: int) -> Parts:
    return Parts(torch.arange(samples * 3 // 4), torch.arange(samples * 3 // 4, samples))


@pytest.mark.parametrize("options", CHOICES, ids=described)
class TestEveryChoice:
    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_trains_and_predicts_every_kind_of_target(self, options: dict[str, Any], target: Target) -> None:
        inputs, method = noise(24, target), model(target, **options)
        fit(method, inputs, parts(24), FitConfig(epochs=3, batch_size=8), seed=0)
        probability = predict(method, inputs, torch.arange(24)).probability
        assert probability.isfinite().all()
        assert ((probability >= 0) & (probability <= 1)).all()

    @pytest.mark.parametrize("who", ["one sample", "one modality each", "nobody has anything", "only one exists"])
    def test_odd_batches_have_finite_losses_and_gradients(self, options: dict[str, Any], who: str) -> None:
        inputs, names = noise(1 if who == "one sample" else 6), tuple(COLUMNS)
        if who == "one modality each":
            inputs = replace(inputs, presence=torch.eye(3, dtype=torch.bool).repeat(2, 1))
        elif who == "nobody has anything":
            inputs = replace(inputs, presence=torch.zeros(6, 3, dtype=torch.bool))
        elif who == "only one exists":
            inputs = replace(inputs, presence=inputs.presence[:, :1], modalities={"ehr": inputs.modalities["ehr"]})
            names = ("ehr",)
        method = model(modalities=names, **options)
        method.activation.active = 0
        terms, gradients = step(method, whole(inputs))
        assert all(term.isfinite() for term in terms.values())
        assert all(gradient.isfinite().all() for gradient in gradients.values())
        assert method.predict(whole(inputs)).probability.isfinite().all()

    def test_prediction_reads_neither_labels_nor_absent_slots(self, options: dict[str, Any]) -> None:
        inputs, method = noise(), model(**options)
        batch = whole(inputs)
        expected = method.predict(batch).probability
        for other in (replace(batch, y=1 - batch.y), whole(changed(inputs, ~inputs.presence))):
            assert method.predict(other).probability.equal(expected)

    def test_heads_that_say_the_prior_give_the_prior_for_every_pattern(self, options: dict[str, Any]) -> None:
        options = {**options, "score": "mean"}
        inputs, method = noise(60, share=0.5), model(**options)
        with torch.no_grad():
            for head in (*method.heads, method.joint):
                head[-1].weight.zero_()
                head[-1].bias.fill_(-1.3)
        if method.options.weighing == "discounted":
            method.reliability.copy_(torch.tensor([0.2, 0.0, 0.9]))
        prediction = method.predict(whole(inputs))
        expected = torch.tensor(-1.3).sigmoid().expand(60)
        torch.testing.assert_close(prediction.probability[:, 0], expected)
        for name, p in (*prediction.readouts.items(), *prediction.combinations.items()):
            torch.testing.assert_close(p[~p.isnan()], expected[~p.isnan()], msg=name)

    def test_a_model_is_saved_without_shared_numbers(self, options: dict[str, Any], tmp_path: Path) -> None:
        save_file(model(**options).state_dict(), tmp_path / "model.safetensors")


def rows_of_one(samples: int = 12) -> Inputs:
    """A series and a text of one row each; a third of the samples has one of both alone."""
    generator = torch.Generator().manual_seed(0)
    present = torch.ones(samples, 2, dtype=torch.bool)
    present[::3, 0] = present[1::6, 1] = False
    stores = {
        name: RowStore(
            torch.randn(samples, d, generator=generator),
            torch.arange(samples),
            torch.ones(samples, dtype=torch.int64),
            torch.ones(d),
            torch.zeros(d),
        )
        for name, d in (("ehr", 4), ("rep", 3))
    }
    y = (torch.rand(samples, 1, generator=generator) < 0.5).float()
    modalities = {name: ModalityInputs(None, store) for name, store in stores.items()}
    return Inputs(y, present, modalities, torch.arange(samples))


def test_sequences_of_length_one() -> None:
    specs = (InputSpec("ehr", "timeseries", 0, 4), InputSpec("rep", "embedding", 0, 3))
    encoder = EncoderConfig(timeseries="recurrent", dimension=8, hidden=8, recurrent=4, attention=4)
    method, inputs = OmniFuse(ModelSpec(specs, Target("binary"), encoder)), rows_of_one()
    fit(method, inputs, Parts(torch.arange(12), torch.arange(0)), FitConfig(epochs=2, batch_size=5), seed=0)
    assert predict(method, inputs, torch.arange(12)).probability.isfinite().all()


class TestImputation:
    """A1, A3, A4, A5, A18: what is imputed, towards what, by what."""

    def test_without_imputation_the_joint_head_sees_embeddings_side_by_side(self) -> None:
        inputs, method = noise(), model(imputation="none")
        encoded = method.encode(whole(inputs))
        heads = method.run(encoded.embeddings, encoded.missing, inputs.presence)
        expected, _ = method.target.log_probabilities(method.joint(encoded.embeddings.flatten(1)))
        assert heads.joint.equal(expected)
        assert heads.imputed is None
        assert method.predict(whole(inputs)).imputed is None

    def test_without_imputation_only_available_modalities_weigh(self) -> None:
        inputs, method = noise(share=0.5), model(imputation="none")
        expected = method.predict(whole(inputs))
        with torch.no_grad():
            method.heads[1][-1].bias.add_(5.0)
        moved = method.predict(whole(inputs)).probability != expected.probability
        assert moved[:, 0].equal(inputs.presence[:, 1])
        assert expected.weight is not None
        assert expected.weight[~inputs.presence].eq(0).all()

    def test_forward_imputation_has_no_way_back(self) -> None:
        method = model(imputation="forward")
        terms, _ = step(method, whole(noise()))
        assert terms["forward"] > 0
        assert "backward" not in terms
        assert not any("towards_available" in name for name, _ in method.named_parameters())

    def test_shared_cascades_are_one_cascade(self) -> None:
        method = model(share_cascades=True)
        assert method.imputation is not None
        there = method.imputation.towards_missing
        with torch.no_grad():
            expected, _ = there(torch.ones(2, 24))
            back = method.imputation.reconstruct(torch.ones(2, 3, 8), torch.ones(3, 8), torch.zeros(2, 3).bool())
        assert back.flatten(1).equal(expected)

    def test_attached_truths_pull_the_encoders_of_what_is_hidden(self) -> None:
        used = torch.tensor([[True, False, True]]).expand(40, -1)
        hidden = "encoders.each.1.summary.mlp.0.weight"
        pulled = {}
        for truth in ("detached", "attached"):
            _, gradients = step(showing(used, truth=truth), whole(noise(share=1.1)))
            pulled[truth] = bool(gradients[hidden].ne(0).any())
        assert pulled == {"detached": False, "attached": True}

    @pytest.mark.parametrize("truth", ["detached", "teacher"])
    def test_what_the_cascade_is_trained_towards_is_a_constant(self, truth: str) -> None:
        """Without what goes back, only the forward loss could reach the encoder of what is hidden, by its target."""
        used = torch.tensor([[True, False, True]]).expand(40, -1)
        method = showing(used, truth=truth, imputation_target="complement")
        _, gradients = step(method, whole(noise(share=1.1)))
        assert gradients["encoders.each.1.summary.mlp.0.weight"].eq(0).all()
        aimed_at = method._truth(whole(noise(share=1.1)))
        assert [tensor.requires_grad for tensor in (aimed_at.embeddings, aimed_at.missing)] == [False, False]

    def test_the_teacher_is_the_model_after_a_third_of_the_epochs_and_then_rests(self) -> None:
        inputs, method = noise(60), model(truth="teacher")
        context = replace(context_of(inputs), epochs=6)
        histories, encoders, teachers = [], [], []
        for epoch in range(6):
            method.on_epoch_start(replace(context, epoch=epoch))
            encoders.append(state(method.encoders))
            optimiser = torch.optim.SGD(method.parameters(), lr=0.1)
            histories.append(set(step(method, whole(inputs))[0]))
            optimiser.step()
            assert method.teacher is not None
            teachers.append(state(method.teacher))
        assert ["forward" in terms for terms in histories] == [False, False, True, True, True, True]
        assert teachers[2].equal(encoders[2])
        assert teachers[5].equal(teachers[2])
        assert not encoders[5].equal(encoders[2])

    def test_the_truth_is_the_teachers(self) -> None:
        used = torch.tensor([[True, False, True]]).expand(40, -1)
        inputs, method = noise(share=1.1), showing(used, truth="teacher", dropout=0.0)
        before, _ = step(method, whole(inputs))
        assert method.teacher is not None
        with torch.no_grad():
            for parameter in method.teacher.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        after, _ = step(method, whole(inputs))
        assert {name for name in before if not before[name].equal(after[name])} == {"forward", "backward", "total"}


def state(module: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


class TestWeighing:
    """A15: which modalities weigh when some are imputed."""

    def test_full_trust_is_all_and_no_trust_is_available(self) -> None:
        batch, answers = whole(noise(share=0.5)), {}
        for weighing in ("all", "available"):
            answers[weighing] = model(weighing=weighing).predict(batch).probability
        method = model(weighing="discounted")
        assert method.predict(batch).probability.equal(answers["all"])
        method.reliability.zero_()
        assert method.predict(batch).probability.equal(answers["available"])
        method.reliability.fill_(0.5)
        between = method.predict(batch).probability
        assert not between.equal(answers["all"]) and not between.equal(answers["available"])

    def test_an_imputed_modality_does_not_weigh_where_only_available_ones_do(self) -> None:
        inputs, method = noise(share=0.5), model(weighing="available")
        expected = method.predict(whole(inputs)).probability
        with torch.no_grad():
            method.heads[1][-1].bias.add_(5.0)
        moved = method.predict(whole(inputs)).probability != expected
        assert moved[:, 0].equal(inputs.presence[:, 1])

    def test_reliability_is_the_variance_explained_on_training_samples(self) -> None:
        inputs, method = noise(share=1.1), model(weighing="discounted")
        assert method.imputation is not None
        with torch.no_grad():
            method.on_epoch_end(context_of(inputs, size=7))
            encoded = method.encode(whole(inputs))
            truth = encoded.embeddings[:, 1]
            imputed, _ = method.imputation(
                encoded.embeddings, encoded.missing, torch.tensor([[True, False, True]]).expand(40, -1)
            )
        error = (imputed[:, 1] - truth).square().sum() / (truth - truth.mean(0)).square().sum()
        assert method.reliability[1].item() == pytest.approx(max(0.0, 1 - error.item()), abs=1e-5)
        assert set(method.details()["reliability"]) == set(COLUMNS)


class TestReadout:
    """A16: four ways to read the same heads."""

    def test_all_four_come_with_every_prediction(self) -> None:
        batch = whole(noise())
        expected = model().predict(batch)
        assert list(expected.readouts) == ["fused", "joint", "weighted", "mean"]
        for name, probability in expected.readouts.items():
            assert model(readout=name).predict(batch).probability[:, 0].equal(probability)

    def test_mean_is_the_mean_probability_of_the_heads_that_weigh(self) -> None:
        inputs = noise(share=0.5)
        prediction = model(weighing="available").predict(whole(inputs))
        assert prediction.modality_probability is not None
        expected = (prediction.modality_probability * inputs.presence).sum(1) / inputs.presence.sum(1)
        torch.testing.assert_close(prediction.readouts["mean"], expected)

    def test_weighted_is_fused_without_the_joint_head(self) -> None:
        batch = whole(noise())
        expected = model(alpha=0.0).predict(batch).readouts["fused"]
        torch.testing.assert_close(model(alpha=3.0).predict(batch).readouts["weighted"], expected)

    def test_the_joint_head_alone_is_all_there_is_without_modality_heads(self) -> None:
        prediction = model(modality_heads=False).predict(whole(noise()))
        assert list(prediction.readouts) == ["joint"]
        assert prediction.readouts["joint"].equal(prediction.probability[:, 0])
        assert prediction.modality_probability is None
        assert prediction.weight is None


class TestActivation:
    """A21, A22 and the constant that TLA has to beat."""

    def test_force_acts_where_select_finds_nothing(self) -> None:
        """Complete data, nothing hidden: nobody is ever shown ehr alone."""
        batch, losses = whole(noise(share=1.1)), {}
        for activation in ("select", "force"):
            method = model(activation=activation, modality_dropout=0.0, dropout=0.0)
            method.activation.active = 0
            losses[activation] = step(method, batch)[0]["tla"].item()
        method = model(dropout=0.0)
        encoded = method.encode(batch)
        alone = method.run(encoded.embeddings, encoded.missing, torch.tensor([[True, False, False]]).expand(40, -1))
        assert losses["select"] == 0
        assert losses["force"] == pytest.approx(method.target.loss(method.logits(alone), batch.y).item())

    def test_force_leaves_out_samples_that_lack_some_of_the_combination(self) -> None:
        inputs = noise()
        inputs.presence[:, 1] = False
        method = model(activation="force")
        method.activation.active = 1
        assert step(method, whole(inputs))[0]["tla"].item() == 0

    def test_validation_samples_choose_if_wanted(self) -> None:
        """Among validation samples nobody has cxr: only ehr, rep and both can be lazy."""
        train, validation = noise(share=1.1), noise(share=1.1, seed=1)
        validation.presence[:, 1] = False
        context = context_of(train)
        context = replace(context, validation=partial(validation.batches, torch.arange(40), 16))
        method = model(mining="validation")
        method.on_fit_start(context)
        with torch.no_grad():
            method.on_epoch_end(context)
        for row in method.activation.trace:
            assert row["distance"] == row["validation_distance"]
            assert (row["distance"] is None) == ("cxr" in row["combination"])

    def test_mining_on_validation_samples_needs_some(self) -> None:
        everyone = Parts(torch.arange(40), torch.arange(0))
        with pytest.raises(InputError, match=r"options\.mining=validation needs a validation part"):
            fit(model(mining="validation"), noise(), everyone, FitConfig(epochs=1), seed=0)

    def test_a_choice_that_never_changes_is_exactly_the_constant(self) -> None:
        inputs, everyone = noise(80), Parts(torch.arange(80), torch.arange(0))
        mined = model()
        fit(mined, inputs, everyone, FitConfig(epochs=4, batch_size=16), seed=1)
        (always,) = mined.details()["lazy_epochs"]  # one combination, in every epoch
        constant = model(always_lazy=always)
        fit(constant, inputs, everyone, FitConfig(epochs=4, batch_size=16), seed=1)
        assert state(constant).equal(state(mined))

    def test_the_constant_must_be_a_combination_of_the_model(self) -> None:
        with pytest.raises(InputError, match="no combination 'ct'"):
            model(always_lazy="ct")

    def test_the_trace_counts_on_how_many_samples_activation_acted(self) -> None:
        inputs, everyone = noise(64, share=1.1), Parts(torch.arange(64), torch.arange(0))
        method = model(activation="force")
        fit(method, inputs, everyone, FitConfig(epochs=2, batch_size=16), seed=0)
        labelled = int((~inputs.y.isnan()).sum())
        assert [row["selected"] for row in method.activation.trace if row["active"]] == [labelled]
        assert [row["share"] for row in method.activation.trace if row["active"]] == [1.0]


class TestControls:
    """What separates weighing from having heads, and from imbalance."""

    def test_class_weights_are_inverse_label_frequencies(self) -> None:
        batch = whole(noise())
        plain, balanced = model(dropout=0.0, beta=0.0), model(dropout=0.0, beta=0.0, class_weights=True)
        for method in (plain, balanced):
            method.prior.fill_(math.log(0.2 / 0.8))
        sums = {}
        for value in (0.0, 1.0):
            some = replace(batch, y=torch.where(batch.y == value, batch.y, torch.nan))
            sums[value] = step(balanced, some)[0]["enc"] / step(plain, some)[0]["enc"]
        assert sums[0.0].item() == pytest.approx(1 / (2 * 0.8), rel=1e-4)
        assert sums[1.0].item() == pytest.approx(1 / (2 * 0.2), rel=1e-4)

    def test_equally_frequent_labels_need_no_class_weights(self) -> None:
        batch = whole(noise())
        one, other = (step(model(dropout=0.0, class_weights=value), batch)[0]["enc"] for value in (True, False))
        torch.testing.assert_close(one, other)

    def test_permuted_weights_are_those_of_another_sample(self) -> None:
        method = model(permute_weights=True, dropout=0.0).train()
        encoded, y = method.encode(whole(noise(2, share=1.1))), torch.tensor([[1.0], [0.0]])
        heads = method.run(encoded.embeddings, encoded.missing, torch.ones(2, 3, dtype=torch.bool))
        own = method.fuse.encoder_loss(heads.lp, heads.l1p, y, heads.trust)
        swapped = method.fuse.encoder_loss(heads.lp, heads.l1p.flip(0), y, heads.trust)
        losses = {round(method.head_losses(heads, y)["enc"].item(), 6) for _ in range(20)}
        assert losses == {round(own.item(), 6), round(swapped.item(), 6)}

    def test_permutation_changes_nothing_without_weights(self) -> None:
        batch = whole(noise())
        one, other = (step(model(beta=0.0, permute_weights=value), batch)[0]["enc"] for value in (True, False))
        assert one.equal(other)

    def test_permutation_is_for_training_only(self) -> None:
        batch = whole(noise())
        one, other = (model(permute_weights=value) for value in (True, False))
        assert one.predict(batch).probability.equal(other.predict(batch).probability)
        assert one.loss(batch)["enc"].equal(other.loss(batch)["enc"])


class TestTable4:
    """Every row of the paper's ablation is a preset of one model."""

    @staticmethod
    def row(letter: str, **options: Any) -> OmniFuse:
        configured = make_config("omnifuse", f"table4-{letter}").options
        torch.manual_seed(0)
        return OmniFuse(spec_of(dropout=0.0), replace(configured, blocks=2, **options)).eval()

    @pytest.mark.parametrize(
        ("letter", "terms"),
        [
            ("a", {"joint"}),
            ("b", {"enc", "joint"}),
            ("c", {"enc", "joint", "tla"}),
            ("d", {"enc", "joint", "tla", "forward"}),
            ("e", {"enc", "joint", "forward", "backward"}),
            ("f", {"enc", "joint", "tla", "forward", "backward"}),
        ],
    )
    def test_losses_of_a_row(self, letter: str, terms: set[str]) -> None:
        """A term acts if it exists, is not zero, and has a weight."""
        method = self.row(letter)
        method.activation.active = 0
        found, _ = step(method, whole(noise(200)))
        options = method.options
        weights = {"enc": options.lambda2, "joint": options.lambda2 * options.alpha, "forward": 1.0}
        weights |= {"backward": options.lambda1, "tla": options.lambda3}
        acting = {name for name, weight in weights.items() if weight * found.get(name, torch.zeros(())) != 0}
        assert acting == terms
        total = sum(weight * found[name] for name, weight in weights.items() if name in acting)
        torch.testing.assert_close(found["total"], total)

    def test_row_a_is_concatenation(self) -> None:
        inputs, one = noise(), self.row("a")
        other = Concat(one.spec)
        other.load_state_dict({name.replace("joint.", "head."): value for name, value in one.state_dict().items()})
        mine, theirs = step(one, whole(inputs)), step(other, whole(inputs))
        assert mine[0]["total"].equal(theirs[0]["total"])
        for name, gradient in theirs[1].items():
            torch.testing.assert_close(mine[1][name.replace("head.", "joint.")], gradient)
        expected = other.eval().predict(whole(inputs)).probability
        torch.testing.assert_close(one.predict(whole(inputs)).probability, expected)

    def test_row_a_trains_to_the_same_numbers_as_concatenation(self) -> None:
        inputs, everyone, states = noise(60), Parts(torch.arange(60), torch.arange(0)), []
        for method in ("omnifuse", "concat"):
            config = make_config(method, "table4-a" if method == "omnifuse" else "default")
            torch.manual_seed(0)
            fitted = METHODS.get(method)(spec_of(), config.options)
            fit(fitted, inputs, everyone, FitConfig(epochs=3, batch_size=16), seed=1)
            states.append(state(fitted))
        assert states[0].equal(states[1])

    def test_row_b_is_dwfuse(self) -> None:
        inputs, one, other = noise(), self.row("b", lambda2=1.0), dwfuse(dropout=0.0)
        other.load_state_dict(one.state_dict())
        mine, theirs = step(one, whole(inputs)), step(other, whole(inputs))
        assert mine[0]["total"].equal(theirs[0]["total"])
        for name, gradient in theirs[1].items():
            assert mine[1][name].equal(gradient), name
        assert one.predict(whole(inputs)).probability.equal(other.predict(whole(inputs)).probability)

    def test_row_f_is_the_default(self) -> None:
        assert make_config("omnifuse", "table4-f").options == make_config("omnifuse").options


def hidden(inputs: Inputs, names: tuple[str, ...]) -> Batch:
    return whole(inputs.without(names))


class TestExplanation:
    @pytest.mark.parametrize("imputation", ["cycle", "none"])
    def test_every_combination_within_what_a_sample_has(self, imputation: str) -> None:
        inputs, method = noise(share=0.6), model(imputation=imputation)
        combinations = method.predict(whole(inputs)).combinations
        assert list(combinations) == ["ehr", "cxr", "rep", "cxr+ehr", "ehr+rep", "cxr+rep", "cxr+ehr+rep"]
        for name, probability in combinations.items():
            shown = name.split("+")
            has_all = inputs.presence[:, [tuple(COLUMNS).index(m) for m in shown]].all(1)
            others = tuple(m for m in COLUMNS if m not in shown)
            expected = method.predict(hidden(inputs, others)).probability[:, 0]
            assert probability.isnan().equal(~has_all)
            torch.testing.assert_close(probability[has_all], expected[has_all], atol=1e-5, rtol=0)

    def test_costs_one_encoding_and_two_passes(self) -> None:
        method, calls = model(), []
        method.encoders.register_forward_hook(lambda *_: calls.append("encode"))
        method.heads[0].register_forward_hook(lambda *_: calls.append("run"))
        method.predict(whole(noise()))
        assert calls == ["encode", "run", "run"]

    def test_only_binary_tasks_are_explained_in_probabilities(self) -> None:
        for target in TARGETS[1:]:
            prediction = model(target).predict(whole(noise(target=target)))
            assert (prediction.readouts, prediction.combinations) == ({}, {})

    def test_without_imputation_a_head_without_input_says_the_prior(self) -> None:
        inputs, method = noise(share=0.5), model(imputation="none")
        method.prior.fill_(-2.0)
        own = method.predict(whole(inputs)).modality_probability
        assert own is not None
        torch.testing.assert_close(
            own[~inputs.presence], torch.tensor(-2.0).sigmoid().expand(int((~inputs.presence).sum()))
        )
