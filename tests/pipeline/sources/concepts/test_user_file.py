"""A user's own variables: what a file may say, and how it is refused."""

from pathlib import Path

import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.sources.mimic.concepts.definitions import AGGREGATES, KINDS, TABLES, starter_set, starter_sets
from omnifuse.pipeline.sources.mimic.concepts.derived import DERIVED
from omnifuse.pipeline.sources.mimic.concepts.named import NamedSets
from omnifuse.pipeline.sources.mimic.concepts.user_file import read_user_file

LACTATE = "items: {labevents: [50813]}, unit: mmol/L"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my.yaml"


def test_the_shortest_file(file: Path) -> None:
    file.write_text(f"mini: {{lactate: {{{LACTATE}, low: 0, high: 50, aggregate: last}}}}")
    (lactate,) = read_user_file(file)["mini"][4]
    assert (lactate.set, lactate.name, lactate.kind, lactate.unit) == ("mini", "lactate", "numeric", "mmol/L")
    assert (lactate.items, lactate.low, lactate.high) == ({"labevents": (50813,)}, 0.0, 50.0)
    assert lactate.aggregates == ("last",)


def test_everything_that_a_file_can_say(file: Path) -> None:
    file.write_text(
        """
        mini:
          sugar:
            items: {labevents: [50931], chartevents: 220621}
            unit: mg/dL
            conversions: {mmol/L: x 18.016, 220621: as is}
            aggregate: [mean, max, time_since_last]
            texts: {High: 600, NotDone: missing}
            where: {flag: abnormal}
            note: of blood
          rhythm:
            items: {chartevents: [220048]}
            kind: categorical
            levels: {SR: [SR (Sinus Rhythm), Normal Sinus], AF: AF (Atrial Fibrillation)}
          dialysis: {items: {procedureevents: [225441]}, kind: interval-rate, aggregate: any}
          pressor:
            {items: {mimic3: {inputevents: [30047]}, mimic4: {inputevents: [221906]}}, kind: interval-rate, unit: x}
        """
    )
    sets = read_user_file(file)["mini"]
    sugar, rhythm, dialysis, pressor = sets[4]
    assert sugar.items == {"labevents": (50931,), "chartevents": (220621,)}
    assert sugar.aggregates == ("mean", "max", "time_since_last")
    assert sugar.texts == {"high": "600", "notdone": "missing"}
    assert [rule.scale for rule in sugar.conversions] == [18.016, 1]
    assert sugar.where == {"flag": "abnormal"}
    assert rhythm.levels == ("SR", "AF")
    assert rhythm.texts["normal sinus"] == "SR"
    assert dialysis.aggregates == ("any",)
    assert pressor.items == {"inputevents": (221906,)}
    assert sets[3][3].items == {"inputevents": (30047,)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "names no variables"),
        ("", "names no variables"),
        ("mini: 5", "mini: 5 names no concepts"),
        ("a b: {x: {}}", "'a b'"),
        ("mini: {lactate: 50813}", "mini: lactate: 50813 is no definition"),
        ("mini: {'a:b': {}}", "a:b: this is no name"),
        ("mini: {x: {item: 5}}", "x: unknown key 'item'. Did you mean 'items'?"),
        ("mini: {x: {unit: mg}}", "x: items: None is no mapping of tables to ids"),
        ("mini: {x: {items: [5]}}", r"x: items: \[5\] is no mapping"),
        ("mini: {x: {items: {labs: [5]}}}", "x: items: unknown 'labs'. Did you mean 'labevents'?"),
        ("mini: {x: {items: {mimic3: {labevents: 5}, mimic5: {}}}}", "unknown 'mimic5'. Did you mean"),
        ("mini: {x: {items: {labevents: [a]}}}", "items: labevents: 'a' is no item id"),
        ("mini: {x: {items: {labevents: [true]}}}", "items: labevents: True is no item id"),
        ("mini: {x: {items: {labevents: [5, 5]}}}", r"labevents: \[5, 5\] lists no id, or one twice"),
        ("mini: {x: {items: {labevents: 5}, kind: number}}", "kind: unknown 'number'"),
        ("mini: {x: {items: {labevents: 5}, kind: output}}", "kind: 'output' cannot be made of labevents"),
        ("mini: {x: {items: {labevents: 5}}}", "x: unit: none is given"),
        ("mini: {x: {items: {labevents: 5}, unit: g, low: 3, high: 2}}", "low: 3 is more than high, 2"),
        ("mini: {x: {items: {labevents: 5}, unit: g, low: .nan}}", "low: nan is no number"),
        ("mini: {x: {items: {labevents: 5}, unit: g, high: much}}", "high: 'much' is no number"),
        ("mini: {x: {items: {labevents: 5}, unit: g, high: .inf}}", "high: inf is no number"),
        ("mini: {yes: {items: {labevents: 5}, unit: g}}", "mini: True: this is no name"),
        ("mini: {x: {items: {labevents: 9999999999}, unit: g}}", "labevents: 9999999999 is no item id"),
        ("mini: {x: {items: {mimic3: {emar: {drug_contains: cef}}}, kind: categorical}}", "emar is no table of this"),
        ("mini: {x: {items: {microbiologyevents: {}}, kind: categorical}}", r"specimen_contains: \[sputum, blood\]"),
        ("mini: {x: {items: {chartevents: 5}, kind: categorical, levels: {a: [s], b: [S]}}}", "levels: 'S' means two"),
        ("mini: {x: {items: {chartevents: 5}, kind: categorical, levels: {a: s}, texts: {s: missing}}}",
         "texts: 's' means two things"),
        ("mini: {x: {items: {chartevents: 5}, kind: categorical, levels: yes}}", "levels: True is no mapping"),
        ("mini: {x: {items: {labevents: 5}, unit: g, texts: {a: .nan}}}", "texts: 'a': nan is no number"),
        ("mini: {x: {items: {labevents: 5}, unit: g, where: {Flag: a, flag: b}}}", "where: 'flag' is there twice"),
        ("mini: {x: {items: {labevents: 5}, unit: g, without: {flag: '*'}}}", r"without: '\*' is understood with"),
        ("mini: {x: {items: {labevents: 5}, unit: g, without: {flag: 'a*'}}}", r"without: 'a\*' is understood with"),
        ("mini: {x: {items: {labevents: 5}, unit: g, conversions: {5..1: x 3}}}", "'5..1' begins after its end"),
        ("mini: {x: {items: {inputevents: 5}, unit: mL, kind: interval-amount, faster_than: -3}}", "-3 is below 0"),
        ("mini: {x: {items: {labevents: 5}, unit: g, aggregate: latest}}", "aggregate: unknown 'latest'"),
        ("mini: {x: {items: {labevents: 5}, unit: g, aggregate: [last, last]}}", "lists none, or one twice"),
        ("mini: {x: {items: {inputevents: 5}, unit: g, kind: interval-rate, aggregate: sum}}",
         "aggregate: unknown 'sum'"),
        ("mini: {x: {items: {chartevents: 5}, kind: categorical, aggregate: last}}", "needs its levels"),
        ("mini: {x: {items: {labevents: 5}, unit: g, levels: [a]}}", "levels: a concept of kind 'numeric' has none"),
        ("mini: {x: {items: {labevents: 5}, unit: g, texts: {a: b}}}", "'a': 'b' is no number, nor 'missing'"),
        ("mini: {x: {items: {labevents: 5}, unit: g, conversions: {mg: 1000}}}",
         "conversions: '1000' is not understood"),
        ("mini: {x: {items: {labevents: 5}, unit: g, conversions: {7: x 2}}}", "7 is none of the items"),
        ("mini: {x: {items: {labevents: 5}, unit: g, where: [a]}}", r"where: \['a'\] is no mapping"),
        ("mini: {x: {items: {labevents: 5}, unit: g, faster_than: 3}}", "faster_than: a concept of kind 'numeric'"),
        ("mini: {x: {items: {labevents: 5}}, x: {items: {labevents: 6}}}", "the key 'x' twice"),
        ("mini: &m {x: *m}", "a reference"),
    ],
)  # fmt: skip
def test_what_is_refused_names_file_key_and_value(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        read_user_file(file)
    assert str(file) in str(refused.value)


def test_names_that_are_there_twice(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    file.write_text(f"mini: {{lactate: {{{LACTATE}}}}}")
    for text, said in (
        (f"mini: {{x: {{{LACTATE}}}}}", "'mini' is there already"),
        (f"labs: {{x: {{{LACTATE}}}}}", "'labs' is there already"),
        (f"ehr: {{x: {{{LACTATE}}}}}", "'ehr' is there already"),
        (f"more: {{lactate: {{{LACTATE}}}}}", "lactate: this concept is defined twice"),
    ):
        other.write_text(text)
        with pytest.raises(InputError, match=said) as refused:
            NamedSets.read(("labs", str(file), str(other)), ("ehr",))
        assert str(other) in str(refused.value)
    other.write_text(f"more: {{sugar: {{{LACTATE}}}}}")
    assert NamedSets.read(("labs", str(file), str(other)), ("ehr",)).names == ("labs", "mini", "more")


def test_names_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'lab', nor a file\. Did you mean 'labs'"):
        NamedSets.read(("lab",))
    with pytest.raises(MissingInputError, match=r"nothing\.yaml"):
        NamedSets.read((str(tmp_path / "nothing.yaml"),))
    with pytest.raises(InputError, match="'labs' is there already"):
        NamedSets.read(("labs", "labs"))


def test_items_of_another_release_are_refused(file: Path) -> None:
    rate = "kind: interval-rate, unit: mcg/min"
    file.write_text(f"mini: {{pressor: {{items: {{inputevents: [30047]}}, {rate}}}}}")
    named = NamedSets.read((str(file),))
    assert named.concepts(3, ["mini"])["mini"][0].items == {"inputevents": (30047,)}
    with pytest.raises(InputError, match=r"mini: pressor: items: inputevents: 30047 is an item of CareVue"):
        named.concepts(4, ["mini"])
    file.write_text(f"mini: {{pressor: {{items: {{mimic3: {{inputevents: [30047]}}}}, {rate}}}}}")
    with pytest.raises(InputError, match="mini: pressor: items: there are none of this release, mimic4"):
        NamedSets.read((str(file),)).concepts(4, ["mini"])


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("name", starter_sets())
def test_starter_sets_keep_the_rules_of_files(name: str, version: int) -> None:
    concepts = starter_set(name, version)  # type: ignore[arg-type]
    assert len({concept.name for concept in concepts}) == len(concepts) > 0
    for concept in concepts:
        if concept.derived:
            assert concept.derived == concept.name in DERIVED and not concept.items
            assert set(concept.aggregates) <= set(AGGREGATES[concept.kind])
            continue
        ((table, items),) = concept.items.items()
        assert len(set(items)) == len(items) > 0
        assert concept.kind in KINDS and concept.kind in TABLES[table]
        assert set(concept.aggregates) <= set(AGGREGATES[concept.kind])
        assert bool(concept.levels) == (concept.kind == "categorical" and "last" in concept.aggregates)
        assert concept.low is None or concept.high is None or concept.low < concept.high
        assert {rule.item for rule in concept.conversions} - {None} <= {
            item
            for other in (3, 4)
            for c in starter_set(name, other)
            if c.name == concept.name
            for item in c.items[table]
        }


def test_no_concept_is_in_two_starter_sets() -> None:
    names = [concept.name for name in starter_sets() for concept in starter_set(name, 3)]
    assert len(set(names)) == len(names)
