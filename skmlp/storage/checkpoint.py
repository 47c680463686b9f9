"""Checkpoint files: a dict of plain values and arrays in one file."""

from pathlib import Path
from typing import Any

from skmlp.storage.atomic_files import write_durably
from skmlp.storage.container import (
    ModelFileError,
    open_container,
    serialize_container,
)
from skmlp.storage.value_decoder import ValueDecoder, parse_json
from skmlp.storage.value_encoder import ValueEncoder, format_json


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Replace a checkpoint file; the new content is on the disk when this returns.

    Raises
    ------
    OSError
        If the file cannot be written. The old file is unchanged.
    TypeError
        If the type of a value is not supported. The message names its key.
    """
    encoder = ValueEncoder()
    encoded = {
        name: encoder.encode(value, f"{name} of a checkpoint", name)
        for name, value in content.items()
    }
    serialized = serialize_container(
        format_json(encoded), encoder.arrays, kind="checkpoint"
    )
    write_durably(path, serialized, kind="checkpoint")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content that `write_checkpoint` wrote.

    Raises
    ------
    ModelFileError
        If the file is not a whole checkpoint, or has a newer format.
    OSError
        If the file cannot be read.
    """
    with open_container(path, kind="checkpoint") as (description, arrays):
        try:
            decoder = ValueDecoder(arrays)
            content = decoder.decode_dict(parse_json(description), 0)
            decoder.check_all_arrays_used()
        except Exception as error:
            raise ModelFileError(f"{path} is no checkpoint: {error}.") from error
    return content
