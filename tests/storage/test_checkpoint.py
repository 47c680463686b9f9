import numpy as np
import pytest

from skmlp.storage.checkpoint import read_checkpoint, write_checkpoint
from skmlp.storage.container import ModelFileError, serialize_container


def test_checkpoint_returns_its_content(tmp_path):
    path = tmp_path / "file"
    content = {"a": [1.5, np.inf, None], "b": {"c": np.arange(3), "d": (1, "x")}}
    write_checkpoint(path, {})
    write_checkpoint(path, content)
    read = read_checkpoint(path)
    np.testing.assert_array_equal(read["b"].pop("c"), content["b"].pop("c"))
    assert read == content
    assert list(tmp_path.iterdir()) == [path]


def test_unsupported_value_is_named_and_no_file_is_written(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(TypeError, match="history of a checkpoint cannot be stored"):
        write_checkpoint(path, {"history": [object()]})
    assert not path.exists()


@pytest.mark.parametrize("content", ["1", "[]", '{"a":{"x":1}}', '{"a":', "\\"])
def test_file_with_other_content_is_refused(content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(serialize_container(content, {}, "checkpoint"))
    with pytest.raises(ModelFileError, match="file is no checkpoint"):
        read_checkpoint(path)
