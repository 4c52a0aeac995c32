"""Which modalities samples show: the law of each way to hide."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.parts.completion.patterns import Patterns, fill, sample_patterns


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shown_slots_enter_as_they_are_and_others_as_missing() -> None:
    embeddings, missing = torch.randn(5, 3, 4, generator=seeded()), torch.randn(3, 4, generator=seeded(1))
    used = torch.tensor([[True, False, True]]).expand(5, -1)
    filled = fill(embeddings, missing, used)
    assert filled[:, [0, 2]].equal(embeddings[:, [0, 2]])
    assert filled[:, 1].equal(missing[1].expand(5, -1))


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=30), st.integers(0, 99))
def test_patterns_are_non_empty_parts_of_what_is_present(present: list[list[bool]], seed: int) -> None:
    r = torch.tensor(present)
    a = sample_patterns(r, seeded(seed))
    assert not (a & ~r).any()
    assert a.any(-1).equal(r.any(-1))


def test_patterns_follow_the_stated_law() -> None:
    """Three of four present: all of them with 1/2 + 1/2 * 1/7, each other non-empty subset with 1/14."""
    draws = 70_000
    a = sample_patterns(torch.tensor([[True, False, True, True]]).expand(draws, -1), seeded())
    codes = (a.long() * torch.tensor([1, 0, 2, 4])).sum(-1)
    counts = torch.bincount(codes, minlength=8)
    expected = torch.tensor([0.0, *[1 / 14] * 6, 8 / 14]) * draws
    assert counts[0] == 0
    deviation = (counts - expected)[1:] / (expected * (1 - expected / draws))[1:].sqrt()
    assert deviation.abs().max() < 4


def test_patterns_depend_on_the_generator_alone() -> None:
    present = torch.ones(50, 3, dtype=torch.bool)
    assert sample_patterns(present, seeded(3)).equal(sample_patterns(present, seeded(3)))
    assert not sample_patterns(present, seeded(3)).equal(sample_patterns(present, seeded(4)))
    assert sample_patterns(present, seeded(), dropout=0.0).all()


def pattern_shares(patterns: Patterns, dropout: float) -> dict[str, float]:
    """How often each pattern of three present modalities (of four) is drawn."""
    draws, present = 40_000, torch.tensor([[True, False, True, True]])
    a = sample_patterns(present.expand(draws, -1), seeded(), dropout, patterns)[:, [0, 2, 3]]
    unique, counts = torch.unique(a.long(), dim=0, return_counts=True)
    return {"".join(map(str, row)): n / draws for row, n in zip(unique.tolist(), counts.tolist(), strict=True)}


def test_proper_patterns_show_everything_only_as_often_as_asked() -> None:
    patterns = ("001", "010", "011", "100", "101", "110")
    assert pattern_shares("proper", 1.0) == pytest.approx(dict.fromkeys(patterns, 1 / 6), abs=0.01)
    shares = pattern_shares("proper", 0.6)
    assert shares["111"] == pytest.approx(0.4, abs=0.01)
    assert shares["010"] == pytest.approx(0.1, abs=0.01)


def test_independent_patterns_hide_each_modality_alike() -> None:
    """Kept with q = 0.512 ** (1/3) = 0.8 each; where all three would go (0.008), one stays."""
    shares = pattern_shares("independent", 1 - 0.512)
    assert shares["111"] == pytest.approx(0.512, abs=0.01)
    assert shares["110"] == pytest.approx(0.8**2 * 0.2, abs=0.01)
    assert shares["001"] == pytest.approx(0.8 * 0.2**2 + 0.2**3 / 3, abs=0.01)


@pytest.mark.parametrize("patterns", ["uniform", "proper", "independent"])
@pytest.mark.parametrize("dropout", [0.0, 1.0])
def test_a_single_modality_is_never_hidden(patterns: Patterns, dropout: float) -> None:
    present = torch.cat([torch.eye(4, dtype=torch.bool), torch.zeros(1, 4, dtype=torch.bool)])
    assert sample_patterns(present, seeded(), dropout, patterns).equal(present)
