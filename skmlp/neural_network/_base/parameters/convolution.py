"""The parameters of convolutional networks."""

from numbers import Integral

from skmlp._sklearn_compat import Options, StrOptions
from skmlp.neural_network._base.parameters.architecture import ARCHITECTURE
from skmlp.neural_network._base.parameters.constraints import (
    FROM_0_BELOW_1,
    POSITIVE_INT,
    Parameter,
)

_POSITIVE_INTS = [POSITIVE_INT, "array-like"]
_SIZES_TYPE = "int or array-like of int or of (height, width), default="

CONVOLUTION: dict[str, Parameter] = {
    "hidden_layer_sizes": ARCHITECTURE["hidden_layer_sizes"]._replace(
        type="int or array-like of int, default=(128,)"
    ),
    "conv_channels": Parameter(
        "int or array-like of int, default=(32, 64)",
        "Number of filters of every convolution.",
        _POSITIVE_INTS,
    ),
    "kernel_size": Parameter(
        f"{_SIZES_TYPE}3",
        "Height and width of the filters.\n\n"
        "- A number is the side of all filters, which are squares.\n"
        "- Several entries are the sizes of one convolution each. ``(3, 5)`` means\n"
        "  3 x 3 in the first convolution and 5 x 5 in the second.\n"
        "- An entry may be a pair of height and width. ``((3, 5), (3, 3))`` means a\n"
        "  height of 3 and a width of 5 in the first convolution.\n"
        "- With ``conv_dims=1``, sizes are numbers of steps, and there are no pairs.",
        _POSITIVE_INTS,
    ),
    "conv_strides": Parameter(
        f"{_SIZES_TYPE}1",
        "Strides of the convolutions, in the form of `kernel_size`.",
        _POSITIVE_INTS,
    ),
    "padding": Parameter(
        "{'same', 'valid'}, default='same'",
        "Padding of the convolutions, as in Keras: 'same' gives outputs of size "
        "``ceil(size / stride)``, 'valid' uses complete windows only.",
        [StrOptions({"same", "valid"})],
    ),
    "pool": Parameter(
        "{'max', 'avg'}, None or array-like of these, default='max'",
        "Pooling after every convolution.",
        [StrOptions({"max", "avg"}), None, "array-like"],
    ),
    "pool_size": Parameter(
        f"{_SIZES_TYPE}2",
        "Height and width of the pooling windows, which do not overlap, in the form of "
        "`kernel_size`.",
        _POSITIVE_INTS,
    ),
    "pool_padding": Parameter(
        "{'same', 'valid'} or None, default=None",
        "Padding of the pooling: 'same' uses incomplete windows, 'valid' drops them. "
        "None is the value of `padding`.",
        [StrOptions({"same", "valid"}), None],
    ),
    "conv_dropout": Parameter(
        "float or array-like of float, default=0.0",
        "Probability to drop an output of a convolution. One value for all "
        "convolutions, or one for each.",
        [FROM_0_BELOW_1, "array-like"],
    ),
    "channel_dropout": Parameter(
        "bool, default=False",
        "Whether `conv_dropout` drops whole channels.",
        ["boolean"],
    ),
    "block": Parameter(
        "{'plain', 'residual'}, default='plain'",
        "With 'residual', every entry of `conv_channels` except the first is a block "
        "of two convolutions with a shortcut (He et al. 2015, arXiv:1512.03385).",
        [StrOptions({"plain", "residual"})],
    ),
    "head": Parameter(
        "{'dense', 'global_average'}, default='dense'",
        "Input of the dense layers: all values of the last feature maps, or the mean "
        "of each map.",
        [StrOptions({"dense", "global_average"})],
    ),
    "predict_augmentation": Parameter(
        "callable or None, default=None",
        "Test-time augmentation, called like `augmentation` with the images to "
        "predict. Logits are averaged over the original images and `predict_views` "
        "changed copies. The seeds are fixed, so the same X gives the same result in "
        "every call. The random changes of a sample depend on its row number in X, "
        "so predictions of a subset of X may differ.",
        [callable, None],
    ),
    "predict_views": Parameter(
        "int, default=8",
        "Number of copies for `predict_augmentation`.",
        [POSITIVE_INT],
    ),
    "image_shape": Parameter(
        "tuple of int or 'auto', default='auto'",
        "Height, width and (if not 1) channels of the images in flat samples. With "
        "``conv_dims=1``, length and (if not 1) channels of the signals. 'auto' is the "
        "shape in X if X holds images or signals. For flat samples it is the first "
        "shape that fits the number of features: a square gray image, a square image "
        "of three channels, or one line of pixels. With ``conv_dims=1``, a flat sample "
        "is a signal of one channel. If 'auto' may be a mistake, `fit` warns with a "
        "`skmlp.exceptions.DataShapeWarning`.",
        [StrOptions({"auto"}), "array-like"],
    ),
    "conv_dims": Parameter(
        "{1, 2}, default=2",
        "Dimensions of the convolutions: 2 for images of shape (n_samples, height, "
        "width[, channels]), 1 for signals of shape (n_samples, length[, channels]). "
        "An augmentation gets signals as images of height 1.",
        [Options(Integral, {1, 2})],
    ),
}
