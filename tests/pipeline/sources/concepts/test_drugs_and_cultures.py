"""Drugs and specimens by their names, and what of a culture is known when."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.sources.mimic.concepts.columns import refuse_unknown_columns
from omnifuse.pipeline.sources.mimic.concepts.definitions import Concept, starter_set
from omnifuse.pipeline.sources.mimic.concepts.describe import describe
from omnifuse.pipeline.sources.mimic.concepts.named import NamedSets
from omnifuse.pipeline.sources.mimic.concepts.user_file import read_user_file
from omnifuse.pipeline.sources.mimic.folder import MimicFolder

IV_IN, III_IN = 6626966400, 5680281600
"""The admissions to the unit, in seconds."""
SUBJECT = 10000032


def starter(name: str, version: Any = 4) -> Concept:
    sets = ("antibiotics", "cultures", "infection")
    return next(c for one in sets for c in starter_set(one, version) if c.name == name)


def hours(events: pl.DataFrame, start: int = IV_IN) -> list[tuple[float, float]]:
    return [((time - start) / 3600, (known - start) / 3600) for time, known in events.select("time", "known").rows()]


@pytest.fixture
def iv(iv: Any) -> Any:
    iv.headers |= {
        "hosp/prescriptions": "subject_id,hadm_id,starttime,stoptime,drug_type,drug,route",
        "hosp/emar": "subject_id,hadm_id,charttime,storetime,medication,event_txt",
        "hosp/microbiologyevents": "subject_id,hadm_id,micro_specimen_id,chartdate,charttime,storedate,storetime,"
        "spec_itemid,spec_type_desc,org_itemid,org_name,ab_name,interpretation",
    }
    return iv


@pytest.fixture
def order(iv: Any) -> Callable[..., None]:
    def add(drug: str, clock: str = "01:00:00", route: str = "IV", drug_type: str = "MAIN") -> None:
        iv.add("hosp/prescriptions", subject_id=SUBJECT, starttime=f"2180-01-01 {clock}", drug=drug, route=route,
               drug_type=drug_type)  # fmt: skip

    return add


@pytest.fixture
def culture(iv: Any) -> Callable[..., None]:
    def add(clock: str, specimen: str = "BLOOD CULTURE", item: int = 70012, **row: str) -> None:
        iv.add("hosp/microbiologyevents", subject_id=SUBJECT, chartdate="2180-01-01 00:00:00", spec_itemid=item,
               charttime=f"2180-01-01 {clock}" if clock else "", spec_type_desc=specimen, **row)  # fmt: skip

    return add


def test_antibiotics_are_told_by_name_route_and_type(iv: Any, order: Callable[..., None], read: Any) -> None:
    counted = ["Vancomycin", "CefTRIAXone", "Piperacillin-Tazobactam Na", "Imipenem-Cilastatin", "Ertapenem Sodium",
               "Daptomycin", "Tigecycline", "Colistin"]  # fmt: skip
    for number, drug in enumerate(counted):
        order(drug, f"{number:02d}:00:00")
    for drug in ("Amphotericin B", "Anidulafungin", "Mupirocin Ointment 2%", "Heparin", "Neomycin Ophth Oint",
                 "Clindamycin Phosphate 1% Gel", "Penicillin G Desensitization"):  # fmt: skip
        order(drug)
    for route in ("OU", "tp", "LEFT EAR", "BOTH EYES"):
        order("Ciprofloxacin", route=route)
    order("Vancomycin", drug_type="BASE")
    events, told = read(iv.write(), [starter("antibiotic_ordered")])
    assert hours(events) == [(hour, hour) for hour in range(len(counted))]  # from its start on
    assert events["value"].to_list() == [1.0] * len(counted)
    assert told == {}


def test_of_the_administrations_those_count_that_were_given(iv: Any, read: Any) -> None:
    row = {"subject_id": SUBJECT, "medication": "Meropenem", "charttime": "2180-01-01 03:00:00"}
    iv.add("hosp/emar", **row, event_txt="Administered", storetime="2180-01-01 03:30:00")
    iv.add("hosp/emar", **row, event_txt="Not Given", storetime="2180-01-01 03:30:00")
    iv.add("hosp/emar", **row, event_txt="")
    events, told = read(iv.write(), [starter("antibiotic_administered")])
    assert hours(events) == [(3, 3.5)]
    assert told == {"antibiotics.antibiotic_administered: not given: held, stopped, refused or only checked": 2}


def test_an_order_of_which_only_the_day_is_known_counts_at_its_end(iii: Any, read: Any) -> None:
    iii.headers["PRESCRIPTIONS"] = "SUBJECT_ID,HADM_ID,STARTDATE,ENDDATE,DRUG_TYPE,DRUG,ROUTE"
    iii.add("PRESCRIPTIONS", SUBJECT_ID=1, STARTDATE="2150-01-01 00:00:00", DRUG="Vancomycin HCl", ROUTE="IV")
    iii.add("PRESCRIPTIONS", SUBJECT_ID=1, STARTDATE="", DRUG="Vancomycin HCl", ROUTE="IV")
    events, told = read(iii.write(), [starter("antibiotic_ordered", 3)])
    last = 24 - 1 / 3600
    assert hours(events, III_IN) == [(pytest.approx(last), pytest.approx(last))]
    assert told == {"antibiotics.antibiotic_ordered: the time cannot be read": 1}


def test_a_culture_is_known_when_taken_and_its_result_when_stored(
    iv: Any, culture: Callable[..., None], read: Any
) -> None:
    found = {"org_name": "ESCHERICHIA COLI"}
    culture("02:00:00", **found, ab_name="CEFEPIME", storetime="2180-01-04 08:00:00")
    culture("02:00:00", **found, ab_name="GENTAMICIN", storetime="2180-01-04 08:00:00")
    culture("05:00:00", "URINE", 70079, storetime="2180-01-03 08:00:00")  # no growth
    culture("06:00:00", "URINE", 70079, org_name="CANCELLED")
    culture("07:00:00", "SPUTUM", 70062, **found)  # nobody says when that was known
    culture("", "SPUTUM", 70062, **found, storedate="2180-01-02 00:00:00")  # a date, and another
    names = ("culture", "blood_culture", "urine_culture", "respiratory_culture", "culture_positive",
             "blood_culture_positive")  # fmt: skip
    concepts = [starter(name) for name in names]
    for available in ("storetime", "charttime"):
        events, _ = read(iv.write(), concepts, available=available)
        of = {name: hours(events.filter(concept=number)) for number, name in enumerate(names)}
        day = pytest.approx(24 - 1 / 3600)
        assert of["culture"] == [(2, 2), (5, 5), (6, 6), (7, 7), (day, day)]
        assert of["blood_culture"] == [(2, 2)]  # once, whatever was found and tried
        assert of["urine_culture"] == [(5, 5), (6, 6)]
        assert of["respiratory_culture"] == [(7, 7), (day, day)]
        second = pytest.approx(48 - 1 / 3600)
        assert of["culture_positive"] == [(second, second), (80, 80), (7 + 120, 7 + 120)]
        assert of["blood_culture_positive"] == [(80, 80)]


@pytest.mark.parametrize(
    "asks",
    ["levels: {coli: [ESCHERICHIA COLI]}", "where: {org_name: ESCHERICHIA COLI}", "where: {interpretation: R}",
     "without: {org_name: ['']}", "where: {org_itemid: '80002'}"],
)  # fmt: skip
def test_whoever_looks_at_a_result_waits_for_it(
    asks: str, iv: Any, culture: Callable[..., None], read: Any, tmp_path: Path
) -> None:
    culture("02:00:00", org_name="ESCHERICHIA COLI", org_itemid="80002", interpretation="R",
            storetime="2180-01-03 08:00:00")  # fmt: skip
    (tmp_path / "my.yaml").write_text(
        f"mine: {{x: {{kind: categorical, aggregate: any, items: {{microbiologyevents: [70012]}}, {asks}}}}}\n"
    )
    (mine,) = read_user_file(tmp_path / "my.yaml")["mine"][4]
    assert hours(read(iv.write(), [mine], available="charttime")[0]) == [(56, 56)]
    assert hours(read(iv.path, [starter("blood_culture")], available="charttime")[0]) == [(2, 2)]


def test_a_file_names_drugs_and_specimens(iv: Any, order: Callable[..., None], read: Any, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("""
mine:
  opioid: {kind: categorical, items: {prescriptions: {drug_contains: [Morphine, fentanyl]}}, without: {route: [PO]}}
  swab: {kind: categorical, items: {microbiologyevents: {specimen_contains: [swab]}}}
  given: {kind: categorical, items: {emar: {drug_contains: morphine}}}
