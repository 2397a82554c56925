import pytest

from gradcheck.configuration import Configuration, ConfigurationError, load_configuration


def write(folder, text):
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def test_every_key_is_read(tmp_path):
    write(
        tmp_path,
        "[tool.gradcheck]\n"
        'targets = ["net.py:net"]\nonly = ["W*"]\nexclude = ["W2"]\nseed = 3\neffort = "quick"\n'
        'required_resolution = 1e-4\nmethod = "complex"\ndirections = "eigen"\nreseed = 7\n'
        "timeout = 2\nbudget = 60.5\nallow_inconclusive = true\n",
    )
    assert load_configuration(tmp_path) == Configuration(
        *(tmp_path, ("net.py:net",), ("W*",), ("W2",), 3, "quick", 1e-4),
        *("complex", "eigen", 7, 2.0, 60.5, True),
    )


def test_the_nearest_pyproject_counts(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(tmp_path, "[tool.gradcheck]\nseed = 1\n")
    assert load_configuration(inner).seed == 1
    assert load_configuration(inner).folder == tmp_path
    write(tmp_path / "a", "[tool.other]\nx = 1\n")
    assert load_configuration(inner).seed is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sead = 1", r"pyproject\.toml: unknown key 'sead' in \[tool\.gradcheck\]; .* 'seed'"),
        ("zzz = 1", r"unknown key 'zzz' in \[tool\.gradcheck\]; there are targets, only"),
        ("folder = 'x'", "unknown key 'folder'"),
        ("targets = 'net.py'", r"targets must be a list of strings, got 'net\.py'"),
        ("only = [1]", r"only must be a list of strings, got \[1\]"),
        ("seed = true", "seed must be a whole number from 0 up, got True"),
        ("seed = -1", "seed must be a whole number from 0 up, got -1"),
        ("effort = 'quik'", "effort must be one of quick, .* got 'quik'; did you mean 'quick'"),
        ("effort = ['quick']", r"effort must be one of .* got \['quick'\]"),
        ("required_resolution = 0", "required_resolution must be a number above 0, got 0"),
        ("required_resolution = nan", "required_resolution must be a number above 0, got nan"),
        ("method = 'complx'", "method must be one of auto, complex, .*did you mean 'complex'"),
        ("directions = 1", "directions must be one of random, eigen, got 1"),
        ("reseed = 0.5", r"reseed must be a whole number from 0 up, got 0\.5"),
        ("timeout = 0", "timeout must be a number above 0, got 0"),
        ("budget = true", "budget must be a number above 0, got True"),
        ("allow_inconclusive = 1", "allow_inconclusive must be true or false, got 1"),
        ("seed = ", r"pyproject\.toml: cannot be read: .*line 2"),
    ],
)
def test_bad_settings_are_named(tmp_path, text, message):
    write(tmp_path, f"[tool.gradcheck]\n{text}\n")
    with pytest.raises(ConfigurationError, match=message):
        load_configuration(tmp_path)


def test_settings_that_are_no_table_are_refused(tmp_path):
    write(tmp_path, "[tool]\ngradcheck = 1\n")
    with pytest.raises(ConfigurationError, match=r"tool\.gradcheck must be a table, got 1"):
        load_configuration(tmp_path)


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_configuration(tmp_path)


def test_an_empty_list_of_targets_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.gradcheck]\ntargets = []\n")
    with pytest.raises(ConfigurationError, match="targets must name at least one target"):
        load_configuration(tmp_path)
