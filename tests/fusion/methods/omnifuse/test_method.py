"""The whole method: what may influence a training step and a prediction, on small vectors in memory."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from omnifuse.cache_schema.errors import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.parts.combinations import combination_table
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ...vectors import COLUMNS, TARGETS, changed, context_of, model, noise, showing, step, whole


class TestTrainingStep:
    def test_total_is_equation_18(self) -> None:
        method = model(lambda1=2.0, lambda2=3.0, lambda3=5.0, alpha=0.7)
        method.activation.active = 0  # ehr alone
        terms, _ = step(method, whole(noise(200)))
        assert all(value > 0 for value in terms.values())
        fuse = terms["enc"] + 0.7 * terms["joint"]
        expected = terms["forward"] + 2 * terms["backward"] + 3 * fuse + 5 * terms["tla"]
        torch.testing.assert_close(terms["total"], expected)

    def test_absent_slots_change_neither_losses_nor_gradients(self) -> None:
        inputs, method = noise(), model()
        one = step(method, whole(inputs))
        method.generator = torch.Generator()
        method.generator.manual_seed(0)
        again = step(method, whole(inputs))
        method.generator.manual_seed(0)
        other = step(method, whole(changed(inputs, ~inputs.presence)))
        assert one[0].keys() == other[0].keys()
        for name in again[0]:
            assert again[0][name].equal(other[0][name]), name
        for name in again[1]:
            assert again[1][name].equal(other[1][name]), name

    def test_a_hidden_modality_is_seen_by_the_forward_loss_alone(self) -> None:
        inputs = noise(share=1.1)
        used = torch.tensor([[True, False, True]]).expand_as(inputs.presence)
        method = showing(used)
        terms, _ = step(method, whole(inputs))
        other, _ = step(method, whole(changed(inputs, ~used)))
        assert {name for name in terms if not terms[name].equal(other[name])} == {"forward", "total"}

    def test_shown_everything_nothing_is_imputed(self) -> None:
        inputs = noise(share=1.1)
        terms, _ = step(showing(inputs.presence), whole(inputs))
        assert terms["forward"].item() == 0
        assert terms["backward"].item() == 0

    def test_what_never_existed_has_no_forward_loss_but_a_way_back(self) -> None:
        inputs = noise(share=0.0)
        terms, _ = step(showing(inputs.presence), whole(inputs))
        assert terms["forward"].item() == 0
        assert terms["backward"].item() > 0

    def test_imputation_does_not_train_the_encoder_of_what_it_imputes(self) -> None:
        """Truths are constants: the encoder of a hidden modality learns only from its missing embedding e(0)."""
        inputs = noise(share=1.1)
        method = showing(torch.tensor([[True, False, True]]).expand_as(inputs.presence))
        first_layer = "encoders.each.1.summary.mlp.0.weight"  # e(0) does not reach it: its input is zero
        _, gradients = step(method, whole(inputs))
        assert gradients[first_layer].eq(0).all()
        assert gradients[first_layer.replace(".1.", ".0.")].ne(0).any()

    def test_truths_are_encoded_without_dropout(self) -> None:
        inputs = noise(share=1.1)
        batch, used = whole(inputs), torch.tensor([[True, False, True]]).expand_as(inputs.presence)
        method = showing(used)
        assert method.imputation is not None
        truth = method.encode(batch).embeddings
        method.train()
        torch.manual_seed(1)  # as in the step
        encoded = method.encode(batch)
        imputed, _ = method.imputation(encoded.embeddings, encoded.missing, used)
        terms, _ = step(method, batch)
        torch.testing.assert_close(terms["forward"], (imputed - truth)[:, 1].square().mean())
        assert not encoded.embeddings.equal(truth)

    def test_no_activation_before_the_first_mining(self) -> None:
        terms, _ = step(model(), whole(noise()))
        assert terms["tla"].item() == 0

    def test_activation_is_the_loss_of_samples_shown_the_lazy_combination(self) -> None:
        inputs, method = noise(share=1.1), model(dropout=0.0).train()
        method.activation.active = 1  # cxr alone
        half = torch.arange(len(inputs.y)) % 2 == 0
        method.used = torch.where(half[:, None], torch.tensor([[False, True, False]]), inputs.presence)
        batch = whole(inputs)
        encoded = method.encode(batch)
        used = torch.tensor([[False, True, False]]).expand_as(inputs.presence)
        heads = method.run(encoded.embeddings, encoded.missing, used)
        logits = method.logits(heads)
        expected = method.target.loss(logits[half], batch.y[half])
        torch.testing.assert_close(method.loss(batch)["tla"], expected)

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    @pytest.mark.parametrize("samples", [1, 9])
    def test_every_kind_of_target_and_a_batch_of_one(self, target: Target, samples: int) -> None:
        terms, gradients = step(model(target), whole(noise(samples, target)))
        assert terms["total"].isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients.values())

    def test_without_any_label_the_heads_learn_nothing_and_imputation_goes_on(self) -> None:
        inputs = noise()
        terms, gradients = step(model(), whole(replace(inputs, y=torch.full_like(inputs.y, torch.nan))))
        assert terms["enc"].item() == terms["joint"].item() == terms["ce"].item() == 0
        assert terms["backward"].item() > 0
        assert gradients["heads.0.0.weight"].eq(0).all()

    def test_one_modality_needs_no_others(self) -> None:
        inputs = noise()
        inputs = replace(inputs, presence=inputs.presence[:, :1], modalities={"ehr": inputs.modalities["ehr"]})
        terms, _ = step(model(modalities=("ehr",)), whole(inputs))
        assert terms["forward"].item() == terms["backward"].item() == 0
        assert terms["total"].item() > 0


class TestPrediction:
    def test_labels_are_not_read(self) -> None:
        batch, method = whole(noise()), model()
        expected = method.predict(batch).probability
        for y in (batch.y.flip(0), 1 - batch.y, torch.full_like(batch.y, torch.nan)):
            assert method.predict(replace(batch, y=y)).probability.equal(expected)

    def test_absent_slots_are_not_read(self) -> None:
        inputs, method = noise(), model()
        expected = method.predict(whole(inputs))
        other = method.predict(whole(changed(inputs, ~inputs.presence)))
        assert other.probability.equal(expected.probability)
        assert other.modality_probability is not None
        assert expected.modality_probability is not None
        assert other.modality_probability.equal(expected.modality_probability)

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_heads_that_say_the_prior_give_the_prior_for_every_pattern(self, target: Target) -> None:
        method = model(target, alpha=0.3)
        prior = torch.linspace(-2, 0.5, target.output_size)
        with torch.no_grad():
            for head in (*method.heads, method.joint):
                head[-1].weight.zero_()
                head[-1].bias.copy_(prior)
        expected = target.probabilities(prior)
        inputs = noise(30, target, share=0.5)
        inputs.presence[:, 0] = torch.arange(30) % 3 > 0
        method.prior.copy_(prior)
        probability = method.predict(whole(inputs)).probability
        torch.testing.assert_close(probability, expected.expand_as(probability))

    def test_a_sample_without_any_modality_gets_the_label_frequencies(self) -> None:
        inputs, method = noise(), model()
        method.prior.fill_(-1.5)
        inputs.presence[3] = False
        assert method.predict(whole(inputs)).probability[3].item() == pytest.approx(1 / (1 + math.exp(1.5)))

    def test_explanation(self) -> None:
        inputs, method = noise(), model()
        prediction = method.predict(whole(inputs))
        assert prediction.imputed is not None
        assert prediction.imputed.equal(~inputs.presence)
        for table in (prediction.modality_probability, prediction.weight):
            assert table is not None
            assert table.shape == inputs.presence.shape
            assert ((table >= 0) & (table <= 1)).all()

    def test_explained_weights_follow_from_explained_probabilities(self) -> None:
        prediction = model(beta=2.0).predict(whole(noise()))
        p, weight = prediction.modality_probability, prediction.weight
        assert p is not None
        assert weight is not None
        contrary = torch.where(prediction.probability > 0.5, 1 - p, p)  # 1 - p of the predicted value
        expected = (contrary.prod(1, keepdim=True) / contrary) ** (2.0 / 2)
        torch.testing.assert_close(weight, expected)

    def test_multilabel_and_multiclass_have_no_single_weight(self) -> None:
        for target in TARGETS[1:]:
            prediction = model(target).predict(whole(noise(target=target)))
            assert prediction.weight is None
            assert prediction.imputed is not None

    def test_all_combinations_at_once_are_the_predictions_one_by_one(self) -> None:
        inputs, method = noise(), model()
        together = method.predict_combinations(method.encode(whole(inputs)))
        for shown, logits in zip(combination_table(3), together, strict=True):
            part = whole(replace(inputs, presence=inputs.presence & shown))
            some = part.presence.any(1)
            torch.testing.assert_close(
                logits.sigmoid()[some], method.predict(part).probability[some], atol=1e-5, rtol=0
            )

    def test_order_of_modalities_does_not_matter_when_parameters_move_along(self) -> None:
        inputs, order = noise(), [2, 0, 1]
        method, turned = model(), model(modalities=("rep", "ehr", "cxr"))
        names = [tuple(COLUMNS)[m] for m in order]
        state = method.state_dict()
        for part in ("encoders.each", "heads"):
            for to, came_from in enumerate(order):
                prefix = f"{part}.{came_from}."
                moved = {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
                turned.get_submodule(f"{part}.{to}").load_state_dict(moved)
        turned.joint.load_state_dict(method.joint.state_dict())
        turned.imputation.load_state_dict(_turned_imputation(method, order))
        moved_inputs = replace(
            inputs, presence=inputs.presence[:, order], modalities={name: inputs.modalities[name] for name in names}
        )
        expected = method.predict(whole(inputs)).probability
        torch.testing.assert_close(turned.predict(whole(moved_inputs)).probability, expected)


def _turned_imputation(method: OmniFuse, order: list[int]) -> dict[str, Tensor]:
    """State of the imputation with the modality blocks of all outer layers in another order."""
    width = method.spec.encoder.dimension
    index = torch.cat([torch.arange(width) + width * m for m in order])
    state = {}
    for name, value in method.imputation.state_dict().items():
        if name.endswith("encoder.0.weight"):
            value = value[:, index]
        elif "decoder.4" in name:
            value = value[index]
        state[name] = value
    return state


class TestLaziness:
    def test_trace_has_a_row_per_epoch_and_combination_and_one_choice(self) -> None:
        method, inputs = model(), noise(share=1.1)
        for epoch in (0, 1):
            with torch.no_grad():
                method.on_epoch_end(context_of(inputs, epoch=epoch))
        rows = method.tables()["laziness"]
        assert len(rows) == 2 * 7
        assert set(rows[0]) == {
            *("epoch", "combination", "rows", "distance", "excess", "change", "ehr.weight", "cxr.weight", "rep.weight"),
            *("chosen", "active", "selected", "share", "validation_distance", "validation_excess"),
        }
        names = ["ehr", "cxr", "rep", "cxr+ehr", "ehr+rep", "cxr+rep", "cxr+ehr+rep"]
        assert [row["combination"] for row in rows] == 2 * names
        for epoch in (0, 1):
            now = [row for row in rows if row["epoch"] == epoch]
            assert [row["combination"] for row in now if row["chosen"]] == [
                max(now, key=lambda row: row["distance"])["combination"]
            ]
            assert [row["excess"] for row in now[:3]] == [None] * 3
        assert sum(method.details()["lazy_epochs"].values()) == 2

    def test_neither_batch_size_nor_order_of_samples_matters(self) -> None:
        method, inputs = model(), noise(80)
        turned = torch.arange(80).flip(0)
        contexts = [
            context_of(inputs),
            context_of(inputs, size=7),
            replace(context_of(inputs), training=partial(inputs.batches, turned, 16)),
        ]
        distances = []
        for context in contexts:
            method.on_fit_start(context)
            with torch.no_grad():
                method.on_epoch_end(context)
            distances.append([row["distance"] for row in method.activation.trace])
        assert distances[1] == pytest.approx(distances[0], rel=1e-5)
        assert distances[2] == pytest.approx(distances[0], rel=1e-5)

    def test_excess_never_chooses_a_single_modality(self) -> None:
        method = model(laziness="excess")
        with torch.no_grad():
            method.on_epoch_end(context_of(noise(share=1.1)))
        lazy = method.activation.lazy(torch.device("cpu"))
        assert lazy is not None
        assert lazy.sum() > 1


class TestFit:
    config = FitConfig(epochs=3, batch_size=64)
    fast = FitConfig(epochs=6, batch_size=64, learning_rate=1e-2)

    @staticmethod
    def parts(first: int, last: int) -> Parts:
        return Parts(torch.arange(first), torch.arange(first, last))

    def test_noise_predicts_nothing(self) -> None:
        train, test = noise(440, share=1.1), noise(4000, share=0.6, seed=1)
        method = model()
        fit(method, train, self.parts(400, 440), self.fast, seed=0)
        known = ~test.y[:, 0].isnan()
        probability = predict(method, test, torch.arange(4000)).probability
        y = test.y[known, 0]
        error = math.sqrt(1 / (12 * y.mean() * (1 - y.mean()) * len(y)))
        assert abs(roc_auc_score(y, probability[known, 0]) - 0.5) < 3 * error

    def test_signal_is_found_and_survives_the_loss_of_a_modality(self) -> None:
        """The label is the sign of a number that both ``ehr`` and ``cxr`` show."""
        inputs = noise(600, share=1.1)
        signal = torch.randn(600, 1, generator=torch.Generator().manual_seed(2))
        for name in ("ehr", "cxr"):
            summary = inputs.modalities[name].summary
            assert summary is not None
            summary[:, :1] = signal
        inputs = replace(inputs, y=(signal > 0).float())
        method = model()
        fit(method, inputs, self.parts(400, 420), replace(self.fast, epochs=3 * self.fast.epochs), seed=0)
        test = torch.arange(420, 600)
        for shown in ("ehr+cxr+rep", "ehr", "cxr"):
            hidden = set(COLUMNS) - set(shown.split("+"))
            probability = predict(method, inputs.without(tuple(hidden)), test).probability
            assert roc_auc_score(inputs.y[test, 0], probability[:, 0]) > 0.9, shown

    def test_same_seed_same_model(self) -> None:
        inputs, states = noise(150), []
        for _ in range(2):
            method = model()
            fit(method, inputs, self.parts(100, 150), self.config, seed=5)
            states.append(method.state_dict())
        for name in states[0]:
            assert states[0][name].equal(states[1][name]), name

    def test_test_samples_change_neither_model_nor_trace(self) -> None:
        inputs, results = noise(200), []
        outside = torch.arange(200) >= 150
        for data in (inputs, changed(inputs, outside[:, None] & inputs.presence)):
            method = model()
            fit(method, data, self.parts(100, 150), self.config, seed=5)
            results.append((method.activation.trace, method.state_dict()))
        assert results[0][0] == results[1][0]
        for name in results[0][1]:
            assert results[0][1][name].equal(results[1][1][name]), name

    def test_history_has_all_terms_in_training_and_no_imputation_in_validation(self) -> None:
        method = model()
        history = fit(method, noise(150), self.parts(100, 150), self.config, seed=0)
        terms = {part: {row["term"] for row in history if row["part"] == part} for part in ("train", "validation")}
        heads = {"total", "enc", "joint", "ce"}
        assert terms["validation"] == {*heads, "auroc"}
        assert terms["train"] == {*heads, "forward", "backward", "tla"}

    def test_trace_is_of_the_last_fit(self) -> None:
        method, inputs = model(), noise(100)
        for _ in range(2):
            fit(method, inputs, self.parts(80, 100), self.config, seed=0)
        assert len(method.activation.trace) == 3 * 7


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("blocks", 0, "blocks must be at least 1; got 0"),
            ("modality_dropout", 1.5, "modality_dropout must lie between 0 and 1; got 1.5"),
            ("beta", -0.5, "beta must not be negative; got -0.5"),
            ("lambda3", math.nan, "lambda3 must not be negative; got nan"),
        ],
    )
    def test_impossible_values_are_refused(self, option: str, value: float, message: str) -> None:
        with pytest.raises(InputError, match=message):
            OmniFuse.Options(**{option: value})  # type: ignore[arg-type]

    def test_preset_as_published_sums_and_trusts_the_joint_head_little(self) -> None:
        options = make_config("omnifuse", "as-published").options
        assert (options.alpha, options.score) == (0.1, "sum")
        assert (options.blocks, options.beta, options.lambda1, options.lambda2, options.lambda3) == (5, 0.5, 1, 10, 0.5)

    def test_the_sum_is_another_prediction_of_the_same_heads(self) -> None:
        batch = whole(noise())
        mean, total = (model(score=score).predict(batch).probability for score in ("mean", "sum"))
        assert not mean.equal(total)
