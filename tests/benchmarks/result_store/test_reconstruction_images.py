"""Images with one byte per pixel."""

import json

import numpy as np

from benchmarks.result_store.reconstruction_images import decode, encode


def test_pixels_are_rounded_to_bytes_and_clipped():
    samples = np.array([[0.0, 1.0, 0.5, -0.2], [1.3, 0.1, 0.2, 0.3]])
    stored = json.loads(json.dumps(encode(samples, (2, 2))))
    assert decode(stored).tolist() == [[[0, 255], [128, 0]], [[255, 26], [51, 76]]]
    assert stored["shape"] == [2, 2, 2]
