"""Things by name: ours first, then those of installed packages, which cannot take a name or stop anything."""

import importlib
import logging
import sys
from pathlib import Path

import pytest
from omnifuse.cache_schema import InputError
from omnifuse.registry import Package, Registry

GROUP = "omnifuse.experiments"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what installs a package with entry points and a module, as pip leaves it."""

    def installed(package: str, entries: str, **modules: str) -> None:
        place = tmp_path / package
        information = place / f"{package}-1.2.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (information / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
        for module, text in modules.items():
            (place / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(place))
        importlib.invalidate_caches()

    return installed


def registry(flaw=lambda _: None) -> Registry[object]:
    return Registry(GROUP, "experiment", {"error": "cache_schema.errors:InputError"}, flaw)


def test_ours_are_found_by_name():
    assert registry().get("error") is InputError
    assert registry().package("error") is None


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"Unknown experiment 'eror'\. Did you mean 'error'\? Known are: error\."):
        registry().get("eror")


def test_a_package_adds_by_entry_point_alone(install):
    install("acme", "rocket = acme_rocket:rocket", acme_rocket="rocket = 'up'")
    found = registry()
    assert found.names() == ("error", "rocket")
    assert found.get("rocket") == "up"
    assert found.package("rocket") == Package("acme", "1.2")


def test_a_package_cannot_take_a_name_of_ours(install, caplog):
    install("acme", "error = acme_error:error\nother = acme_error:error", acme_error="error = 'theirs'")
    with caplog.at_level(logging.WARNING):
        found = registry()
        assert found.names() == ("error", "other")
        found.names()
    assert found.get("error") is InputError
    assert [record.getMessage() for record in caplog.records] == [
        "acme 1.2 offers the experiment 'error', which is that of OmniFuse. It is left out."
    ]


def test_of_two_packages_the_first_by_name_keeps_a_name(install, caplog):
    install("zebra", "rocket = zebra_rocket:rocket", zebra_rocket="rocket = 'zebra'")
    install("acme", "rocket = acme_rocket2:rocket", acme_rocket2="rocket = 'acme'")
    with caplog.at_level(logging.WARNING):
        assert registry().get("rocket") == "acme"
    assert "zebra 1.2 offers the experiment 'rocket', which is that of acme 1.2." in caplog.text


def test_a_package_that_fails_to_import_is_named_and_the_others_go_on(install):
    install("acme", "broken = acme_broken:x\nrocket = acme_fine:x", acme_broken="import nowhere", acme_fine="x = 1")
    found = registry()
    with pytest.raises(InputError, match=r"'broken' of the package acme 1\.2 .* No module named 'nowhere'"):
        found.get("broken")
    assert found.get("rocket") == 1


def test_what_breaks_the_contract_is_refused_with_the_reason(install):
    install("acme", "rocket = acme_number:x", acme_number="x = 1")
    with pytest.raises(InputError, match=r"'rocket' of the package acme 1\.2 cannot be used: it is no text\."):
        registry(lambda thing: None if isinstance(thing, str) else "it is no text").get("rocket")


def test_a_thing_can_be_registered_for_this_process():
    found = registry()
    found.register("mine", 7)
    assert found.get("mine") == 7
    assert "mine" in found.names()
    with pytest.raises(InputError, match="already"):
        found.register("error", 8)
    found.forget("mine")
    assert "mine" not in found.names()


def test_names_of_other_things_of_ours_cannot_be_taken(install, caplog):
    install("acme", "samples = acme_samples:x", acme_samples="x = 1")
    found = Registry(GROUP, "experiment", {}, taken=frozenset({"samples"}))
    with caplog.at_level(logging.WARNING):
        assert found.names() == ()
    assert "acme 1.2 offers the experiment 'samples', which is that of OmniFuse." in caplog.text
    with pytest.raises(InputError, match=r"The name 'samples' is taken already; give the experiment another\."):
        found.register("samples", 8)


@pytest.mark.parametrize("name", ["a/b", "../up", "my rocket", "-v", ".hidden", "a:b", "r\u00e4ket", "x" * 65])
def test_a_name_that_could_not_be_a_folder_is_left_out_and_refused(name, install, caplog):
    install("acme", f"{name} = acme_named:x\nrocket = acme_named:x", acme_named="x = 1")
    found = registry()
    with caplog.at_level(logging.WARNING):
        assert found.names() == ("error", "rocket")
    assert [record.getMessage() for record in caplog.records] == [
        f"acme 1.2 offers the experiment {name!r}, but a name is a letter or digit, then letters, digits, '.', '-' and "
        "'_', 64 at most. It is left out."
    ]
    with pytest.raises(InputError, match="cannot be used: a name is a letter or digit"):
        found.register(name, 7)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys; sys.exit('bye')", "it fails to import: SystemExit: bye."),
        ("raise ValueError('one\\ntwo')", "it fails to import: ValueError: one two."),
        ("y = 1", "it fails to import: AttributeError: module 'acme_ends' has no attribute 'x'."),
        ("x = {}['nothing']", "it fails to import: KeyError: 'nothing'."),
    ],
)
def test_whatever_an_import_does_is_said_in_one_line(text, reason, install, monkeypatch):
    monkeypatch.delitem(sys.modules, "acme_ends", raising=False)
    install("acme", "rocket = acme_ends:x", acme_ends=text)
    with pytest.raises(InputError) as refusal:
        registry().get("rocket")
    assert str(refusal.value) == f"The experiment 'rocket' of the package acme 1.2 cannot be used: {reason}"


def test_an_entry_point_that_names_no_module_is_refused(install):
    install("acme", "rocket = not a module!!")
    with pytest.raises(InputError, match=r"'rocket' of the package acme 1\.2 cannot be used: it fails to import"):
        registry().get("rocket")


def test_what_breaks_the_look_at_it_is_refused(install):
    install("acme", "rocket = acme_odd:x", acme_odd="x = 1")
    with pytest.raises(InputError, match=r"cannot be used: looking at it fails: TypeError: "):
        registry(lambda thing: "no" if "wings" in thing else None).get("rocket")


def test_what_a_package_prints_is_no_output_of_ours(install, capsys):
    install("acme", "rocket = acme_loud:x", acme_loud="x = 1; print('lift off')")
    assert registry().get("rocket") == 1
    assert capsys.readouterr() == ("", "lift off\n")


def test_a_package_without_a_version_is_named_all_the_same(install, tmp_path):
    install("acme", "rocket = acme_unversioned:x", acme_unversioned="x = 1")
    (tmp_path / "acme" / "acme-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\n")
    package = registry().package("rocket")
    assert (str(package), package.mend) == ("acme", "pip install acme")


def test_of_what_was_used_once_it_is_said_why_it_cannot_be_used_now(install):
    install("acme", "rocket = acme_gone:x\nplane = acme_plane:x", acme_gone="import nowhere", acme_plane="x = 1")
    found, package = registry(), Package("acme", "1.1")
    assert found.absence("plane", package) is None
    assert found.absence("ship", package) == (
        "the experiment 'ship' of the package acme 1.1, which is not installed: pip install 'acme==1.1'."
    )
    assert found.absence("ship", None) == "the experiment 'ship', which is not known here: register it first."
    assert "of the package acme 1.2 cannot be used: it fails to import" in found.absence("rocket", package)


def test_what_the_code_of_a_package_raises_names_it_and_the_line(install):
    install("acme", "rocket = acme_falls:x", acme_falls="def x():\n    return {}['fuel']")
    found = registry()
    said = r"^The experiment 'rocket' of the package acme 1\.2 failed: KeyError: 'fuel' \(acme_falls\.py, line 2\)\.$"
    with pytest.raises(InputError, match=said), found.blamed("rocket"):
        found.get("rocket")()


@pytest.mark.parametrize(("name", "error"), [("error", KeyError("ours")), ("rocket", OSError(28, "disk full"))])
def test_what_is_ours_or_of_the_system_is_no_blame_of_a_package(name, error, install):
    install("acme", "rocket = acme_blamed:x", acme_blamed="x = 1")
    with pytest.raises(type(error)) as raised, registry().blamed(name):
        raise error
    assert raised.value is error
