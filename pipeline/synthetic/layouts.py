"""Column names and file names of MIMIC-IV v2.2 and MIMIC-III v1.4, and byte-reproducible gzip files."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

COLUMNS = {
    "mimic4": {
        "patients": "subject_id gender anchor_age anchor_year anchor_year_group dod",
        "admissions": "subject_id hadm_id admittime dischtime deathtime admission_type admit_provider_id "
        "admission_location discharge_location insurance language marital_status race edregtime edouttime "
        "hospital_expire_flag",
        "diagnoses_icd": "subject_id hadm_id seq_num icd_code icd_version",
        "d_icd_diagnoses": "icd_code icd_version long_title",
        "labevents": "labevent_id subject_id hadm_id specimen_id itemid order_provider_id charttime storetime "
        "value valuenum valueuom ref_range_lower ref_range_upper flag priority comments",
        "d_labitems": "itemid label fluid category",
        "icustays": "subject_id hadm_id stay_id first_careunit last_careunit intime outtime los",
        "chartevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valuenum "
        "valueuom warning",
        "outputevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valueuom",
        "d_items": "itemid label abbreviation linksto category unitname param_type lownormalvalue highnormalvalue",
        "radiology": "note_id subject_id hadm_id note_type note_seq charttime storetime text",
        "edstays": "subject_id hadm_id stay_id intime outtime gender race arrival_transport disposition",
        "inputevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid amount amountuom "
        "rate rateuom orderid linkorderid ordercategoryname secondaryordercategoryname ordercomponenttypedescription "
        "ordercategorydescription patientweight totalamount totalamountuom isopenbag continueinnextdept "
        "statusdescription originalamount originalrate",
        "prescriptions": "subject_id hadm_id pharmacy_id poe_id poe_seq order_provider_id starttime stoptime drug_type "
        "drug formulary_drug_cd gsn ndc prod_strength form_rx dose_val_rx dose_unit_rx form_val_disp form_unit_disp "
        "doses_per_24_hrs route",
        "microbiologyevents": "microevent_id subject_id hadm_id micro_specimen_id order_provider_id chartdate "
        "charttime spec_itemid spec_type_desc test_seq storedate storetime test_itemid test_name org_itemid org_name "
        "isolate_num quantity ab_itemid ab_name dilution_text dilution_comparison dilution_value interpretation "
        "comments",
        "transfers": "subject_id hadm_id transfer_id eventtype careunit intime outtime",
        "vitalsign": "subject_id stay_id charttime temperature heartrate resprate o2sat sbp dbp rhythm pain",
        "medrecon": "subject_id stay_id charttime name gsn ndc etc_rn etccode etcdescription",
        "pyxis": "subject_id stay_id charttime med_rn name gsn_rn gsn",
        "triage": "subject_id stay_id temperature heartrate resprate o2sat sbp dbp pain acuity chiefcomplaint",
        "discharge": "note_id subject_id hadm_id note_type note_seq charttime storetime text",
    },
    "mimic3": {
        "patients": "ROW_ID SUBJECT_ID GENDER DOB DOD DOD_HOSP DOD_SSN EXPIRE_FLAG",
        "admissions": "ROW_ID SUBJECT_ID HADM_ID ADMITTIME DISCHTIME DEATHTIME ADMISSION_TYPE ADMISSION_LOCATION "
        "DISCHARGE_LOCATION INSURANCE LANGUAGE RELIGION MARITAL_STATUS ETHNICITY EDREGTIME EDOUTTIME DIAGNOSIS "
        "HOSPITAL_EXPIRE_FLAG HAS_CHARTEVENTS_DATA",
        "diagnoses_icd": "ROW_ID SUBJECT_ID HADM_ID SEQ_NUM ICD9_CODE",
        "d_icd_diagnoses": "ROW_ID ICD9_CODE SHORT_TITLE LONG_TITLE",
        "labevents": "ROW_ID SUBJECT_ID HADM_ID ITEMID CHARTTIME VALUE VALUENUM VALUEUOM FLAG",
        "d_labitems": "ROW_ID ITEMID LABEL FLUID CATEGORY LOINC_CODE",
        "icustays": "ROW_ID SUBJECT_ID HADM_ID ICUSTAY_ID DBSOURCE FIRST_CAREUNIT LAST_CAREUNIT FIRST_WARDID "
        "LAST_WARDID INTIME OUTTIME LOS",
        "chartevents": "ROW_ID SUBJECT_ID HADM_ID ICUSTAY_ID ITEMID CHARTTIME STORETIME CGID VALUE VALUENUM VALUEUOM "
        "WARNING ERROR RESULTSTATUS STOPPED",
        "outputevents": "ROW_ID SUBJECT_ID HADM_ID ICUSTAY_ID CHARTTIME ITEMID VALUE VALUEUOM STORETIME CGID STOPPED "
        "NEWBOTTLE ISERROR",
        "d_items": "ROW_ID ITEMID LABEL ABBREVIATION DBSOURCE LINKSTO CATEGORY UNITNAME PARAM_TYPE CONCEPTID",
        "inputevents_mv": "ROW_ID SUBJECT_ID HADM_ID ICUSTAY_ID STARTTIME ENDTIME ITEMID AMOUNT AMOUNTUOM RATE RATEUOM "
        "STORETIME CGID ORDERID LINKORDERID ORDERCATEGORYNAME SECONDARYORDERCATEGORYNAME ORDERCOMPONENTTYPEDESCRIPTION "
        "ORDERCATEGORYDESCRIPTION PATIENTWEIGHT TOTALAMOUNT TOTALAMOUNTUOM ISOPENBAG CONTINUEINNEXTDEPT CANCELREASON "
        "STATUSDESCRIPTION COMMENTS_EDITEDBY COMMENTS_CANCELEDBY COMMENTS_DATE ORIGINALAMOUNT ORIGINALRATE",
        "prescriptions": "ROW_ID SUBJECT_ID HADM_ID ICUSTAY_ID STARTDATE ENDDATE DRUG_TYPE DRUG DRUG_NAME_POE "
        "DRUG_NAME_GENERIC FORMULARY_DRUG_CD GSN NDC PROD_STRENGTH DOSE_VAL_RX DOSE_UNIT_RX FORM_VAL_DISP "
        "FORM_UNIT_DISP ROUTE",
        "microbiologyevents": "ROW_ID SUBJECT_ID HADM_ID CHARTDATE CHARTTIME SPEC_ITEMID SPEC_TYPE_DESC ORG_ITEMID "
        "ORG_NAME ISOLATE_NUM AB_ITEMID AB_NAME DILUTION_TEXT DILUTION_COMPARISON DILUTION_VALUE INTERPRETATION",
        "noteevents": "ROW_ID SUBJECT_ID HADM_ID CHARTDATE CHARTTIME STORETIME CATEGORY DESCRIPTION CGID ISERROR TEXT",
    },
}
"""Layout -> table -> columns in their real order."""
FOLDERS = {
    **dict.fromkeys(("icustays", "chartevents", "outputevents", "inputevents", "d_items"), "icu"),
    **dict.fromkeys(("radiology", "discharge"), "note"),
    **dict.fromkeys(("edstays", "triage", "vitalsign", "medrecon", "pyxis"), "ed"),
}
"""Where tables of MIMIC-IV lie; the others lie in ``hosp``."""
OLD_NAMES = {"icustay_id": "stay_id", "ethnicity": "race", "icd9_code": "icd_code"}
"""MIMIC-III's lower-cased name of a column -> ours."""
TIMES = {
    "admittime",
    "dischtime",
    "deathtime",
    "intime",
    "outtime",
    "chartdate",
    "charttime",
    "storetime",
    "storedate",
    "starttime",
    "endtime",
    "stoptime",
    "startdate",
    "enddate",
    "dob",
    "dod",
    "dod_hosp",
    "dod_ssn",
}
"""Columns that hold seconds since 1970 and are written as date and time."""
DATES = {"dod", "CHARTDATE", "STARTDATE", "ENDDATE"}
"""Columns that are written as a date, of MIMIC-IV in lower case."""


