"""YAML files hold what a person writes by hand; whatever takes long, or is a program, is one short refusal."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError
from omnifuse.yaml_file import load_yaml

BOMB = "\n".join(
    ["a0: &a0 [lol, lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
)  # fmt: skip


def loaded(folder: Path, text: str | bytes) -> Any:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_yaml(path)


def test_plain_values_are_read_and_dates_stay_texts(tmp_path: Path) -> None:
    text = "a: [1, 2.5, true, null, x]\nb: {c: 2020-13-45, d: 2020-01-01, 3: e}\n"
    assert loaded(tmp_path, text) == {
        "a": [1, 2.5, True, None, "x"],
        "b": {"c": "2020-13-45", "d": "2020-01-01", 3: "e"},
    }
    assert loaded(tmp_path, "\ufefftext:note: Befund é\n") == {"text:note": "Befund é"}
    assert loaded(tmp_path, "") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"line 2: a reference, \*a0; write the value out"),
        ("a: &x [*x]", r"line 1: a reference, \*x"),
        ("[" * 100_000, "line 1: (more than 20 lists and mappings inside each other|exceeded maximum nesting depth)"),
        ("- " * 5000 + "a", "more than 20 lists and mappings inside each other"),
        ("{a: " * 300_000, "more than 1,000,000"),
        ("[1," * 3 + "1, " * 60_000, "more than 50,000 values"),
        ("a: " + "9" * 10_000, "line 1: a number of more than 20 characters"),
        ("a: 0x" + "f" * 10_000, "line 1: a number of more than 20 characters"),
        ("b: 1\na: 2\nb: 3", "line 3: the key 'b' twice"),
        ("a: {1: x, 1.0: y}", r"line 1: one key in several writings, among \['1', '1.0'\]"),
        ("? [a]\n: 1", "line 1: a list or mapping as a key"),
        ("? {a: b}\n: 1", "line 1: a list or mapping as a key"),
        ("{{a: b}: c}", "a list or mapping as a key"),
        ("a: !!python/object/apply:os.system [id]", "line 1: a tag, tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!timestamp x", "line 1: a tag, tag:yaml.org,2002:timestamp"),
        ("a: !!int x", "line 1: 'x' is not what its tag says"),
        ("a: !!bool x", "line 1: 'x' is not what its tag says"),
        ("a: !!set {b}", "line 1: a tag"),
        ("--- 1\n--- 2", "is no YAML"),
        ("a: [", "is no YAML: line"),
        ("a: \x00", "is no YAML"),
        (b"\xff\xfe\x00", "is no YAML"),
    ],
)
def test_anything_else_is_one_short_message_and_takes_no_time(tmp_path: Path, text: str | bytes, message: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InputError, match=message) as error:
        loaded(tmp_path, text)
    assert len(str(error.value)) < 400 and time.perf_counter() - started < 5


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text() | st.floats(-1e6, 1e6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    text = yaml.safe_dump(value)
    if all(len(word) <= 20 for word in text.split()):
        assert loaded(tmp_path_factory.mktemp("yaml"), text) == value


@given(st.binary(max_size=200) | st.text(alphabet="{}[]&*!?:-,'\"|>#%@`ab01 \n\t", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    try:
        loaded(tmp_path_factory.mktemp("yaml"), content)
    except InputError as error:
        assert len(str(error)) < 500
