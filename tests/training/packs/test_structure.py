"""Networks with equal structure keys fit into one pack."""

import torch

from skmlp.training.modules.convolution import build_cnn
from skmlp.training.packs.structure import max_patch_values, pack_structure


def test_pool_padding_is_in_the_key():
    pooled = {
        "pool": "avg",
        "pool_size": 3,
        "head": "global_average",
        "conv_channels": 4,
    }
    structures = [
        pack_structure(build_cnn((8, 8, 1), 2, pool_padding=padding, **pooled))
        for padding in ("same", "valid")
    ]
    assert structures[0].key != structures[1].key


def test_perceptrons_have_no_image_layers():
    network = build_cnn((8, 8, 1), 3)
    images, dense, embedding = pack_structure(network)
    assert len(images) + 3 == len(network)  # dense1, its activation, output
    assert len(dense) == 2
    assert embedding is None
    assert pack_structure(torch.nn.Sequential(*network[-3:])).image_layers == []


def test_max_patch_values_belong_to_the_largest_convolution():
    network = build_cnn((8, 8, 2), 3, conv_channels=(5, 6), kernel_size=3)
    assert max_patch_values(network, 128) == max(3 * 3 * 2 * 64, 3 * 3 * 5 * 16)
    assert max_patch_values(network[-3:], 128) == 0
