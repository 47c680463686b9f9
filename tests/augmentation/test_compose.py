"""Compose: order of the members, their generator, and their names."""

import pickle

import pytest
import torch
from sklearn.base import clone

from skmlp.augmentation import Compose, GaussianNoise, RandomCrop, RandomHorizontalFlip


def halve(images, generator):
    return images / 2


def add_one(images, generator):
    return images + 1


def test_members_are_applied_in_their_order():
    images = torch.rand(2, 1, 3, 3)
    assert torch.equal(Compose([halve, add_one])(images), images / 2 + 1)
    assert torch.equal(Compose((add_one, halve))(images), (images + 1) / 2)


def test_members_share_one_generator():
    images = torch.rand(10, 1, 6, 6)
    crop, noise = RandomCrop(2), GaussianNoise(0.1)
    generator = torch.Generator().manual_seed(3)
    expected = noise(crop(images, generator), generator)
    assert torch.equal(Compose([crop, noise])(images, 3), expected)
    assert torch.equal(Compose([Compose([crop]), noise])(images, 3), expected)


def test_equal_members_draw_differently():
    twice = Compose([GaussianNoise(1), GaussianNoise(1)])(torch.zeros(20, 1, 9, 9), 0)
    assert abs(twice.std() - 2**0.5) < 5 * 2**0.5 / (2 * 20 * 81) ** 0.5


def test_members_have_the_names_of_make_pipeline():
    compose = Compose([GaussianNoise(1), RandomCrop(), halve, GaussianNoise(2)])
    params = compose.get_params()
    assert params["gaussiannoise-1__sigma"] == 1
    assert params["gaussiannoise-2__sigma"] == 2
    assert params["randomcrop__padding"] == 4
    assert params["randomcrop"] is compose.transforms[1]
    assert set(compose.get_params(deep=False)) == {"transforms"}


def test_members_can_be_set_changed_and_replaced():
    first = [RandomHorizontalFlip(), RandomCrop()]
    compose = Compose(first)
    compose.set_params(randomcrop__padding=2, randomhorizontalflip__p=1)
    assert (first[1].padding, first[0].p) == (2, 1)
    noise = GaussianNoise()
    assert compose.set_params(randomcrop=noise, gaussiannoise__sigma=3) is compose
    assert compose.transforms == [first[0], noise]
    assert noise.sigma == 3
    assert isinstance(first[1], RandomCrop)  # the caller's list is not changed
    compose.set_params(transforms=[halve])
    assert compose.transforms == [halve]


def test_one_of_two_equal_members_can_be_replaced():
    flip = RandomHorizontalFlip()
    compose = Compose([flip, flip])
    compose.set_params(**{"randomhorizontalflip-2": halve})
    assert compose.transforms == [flip, halve]


def test_unknown_parameter_name_is_refused():
    with pytest.raises(ValueError, match="Invalid parameter 'crop'"):
        Compose([RandomCrop()]).set_params(crop__padding=2)


def test_nested_members_have_nested_names():
    compose = Compose([Compose([GaussianNoise(1)])])
    compose.set_params(compose__gaussiannoise__sigma=5)
    assert compose.get_params()["compose__gaussiannoise__sigma"] == 5


def test_clone_has_its_own_members():
    compose = Compose([RandomCrop(1), halve])
    copy = clone(compose).set_params(randomcrop__padding=3)
    assert compose.transforms[0].padding == 1
    assert copy.transforms[1] is halve


def test_pickled_compose_gives_equal_images():
    compose = Compose([RandomCrop(1), halve, GaussianNoise(1)])
    images = torch.rand(5, 1, 4, 4)
    copy = pickle.loads(pickle.dumps(compose))
    assert torch.equal(copy(images, 0), compose(images, 0))


def test_validate_checks_the_members():
    with pytest.raises(ValueError, match=r"sigma=-1 was given to GaussianNoise"):
        Compose([halve, Compose([GaussianNoise(-1)])]).validate()