""")
    sets = read_user_file(tmp_path / "my.yaml")["mine"]
    assert [concept.items for concept in sets[4]] == [
        {"prescriptions": ("morphine", "fentanyl")}, {"microbiologyevents": ("swab",)}, {"emar": ("morphine",)},
    ]  # fmt: skip
    assert [concept.name for concept in sets[3]] == ["opioid", "swab"]
    with pytest.raises(InputError, match="mine: given: items: there are none of this release, mimic3"):
        NamedSets.read((str(tmp_path / "my.yaml"),)).concepts(3, ["mine"])
    order("MORPHINE Sulfate")
    order("Morphine", route="PO")
    order("Fentanyl / Morphine")
    opioid = sets[4][0]
    assert "without" in opioid.to_json() and "without" not in sets[4][1].to_json()
    events, _ = read(iv.write(), [opioid, starter("antibiotic_ordered")])
    assert events["concept"].to_list() == [0, 0]  # once where two parts are in a name
    (described,) = describe(["antibiotic_ordered"], iv.path)["variables"]
    assert described["rows"] == 0
    assert [d["rows"] for d in describe([str(tmp_path / "my.yaml")], iv.path)["variables"]] == [3, 0, 0]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ("prescriptions: [5]", r"items: prescriptions: \[5\] names nothing; write {drug_contains"),
        ("emar: {specimen_contains: [morphine]}", "emar: .* names nothing"),
        ("prescriptions: {drug_contains: [ce]}", "'ce' is in too many names"),
        ("prescriptions: {drug_contains: [5]}", "is no list of texts"),
        ("labevents: {drug_contains: [heparin]}", "is no item id"),
        ("diagnoses_icd: ['4019']", "'diagnoses_icd' is written after the discharge: it is no input"),
        ("prescriptions: {drug_contains: heparin}}, without: {route: {a: b}", "without"),
    ],
)
def test_names_that_are_none_are_refused(items: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(f"mine: {{x: {{kind: categorical, items: {{{items}}}}}}}\n")
    with pytest.raises(InputError, match=said) as refused:
        read_user_file(tmp_path / "my.yaml")
    assert str(tmp_path / "my.yaml") in str(refused.value)


def test_a_column_that_no_table_has_is_refused(iv: Any) -> None:
    folder = MimicFolder.find(iv.write())
    wrong = Concept("mine", "x", {"prescriptions": ("heparin",)}, "categorical", without={"rout": ("po",)})
    with pytest.raises(
        InputError, match=r"mine: x: without: prescriptions has no column 'rout' .*Did you mean 'route'"
    ):
        refuse_unknown_columns(folder, [wrong])
    with pytest.raises(InputError, match=r"^my\.yaml: mine: x: without"):
        refuse_unknown_columns(folder, [wrong], {"mine": Path("my.yaml")})
    refuse_unknown_columns(folder, [starter("antibiotic_ordered")])


def test_a_table_that_is_another_file_is_refused_by_its_name(iv: Any) -> None:
    path = iv.write() / "hosp" / "prescriptions.csv"
    path.write_text("<html><body>Not authorised</body></html>\n")
    with pytest.raises(MissingInputError, match=r"prescriptions\.csv has no column .*drug, .*; it has <html>"):
        refuse_unknown_columns(MimicFolder.find(iv.path), [starter("antibiotic_ordered")])
