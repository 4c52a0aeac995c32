"""Hybrid heads, gradient boosting for each combination, and their stack."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.inputs.spec import InputSpec
from omnifuse.fusion.methods.base import Method
from omnifuse.fusion.methods.boosting import Boosting
from omnifuse.fusion.methods.fitting import FitConfig, Fitting, silent
from omnifuse.fusion.methods.hybrid import Hybrid
from omnifuse.fusion.methods.stacking import Stacking
from omnifuse.fusion.parts.feature_table import FeatureTable
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import NestedFits, Parts, fit, predict
from safetensors.torch import load_file, save_file
from sklearn.ensemble import HistGradientBoostingClassifier as Trees
from sklearn.metrics import roc_auc_score

from tests.fusion.vectors import COLUMNS, TARGETS, NotedFits, noise, signal, spec_of, whole

FAST = FitConfig(epochs=8, batch_size=64, learning_rate=1e-2)
SMALL = ("statistics", "boosting options.rounds=30")
FEW_TREES = Boosting.Options(rounds=30, learning_rate=0.1, samples_per_leaf=5, columns=1.0)


def trained(method: Method, inputs: Inputs, train: int = 400, config: FitConfig = FAST) -> Method:
    torch.manual_seed(0)
    fit(method, inputs, Parts(torch.arange(train), torch.arange(0)), config, seed=0)
    return method


def auroc(method: Method, inputs: Inputs, samples: torch.Tensor) -> float:
    return roc_auc_score(inputs.y[samples, 0], predict(method, inputs, samples).probability[:, 0])


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return signal()


@pytest.fixture(scope="module")
def method(inputs: Inputs) -> Method:
    torch.manual_seed(0)
    return trained(Stacking(spec_of(), Stacking.Options(SMALL, folds=2)), inputs)


class TestHybrid:
    def test_the_prediction_is_the_mean_of_joint_and_unimodal_logits(self) -> None:
        inputs = noise(share=0.6)
        method = Hybrid(spec_of()).eval()
        batch = whole(inputs)
        encoded = method.encode(batch)
        heads, present = method.heads(encoded, method.prior), batch.presence[:, :, None]
        unimodal = (heads * present).sum(1) / present.sum(1)
        expected = (method.joint_logits(encoded) + unimodal) / 2
        torch.testing.assert_close(method.predict(batch).probability, expected.sigmoid())

    @pytest.mark.parametrize("target", TARGETS)
    def test_the_loss_is_that_of_the_joint_head_plus_the_weighted_heads(self, target: Target) -> None:
        method = Hybrid(spec_of(target), Hybrid.Options(head_weight=0.7)).eval()
        terms = method.loss(whole(noise(target=target)))
        expected = terms["joint"] + 0.7 * sum(terms[name] for name in COLUMNS)
        torch.testing.assert_close(terms["total"], expected)

    def test_a_sample_without_anything_gets_the_prior(self) -> None:
        method = Hybrid(spec_of()).eval()
        method.prior.fill_(-2.0)
        nothing = noise(5).without(tuple(COLUMNS))
        torch.testing.assert_close(method.predict(whole(nothing)).probability, torch.full((5, 1), -2.0).sigmoid())


class TestBoosting:
    def test_each_combination_has_a_model_of_its_columns(self) -> None:
        method = trained(Boosting(spec_of(), FEW_TREES), signal())
        widths = [forest.read()[0].n_features_in_ for forest in method.forests]
        assert widths == [5, 4, 3, 9, 8, 7, 12]

    def test_signal_is_found_whatever_is_missing(self) -> None:
        inputs = signal(1200)
        method = trained(Boosting(spec_of(), FEW_TREES), inputs, train=800)
        test = torch.arange(800, 1200)
        assert auroc(method, inputs, test) > 0.85
        assert auroc(method, inputs.without(("cxr",)), test) > 0.7

    def test_what_is_missing_is_not_read(self) -> None:
        inputs = signal()
        method = trained(Boosting(spec_of(), FEW_TREES), inputs)
        poisoned = {
            name: replace(one, summary=torch.where(inputs.presence[:, m, None], one.summary, 1e6))
            for m, (name, one) in enumerate(inputs.modalities.items())
        }
        everyone = torch.arange(600)
        before = predict(method, inputs, everyone).probability
        assert torch.equal(predict(method, replace(inputs, modalities=poisoned), everyone).probability, before)

    @pytest.mark.parametrize("target", TARGETS)
    def test_models_survive_being_stored_without_pickle(self, target: Target, tmp_path: Path) -> None:
        inputs = noise(200, target)
        method = trained(Boosting(spec_of(target), FEW_TREES), inputs, train=150)
        save_file(method.state_dict(), tmp_path / "model.safetensors")
        again = Boosting(spec_of(target), FEW_TREES)
        again.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
        everyone = torch.arange(200)
        stored = predict(again, inputs, everyone).probability
        assert torch.equal(stored, predict(method, inputs, everyone).probability)
        assert stored.isfinite().all()

    def test_a_column_that_nobody_knows_does_no_harm(self) -> None:
        inputs = signal()
        inputs.modalities["ehr"].summary[:400, 1] = torch.nan
        method = trained(Boosting(spec_of(), FEW_TREES), inputs)
        assert auroc(method, inputs, torch.arange(400, 600)) > 0.8

    def test_stored_bytes_that_are_no_trees_are_refused(self) -> None:
        for stored in (skops.io.dumps([Path("harmless")]), b"no archive"):
            forest = Boosting(spec_of()).forest(0)
            forest.set_extra_state(torch.frombuffer(bytearray(stored), dtype=torch.uint8))
            with pytest.raises(InputError, match="something else than trees"):
                forest.read()

    @pytest.mark.parametrize("missing", ["masked", "native"])
    def test_one_model_can_serve_all_combinations(self, missing: str, tmp_path: Path) -> None:
        inputs, everyone = signal(1200), torch.arange(1200)
        options = replace(FEW_TREES, missing=missing)
        method = trained(Boosting(spec_of(), options), inputs, train=800)
        assert [forest.read()[0].n_features_in_ for forest in method.forests] == [12]
        assert auroc(method, inputs, everyone[800:]) > 0.85
        assert auroc(method, inputs.without(("cxr",)), everyone[800:]) > 0.65
        nothing = predict(method, inputs.without(tuple(COLUMNS)), everyone[:3]).probability
        torch.testing.assert_close(nothing, method.prior.sigmoid().expand(3, 1))
        save_file(method.state_dict(), tmp_path / "model.safetensors")
        again = Boosting(spec_of(), options)
        again.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
        assert torch.equal(predict(again, inputs, everyone).probability, predict(method, inputs, everyone).probability)

    def test_copies_show_a_part_of_what_a_sample_has(self) -> None:
        present = torch.tensor([[True, True, True], [True, False, True], [False, True, False]]).repeat(50, 1)
        pooled = [np.where(column[:, None], np.ones((150, 2)), np.nan) for column in present.T.numpy()]
        y = np.arange(150.0)[:, None]
        table = FeatureTable(pooled, present, y, np.arange(150)).with_copies(torch.Generator().manual_seed(0))
        originals, copies = table.present[:150], table.present[150:]
        source = table.y[150:, 0].astype(int)
        assert originals.equal(present)
        assert source.tolist() == [number for number in range(150) if number % 3 != 2]  # who has one keeps it
        assert copies.any(1).all()
        assert (copies & ~present[source]).sum() == 0
        assert (copies.sum(1) < present[source].sum(1)).all()
        assert {tuple(row) for row in copies[::2].tolist()} == {*product((False, True), repeat=3)} - {
            (False,) * 3,
            (True,) * 3,
        }
        for m in range(3):
            assert (~np.isnan(table.pooled[m]).any(1) == table.present[:, m].numpy()).all()

    def test_native_reads_the_samples_and_masked_their_copies_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows: list[int] = []

        def count(self: Trees, features: np.ndarray, y: np.ndarray) -> Trees:
            rows.append(len(features))
            return self

        monkeypatch.setattr(Trees, "fit", count)
        inputs = replace(noise(40), y=(torch.arange(40.0) % 2)[:, None])
        several = int((inputs.presence.sum(1) > 1).sum())
        for missing in ("native", "masked"):
            method, samples = Boosting(spec_of(), replace(FEW_TREES, missing=missing)), torch.arange(40)
            method.fit(Fitting(inputs, samples, FAST, 0, iter, NestedFits()))
        assert rows == [40, 40 + several]

    def test_one_outcome_alone_gives_the_prior(self) -> None:
        inputs = replace(noise(100), y=torch.zeros(100, 1))
        method = trained(Boosting(spec_of(), FEW_TREES), inputs, train=98)
        torch.testing.assert_close(predict(method, inputs, torch.arange(100)).probability, torch.full((100, 1), 0.01))


class TestStacking:
    neural = Stacking.Options(members=("statistics",), folds=2)

    def test_weights_come_from_held_out_samples_only(self, inputs: Inputs) -> None:
        torch.manual_seed(0)
        method, loop = Stacking(spec_of(), Stacking.Options(members=("statistics",), folds=3)), NotedFits()
        method.fit(Fitting(inputs, torch.arange(400), FAST, 0, silent, loop))
        assert loop.seen
        assert all(not trained & asked for trained, asked in loop.seen)
        assert set().union(*(asked for _, asked in loop.seen)) == set(range(400))
        assert all(trained | asked == set(range(400)) for trained, asked in loop.seen)

    def test_without_bins_there_is_no_recurrent_twin(self) -> None:
        members = ("recurrent", "statistics", "prior")
        assert Stacking(spec_of(), Stacking.Options(members=members)).names == ("recurrent", "prior")

    def test_the_prediction_is_the_weighted_and_scaled_logit(self, method: Method, inputs: Inputs) -> None:
        complete = torch.nonzero(inputs.presence.all(1)).flatten()
        batch = inputs.batch(complete)
        logits = torch.stack(
            [torch.stack([m.predict(batch).probability.logit() for m in each]) for each in method.models]
        )
        members = logits.mean(0)[:, :, 0]  # [P, n]
        score = (method.weights[:, None] * members).sum(0) + method.bias
        expected = method.slopes[-1] * score + method.intercepts[-1]
        torch.testing.assert_close(method.predict(batch).probability[:, 0].logit(), expected, atol=1e-3, rtol=1e-3)

    def test_signal_is_found(self, method: Method, inputs: Inputs) -> None:
        test = torch.arange(400, 600)
        assert auroc(method, inputs, test) > 0.85
        assert (method.weights >= 0).all()

    def test_it_survives_being_stored(self, method: Method, inputs: Inputs, tmp_path: Path) -> None:
        save_file(method.state_dict(), tmp_path / "model.safetensors")
        again = Stacking(spec_of(), Stacking.Options(SMALL, folds=2))
        again.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
        complete = torch.nonzero(inputs.presence.all(1)).flatten()
        stored = predict(again, inputs, complete).probability
        assert torch.equal(stored, predict(method, inputs, complete).probability)

    def test_the_same_seed_gives_the_same_digits(self, inputs: Inputs) -> None:
        states = []
        for _ in range(2):
            torch.manual_seed(0)
            states.append(trained(Stacking(spec_of(), self.neural), inputs).state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_noise_gives_no_better_than_chance(self) -> None:
        inputs = noise(900)
        method = trained(Stacking(spec_of(), self.neural), inputs, train=500)
        known = torch.arange(500, 900)[~inputs.y[500:, 0].isnan()]
        positives = float(inputs.y[known].mean())
        error = (1 / (12 * len(known) * positives * (1 - positives))) ** 0.5
        assert abs(auroc(method, inputs, known) - 0.5) < 3 * error

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            (("forest",), "Unknown method 'forest'"),
            (("concat:rigde",), "concat has no preset 'rigde'; it has default"),
            (("concat fit.epoch=3",), r"Unknown setting 'fit.epoch'\. Did you mean 'fit.epochs'"),
            (("concat options.alpha=3",), "Unknown setting 'options.alpha'"),
            (("concat encoder.timeseries=gru",), "gru"),
            (("concat fit.members=3",), "a member is one model"),
            (("concat", "concat"), "names of their own"),
            (("../up=concat",), "names of their own"),
            ((), "give one at least"),
            (("",), "Unknown method ''"),
        ],
    )
    def test_members_that_cannot_be_are_refused(self, members: tuple[str, ...], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Stacking.Options(members=members)

    def test_a_stack_of_one_fold_is_refused(self) -> None:
        with pytest.raises(InputError, match="at least 2"):
            Stacking.Options(folds=1)

    def test_any_method_with_settings_of_its_own_is_a_member(self) -> None:
        members = (
            "concat:ridge",
            "small=concat encoder.hidden=4 options.modality_dropout=0.3",
            "late-weighted",
            "prior",
        )
        stack = Stacking(spec_of(), Stacking.Options(members=members, folds=2))
        assert stack.names == ("concat:ridge", "small", "late-weighted", "prior")
        first, second, *_ = stack.models[1]
        assert (first.options.imputation, second.options.modality_dropout) == ("ridge", 0.3)
        assert (first.spec.encoder.hidden, second.spec.encoder.hidden) == (8, 4)

    def test_a_member_that_cannot_serve_the_target_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"'omnifuse' predicts .* and no regression"):
            Stacking(spec_of(Target("regression")), Stacking.Options(members=("omnifuse",)))

    def test_members_train_for_epochs_of_their_own(self, inputs: Inputs) -> None:
        epochs: list[int] = []

        class Counting(NestedFits):
            def fit(self, method: Method, inputs: Inputs, samples: torch.Tensor, config: FitConfig, seed: int) -> None:
                epochs.append(config.epochs)
                super().fit(method, inputs, samples, replace(config, epochs=1), seed)

        stack = Stacking(spec_of(), Stacking.Options(members=("concat", "hybrid fit.epochs=3"), folds=2))
        stack.fit(Fitting(inputs, torch.arange(100), FAST, 0, silent, Counting()))
        assert epochs == [8, 8, 3, 3]

    def test_progress_names_the_member(self, inputs: Inputs) -> None:
        parts: list[str] = []

        def note(items: Iterable[int], /, part: str = "") -> Iterable[int]:
            parts.append(part)
            return items

        stack = Stacking(spec_of(), Stacking.Options(members=("prior", "a=prior"), folds=2))
        stack.fit(Fitting(inputs, torch.arange(100), FAST, 0, note, NestedFits()))
        assert parts == ["prior", "a"]

    def test_a_member_reads_what_it_asks_for_of_what_the_run_prepares(self) -> None:
        both = replace(spec_of(), inputs=(InputSpec("ehr", "timeseries", 17, 5), InputSpec("cxr", "embedding", 0, 8)))
        both = replace(both, encoder=replace(both.encoder, timeseries="both"))
        by_statistics, by_bins = Stacking(
            both, Stacking.Options(members=("statistics", "bins=concat encoder.timeseries=recurrent"), folds=2)
        ).models[0]
        assert [(one.summary, one.rows) for one in by_statistics.spec.inputs] == [(17, 0), (0, 8)]
        assert [(one.summary, one.rows) for one in by_bins.spec.inputs] == [(0, 5), (0, 8)]
        with pytest.raises(InputError, match="reads cxr by 'mean', and the run prepares it for 'attention' alone"):
            Stacking(both, Stacking.Options(members=("concat encoder.embedding=mean",)))
        by_vector = replace(spec_of(), inputs=(InputSpec("ehr", "timeseries", 17, 0),))
        with pytest.raises(InputError, match=r"reads ehr by 'both', .*give the run encoder.timeseries=both"):
            Stacking(by_vector, Stacking.Options(members=("recurrent",)))

    def test_the_same_member_twice_stays(self) -> None:
        assert Stacking(spec_of(), Stacking.Options(members=("concat", "again=concat"))).names == ("concat", "again")


def test_the_preset_best_names_its_method() -> None:
    config = make_config(preset="best")
    assert (config.method, config.options.members) == ("stacking", ("lightgbm", "kernel", "statistics"))