def write_table(raw: Path, layout: str, table: str, frames: Iterable[pl.DataFrame]) -> None:
    """Write the frames one after the other as one table of the layout (`table` is its MIMIC-IV name).

    Columns that the frames do not have are written empty; further columns of the frames are left out.
    """
    folder = FOLDERS.get(table, "hosp")
    path = raw / folder / f"{table}.csv.gz" if layout == "mimic4" else raw / f"{table.upper()}.csv.gz"
    write_csv(path, _arrange(frames, COLUMNS[layout][table].split()))


def _arrange(frames: Iterable[pl.DataFrame], columns: list[str]) -> Iterator[pl.DataFrame]:
    rows = 0
    for frame in frames:
        numbered = frame.with_row_index("row_id", offset=rows + 1)
        rows += len(frame)
        yield numbered.select(_column(name, set(numbered.columns)) for name in columns)


def _column(column: str, existing: set[str]) -> pl.Expr:
    name = OLD_NAMES.get(column.lower(), column.lower())
    if name not in existing:
        return pl.lit(None).alias(column)
    expression = pl.from_epoch(name, time_unit="s") if name in TIMES else pl.col(name)
    return (expression.dt.date() if column in DATES else expression).alias(column)


def write_csv(path: Path, frames: Iterable[pl.DataFrame]) -> None:
    """Write the frames one after the other as one compressed CSV file with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # An empty name and time zero keep the bytes independent of where and when the file was written.
    with path.open("wb") as stored, gzip.GzipFile("", "wb", compresslevel=1, fileobj=stored, mtime=0) as file:
        for number, frame in enumerate(frames):
            text = frame.write_csv(
                include_header=number == 0, datetime_format="%Y-%m-%d %H:%M:%S", date_format="%Y-%m-%d"
            )
            file.write(text.encode())
