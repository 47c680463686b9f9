"""Properties of all augmentations."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from skmlp.augmentation import (
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)

AFFINE = RandomAffine(degrees=30, translate=0.2, scale=(0.8, 1.2), shear=10)
AUGMENTATIONS = [
    AFFINE,
    RandomAffine(degrees=30, interpolation="nearest", fill=0.5),
    RandomAffine(translate=0.5, padding_mode="edge"),
    RandomAffine(scale=(0.5, 2, 0.5, 2), padding_mode="symmetric"),
    RandomCrop(),
    RandomCrop(padding=(1, 3), padding_mode="reflect"),
    RandomCrop(padding=2, padding_mode="symmetric"),
    RandomCrop(padding=2, padding_mode="edge"),
    RandomHorizontalFlip(),
    RandomErasing(ratio=(0.01, 100)),
    GaussianNoise(),
    GaussianNoise(sigma=2, clip=(0, 1)),
    Compose([RandomHorizontalFlip(), GaussianNoise()]),
    Compose([]),
]
IDENTITIES = [
    RandomAffine(),
    RandomAffine(degrees=(0, 0), translate=0, scale=(1, 1, 1, 1), shear=0, fill=3),
    RandomCrop(padding=0),
    RandomHorizontalFlip(p=0),
    RandomErasing(p=0),
    GaussianNoise(sigma=0),
    Compose([]),
    Compose([RandomHorizontalFlip(p=0), RandomErasing(p=0)]),
]
DTYPES = [torch.float32, torch.float64, torch.uint8, torch.float16, torch.bfloat16]

each_augmentation = pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=repr)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def random_images(*shape, dtype=torch.float32, seed=0):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    if dtype == torch.uint8:
        images = (images * 255).round()
    return images.to(dtype)


@given(
    augmentation=st.sampled_from(AUGMENTATIONS),
    shape=st.tuples(*(st.integers(low, 9) for low in (0, 1, 1, 1))),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    seed=st.integers(0, 2**32),
)
def test_shape_and_dtype_stay_and_input_is_not_changed(
    augmentation, shape, dtype, layout, seed
):
    images = random_images(*shape, dtype=dtype).contiguous(memory_format=layout)
    before = images.clone()
    result = augmentation(images, seed)
    assert (result.shape, result.dtype, result.device) == (
        images.shape,
        images.dtype,
        images.device,
    )
    assert torch.isfinite(result).all()
    if len(images):
        assert result.data_ptr() != images.data_ptr()
    assert torch.equal(images, before)


@each_dtype
@pytest.mark.parametrize("augmentation", IDENTITIES, ids=repr)
def test_zero_strength_returns_equal_bits(augmentation, dtype):
    images = random_images(5, 3, 7, 6, dtype=dtype)
    result = augmentation(images, 0)
    assert torch.equal(result, images)
    assert result.data_ptr() != images.data_ptr()


@each_augmentation
def test_seed_determines_the_images(augmentation):
    images = random_images(20, 1, 8, 8)
    same = augmentation(images, 7)
    assert torch.equal(augmentation(images, 7), same)
    assert torch.equal(augmentation(images, torch.Generator().manual_seed(7)), same)
    assert torch.equal(augmentation(images, np.int64(7)), same)
    if augmentation.get_params() != {"transforms": []}:
        assert not torch.equal(augmentation(images, 8), same)


@each_augmentation
def test_generator_is_advanced_by_every_call(augmentation):
    images = random_images(20, 1, 8, 8)
    generator = torch.Generator().manual_seed(0)
    first, second = (augmentation(images, generator) for _ in range(2))
    if augmentation.get_params() != {"transforms": []}:
        assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "generator", [None, 0, torch.Generator()], ids=["none", "seed", "generator"]
)
@each_augmentation
def test_global_generator_of_torch_is_not_used(augmentation, generator):
    state = torch.get_rng_state()
    augmentation(random_images(3, 1, 8, 8), generator)
    assert torch.equal(torch.get_rng_state(), state)


def test_call_without_generator_has_a_random_seed():
    images = random_images(20, 1, 8, 8)
    with torch.random.fork_rng():
        results = []
        for _ in range(2):
            torch.manual_seed(0)
            results.append(GaussianNoise()(images))
    assert not torch.equal(*results)


@each_augmentation
def test_layout_and_float_dtype_do_not_change_the_draws(augmentation):
    images = random_images(10, 3, 8, 6)
    result = augmentation(images, 0)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(augmentation(channels_last, 0), result)
    torch.testing.assert_close(augmentation(images.double(), 0).float(), result)


@pytest.mark.parametrize(
    "augmentation",
    [AFFINE, RandomCrop(), RandomHorizontalFlip(), RandomErasing()],
    ids=repr,
)
def test_uint8_images_equal_rounded_float_images(augmentation):
    images = random_images(10, 3, 8, 8, dtype=torch.uint8)
    expected = augmentation(images.float(), 0).round().to(torch.uint8)
    assert torch.equal(augmentation(images, 0), expected)


@pytest.mark.parametrize(
    "augmentation",
    [
        AFFINE,
        RandomCrop(padding_mode="edge"),
        RandomHorizontalFlip(),
        RandomErasing(p=1),
    ],
    ids=repr,
)
def test_channels_of_an_image_change_equally(augmentation):
    gray = random_images(10, 1, 8, 8)
    color = augmentation(gray.expand(10, 3, 8, 8), 0)
    torch.testing.assert_close(color, augmentation(gray, 0).expand(10, 3, 8, 8))


@pytest.mark.parametrize(
    "augmentation",
    [AFFINE, RandomCrop(), RandomErasing(p=1), GaussianNoise()],
    ids=repr,
)
def test_images_of_a_batch_change_independently(augmentation):
    image = random_images(1, 1, 12, 12)
    results = augmentation(image.expand(8, 1, 12, 12), 0)
    assert len(results.unique(dim=0)) > 4


@each_augmentation
def test_copies_give_equal_images(augmentation):
    images = random_images(10, 1, 8, 8)
    expected = augmentation(images, 0)
    for copy in (
        clone(augmentation),
        pickle.loads(pickle.dumps(augmentation)),
        type(augmentation)(**augmentation.get_params(deep=False)),
    ):
        assert repr(copy) == repr(augmentation)
        assert torch.equal(copy(images, 0), expected)


@each_augmentation
def test_parameters_are_stored_unchanged(augmentation):
    for name, value in augmentation.get_params(deep=False).items():
        assert getattr(augmentation, name) is value


def test_generator_on_another_device_is_refused():
    generator = torch.Generator("cpu")
    with pytest.raises(ValueError, match=r"generator lives on cpu, .* are on meta"):
        GaussianNoise()(torch.empty(1, 1, 2, 2, device="meta"), generator)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((1, 1, 4, 4)), TypeError, r"images is a ndarray.* torch tensor"),
        (torch.zeros(4, 4), ValueError, r"images has shape \(4, 4\).* \(batch, chan"),
        (torch.zeros(1, 1, 4, 0), ValueError, r"images has shape \(1, 1, 4, 0\)"),
        (
            torch.zeros(1, 1, 4, 4).long(),
            TypeError,
            "images has dtype torch.int64",
        ),
        (torch.zeros(1, 1, 4, 4).bool(), TypeError, "images has dtype torch.bool"),
    ],
    ids=["array", "one image", "no pixel", "integers", "booleans"],
)
@each_augmentation
def test_invalid_images_are_refused(augmentation, images, error, message):
    with pytest.raises(error, match=message):
        augmentation(images, 0)


@pytest.mark.parametrize(
    "generator",
    [True, "0", 0.5, np.random.RandomState(0)],
    ids=["bool", "str", "float", "numpy"],
)
def test_invalid_generator_is_refused(generator):
    with pytest.raises(TypeError, match=f"generator is a {type(generator).__name__}"):
        GaussianNoise()(torch.zeros(1, 1, 4, 4), generator)


@pytest.mark.cuda
@each_augmentation
def test_result_on_a_gpu_is_reproducible(augmentation):
    images = random_images(5, 3, 8, 8).cuda()
    generator = torch.Generator("cuda")
    result = augmentation(images, generator.manual_seed(0))
    assert result.device == images.device
    assert torch.equal(augmentation(images, generator.manual_seed(0)), result)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (RandomCrop(4), r"^padding=4 was given to RandomCrop; give \(4, 0\), because"),
        (
            RandomAffine(degrees=5),
            "^degrees=5 .* give 0, because signals have no height",
        ),
        (RandomAffine(translate=0.2), r"^translate=0\.2 .* give \(0\.2, 0\), because"),
        (RandomAffine(shear=5), "^shear=5 .* give None, because signals"),
        (Compose([RandomCrop((2, 1))]), r"give \(2, 0\), because signals"),
        (Compose([RandomCrop((-2, 0))]), "a whole number of at least 0"),
    ],
    ids=repr,
)
def test_vertical_changes_are_refused_for_signals(augmentation, message):
    with pytest.raises(ValueError, match=message):
        augmentation.validate_for_signals()


@pytest.mark.parametrize(
    "augmentation",
    [
        RandomCrop((4, 0)),
        RandomAffine(translate=(0.2, 0), scale=(0.5, 2)),
        RandomErasing(p=1.0),
        RandomHorizontalFlip(),
        GaussianNoise(),
        Compose([RandomCrop((4, 0)), GaussianNoise()]),
    ],
    ids=repr,
)
def test_horizontal_changes_are_valid_for_signals(augmentation):
    augmentation.validate_for_signals()
    signals = torch.ones(5, 3, 1, 200)
    assert augmentation(signals, 0).shape == signals.shape
