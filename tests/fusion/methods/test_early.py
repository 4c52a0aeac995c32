"""Early fusion: one perceptron on the table of everything."""

from dataclasses import replace

import torch
from omnifuse.fusion.inputs.spec import InputSpec
from omnifuse.fusion.methods.early import Early
from omnifuse.fusion.parts.table import pooled_table

from tests.fusion.vectors import noise, spec_of, whole


def test_the_perceptron_reads_the_table() -> None:
    method, batch = Early(spec_of()).eval(), whole(noise())
    expected = method.head(pooled_table(method.spec.inputs, batch)).sigmoid()
    torch.testing.assert_close(method.predict(batch).probability, expected)


def test_there_are_no_encoders() -> None:
    assert {name.split(".")[0] for name, _ in Early(spec_of()).named_parameters()} == {"head"}


def test_values_that_are_unknown_train_and_predict() -> None:
    inputs = noise()
    ehr = inputs.modalities["ehr"].summary
    assert ehr is not None
    ehr[:20] = torch.nan
    method = Early(spec_of())
    method.loss(whole(inputs))["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())
    assert method.eval().predict(whole(inputs)).probability.isfinite().all()


def test_columns_of_wide_tables_are_dropped_in_training() -> None:
    wide = replace(spec_of(), inputs=(InputSpec("ehr", "features", 60, 0),))
    assert Early(wide).dropout.p == 0.5
    assert Early(spec_of()).dropout.p == 0  # 39 columns
