import pytest

from skmlp.storage.atomic_files import replace_file


def test_file_is_replaced_only_if_the_block_succeeds(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail_halfway():
        with replace_file(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    with replace_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
