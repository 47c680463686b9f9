"""The parameters of ensembles, in the form of the shared parameters of networks."""

import os
from numbers import Integral

from skmlp._sklearn_compat import HasMethods, Interval, StrOptions
from skmlp.neural_network._base.parameters import Parameter


def ensemble_parameters(
    kind: str, default: str, predict: str, also: str
) -> dict[str, Parameter]:
    """Return the descriptions of all parameters.

    Parameters
    ----------
    kind : str
        'classifier' or 'regressor'.
    default : str
        Name of the network that replaces None.
    predict : str
        Method whose results are averaged.
    also : str
        What else follows from training all members on all samples with weights; the
        beginning of a sentence, or nothing.
    """
    return {
        "estimator": Parameter(
            f"{kind} or None, default=None",
            "The estimator to train several times: a network, or a `Pipeline` that "
            f"ends in one. None is ``{default}()``. For each member it is cloned, and "
            "every `random_state` parameter is set to a seed of the member.",
            [HasMethods(["fit", predict]), None],
        ),
        "n_estimators": Parameter(
            "int, default=5",
            "Number of members.",
            [Interval(Integral, 1, None, closed="left")],
        ),
        "bootstrap": Parameter(
            "bool, default=False",
            "Whether each member is trained on a bootstrap sample: n_samples samples "
            "that are drawn from X with replacement. Each member receives all samples. "
            "The weight of a sample is the number of times it was drawn, which may be "
            f"0. So {also}no sample is in both the training set and the "
            "validation set of ``early_stopping``.",
            ["boolean"],
        ),
        "random_state": Parameter(
            "int, RandomState instance or None, default=None",
            "Generates the seeds of the members and the bootstrap samples. An int "
            "gives the same ensemble in every call.",
            ["random_state"],
        ),
        "n_jobs": Parameter(
            "int or None, default=None",
            "Number of members that are trained at the same time; -1 is one for each "
            "processor.\n\n"
            "- With an int each member uses one thread. The ensemble is the same to\n"
            "  the bit for any number.\n"
            "- With None, and without :obj:`joblib.parallel_config`, small networks\n"
            "  are trained together in a pack, as in `PackedGridSearchCV`. Other\n"
            "  networks are trained one after the other with all threads of torch.\n"
            "  The last bits may then differ from a fit with an int.",
            [Integral, None],
        ),
        "checkpoint": Parameter(
            "str, path-like or None, default=None",
            f"Folder with one checkpoint file for each member; see `{default}`. An "
            "interrupted fit continues from these files, with the result of an "
            "uninterrupted fit. Finished members are not trained again. `n_estimators` "
            "may be larger than in the interrupted fit. It needs a `random_state`. "
            "Members are trained one by one, not in a pack. `partial_fit` ignores it.",
            [str, os.PathLike, None],
        ),
        "validation": Parameter(
            "{'folds'} or None, default=None",
            "With 'folds', the samples are divided into as many parts as there are "
            "members, and each member is validated on another part. Members that train "
            "in a pack keep the weights of the same epoch: the one with the highest "
            "mean score. Needs a network as `estimator`.",
            [StrOptions({"folds"}), None],
        ),
    }
