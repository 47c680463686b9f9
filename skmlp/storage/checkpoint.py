"""A checkpoint: plain values and arrays in a file of our own kind."""

from pathlib import Path
from typing import Any

from skmlp.storage.container import ModelFileError, opened, pack
from skmlp.storage.decoding import Decoder, from_json
from skmlp.storage.durable import write_durably
from skmlp.storage.encoding import Encoder, to_json


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Replace the file by one with this content, on the disk before it returns.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is untouched.
    TypeError
        If a value has no place in a file without code; the message names its key.
    """
    encoder = Encoder()
    encoded = {
        name: encoder.encode(value, f"{name} of a checkpoint", name)
        for name, value in content.items()
    }
    write_durably(
        path, pack(to_json(encoded), encoder.arrays, "checkpoint"), "checkpoint"
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `write_checkpoint` wrote.

    Raises
    ------
    ModelFileError
        If the file is not a whole checkpoint, or of a newer format.
    OSError
        If it cannot be read.
    """
    with opened(path, "checkpoint") as (description, arrays):
        try:
            decoder = Decoder(arrays)
            content = decoder.named(from_json(description), 0)
            decoder.check_all_used()
        except Exception as error:
            raise ModelFileError(f"{path} is no checkpoint: {error}.") from error
    return content
