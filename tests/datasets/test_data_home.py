from pathlib import Path

from skmlp.datasets import _data_home, get_data_home


def test_data_home_is_argument_then_variable_then_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SKMLP_DATA", str(tmp_path / "variable"))
    assert get_data_home(tmp_path / "argument") == str(tmp_path / "argument")
    assert get_data_home() == str(tmp_path / "variable")
    monkeypatch.delenv("SKMLP_DATA")
    cache = Path(get_data_home())
    assert "skmlp" in cache.parts
    assert cache.is_dir()


def test_tilde_means_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert get_data_home("~/data") == str(tmp_path / "data")


def test_data_home_is_searched_before_system_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(_data_home, "SYSTEM_FOLDERS", (tmp_path / "system",))
    folders = _data_home.data_set_folders("digits", tmp_path / "home")
    assert folders == [tmp_path / "home/digits", tmp_path / "system/digits"]
    assert _data_home.find_file(folders, ["a", "a.gz"]) is None
    for folder in reversed(folders):
        folder.mkdir(parents=True)
        for name in ("a.gz", "a"):
            (folder / name).touch()
            assert _data_home.find_file(folders, ["a", "a.gz"]) == folder / name
