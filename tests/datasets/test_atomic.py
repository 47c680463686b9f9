import pytest

from skmlp.datasets._atomic import replacing


def test_a_file_is_replaced_only_when_the_block_succeeds(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail_halfway():
        with replacing(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
