"""Fingerprints of everything that is called: code, defaults, and what it reads."""

import importlib
import logging
import subprocess
import sys
import textwrap
import threading
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.storage.fingerprints import fingerprint, fingerprint_class

# Convolutions are fitted to tables of four columns.
pytestmark = pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning")

# Every value is made by a program in a new module, as a user writes it. Two programs
# that mean the same must give equal fingerprints, any other two must not.
SAME = {
    "lines and comments": ("f = lambda x: x", "# moved\n\n\nf = (lambda x: x)"),
    "definition": ("def f(x):\n  return x + 1", "def f(x):\n\n  # why\n  return x + 1"),
    "unused global": ("A = 1\nf = lambda x: x", "A = 2\nf = lambda x: x"),
    "own state": (
        "N = 0\ndef f(x):\n  global N\n  N += 1\n  return x",
        "N = 7\ndef f(x):\n  global N\n  N += 1\n  return x",
    ),
    "set": ("f = lambda x: x in {'a', 'b', 'c'}", "f = lambda x: x in {'c', 'b', 'a'}"),
    "decorator": (
        "import functools\n@functools.lru_cache\ndef f(x):\n  return x",
        "from functools import lru_cache\n@lru_cache\ndef f(x):\n  return x",
    ),
}

CHANGED = {
    "constant": "f = lambda x: {}",
    "operation": "f = lambda x: x {} 3",
    "name": "f = lambda x: x.{}",
    "default": "f = lambda x, y={}: y",
    "keyword default": "f = lambda x, *, y={}: y",
    "closure": "f = (lambda y: lambda x: y)({})",
    "closure of a container": "f = (lambda y: lambda x: y)([{{'a': ({},)}}])",
    "closure of a function": "f = (lambda y: lambda x: y(x))(lambda x: {})",
    "closure of an array": "import numpy\nf = (lambda y: lambda x: y)(numpy.r_[{}])",
    "closure of an object": (
        "import types\nf = (lambda y: lambda x: y)(types.SimpleNamespace(a={}))"
    ),
    "global": "A = {}\nf = lambda x: x + A",
    "global container": "A = {{'a': [{}]}}\nf = lambda x: x + A['a'][0]",
    "global array": "import numpy\nA = numpy.arange({})\nf = lambda x: x + A",
    "global function": "def g(x):\n  return {}\nf = lambda x: g(x)",
    "global class": "class A:\n  b = {}\nf = lambda x: A.b",
    "global partial": (
        "from functools import partial\nA = partial(max, {})\nf = lambda x: A(x)"
    ),
    "global of an inner function": "A = {}\nf = lambda x: lambda y: x + A",
    "inner function": "f = lambda x: [(lambda: y + {})() for y in x]",
    "function of a function of a function": (
        "h = lambda x: {}\ng = lambda x: h(x)\nf = lambda x: g(x)"
    ),
    "recursive function": "def f(x):\n  return f(x - {})",
    "functions that call each other": (
        "def f(x):\n  return g(x)\ndef g(x):\n  return f(x - {})"
    ),
    "exception": ("def f(x):\n  try:\n    return x / 2\n  except {}:\n    return 0"),
    "partial": "from functools import partial\nf = partial(lambda x, y: y, y={})",
    "function of a partial": (
        "from functools import partial\nf = partial(lambda x: {})"
    ),
    "decorated": (
        "import functools\ndef d(g):\n  @functools.wraps(g)\n"
        "  def w(x):\n    return g(x)\n  return w\n@d\ndef f(x):\n  return {}"
    ),
    "decorator": (
        "import functools\ndef d(g):\n  @functools.wraps(g)\n"
        "  def w(x):\n    return g(x) + {}\n  return w\n@d\ndef f(x):\n  return x"
    ),
    "wrapper of a function of a library": (
        "import functools\nfrom sklearn.metrics import f1_score\n"
        "@functools.wraps(f1_score)\ndef f(*a):\n  return f1_score(*a) + {}"
    ),
    "cached": "import functools\n@functools.cache\ndef f(x):\n  return {}",
    "call of an instance": "class A:\n  def __call__(self, x):\n    return {}\nf = A()",
    "method that an instance calls": (
        "class A:\n  def __call__(self, x):\n    return self.g()\n"
        "  def g(self):\n    return {}\nf = A()"
    ),
    "inherited method": (
        "class B:\n  def __call__(self, x):\n    return {}\n"
        "class A(B):\n  pass\nf = A()"
    ),
    "class attribute": (
        "class A:\n  c = {}\n  def __call__(self, x):\n    return self.c\nf = A()"
    ),
    "property": (
        "class A:\n  @property\n  def c(self):\n    return {}\n"
        "  def __call__(self, x):\n    return self.c\nf = A()"
    ),
    "instance attribute": (
        "class A:\n  def __init__(self, c):\n    self.c = c\n"
        "  def __call__(self, x):\n    return self.c\nf = A({})"
    ),
    "bound method": "class A:\n  def g(self, x):\n    return {}\nf = A().g",
    "object of a bound method": (
        "class A:\n  def __init__(self, c):\n    self.c = c\n"
        "  def g(self, x):\n    return self.c\nf = A({}).g"
    ),
    "class method": "class A:\n  @classmethod\n  def g(cls):\n    return {}\nf = A.g",
    "static method": "class A:\n  @staticmethod\n  def g(x):\n    return {}\nf = A.g",
    "scorer": (
        "from sklearn.metrics import make_scorer\nf = make_scorer(lambda a, b: {})"
    ),
    "transformer of a function": (
        "from sklearn.preprocessing import FunctionTransformer\n"
        "f = FunctionTransformer(lambda X: X * {})"
    ),
    "transformer of the user": (
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        "class A(TransformerMixin, BaseEstimator):\n  def fit(self, X, y=None):\n"
        "    return self\n  def transform(self, X):\n    return X * {}\nf = A()"
    ),
    "torch module": (
        "from torch import nn\nclass A(nn.Module):\n  def forward(self, x):\n"
        "    return x * {}\nf = A()"
    ),
    "weights of a torch module": (
        "from torch import nn\nf = nn.Linear(1, 1, bias=False)\n"
        "nn.init.constant_(f.weight, {})"
    ),
    "vectorized function": "import numpy\nf = numpy.vectorize(lambda x: x + {})",
    "object with a lock": (
        "import threading\nclass A:\n  lock = threading.Lock()\n"
        "  def __call__(self, x):\n    return {}\nf = A()"
    ),
}
VALUES = {
    "operation": ("+", "-"),
    "name": ("sum", "max"),
    "exception": ("TypeError", "ValueError"),
}


def run(program):
    """Return the value that a program calls `f`."""
    namespace = {"__name__": "a_user_module"}
    exec(program, namespace)
    return namespace["f"]


@pytest.mark.parametrize("kind", SAME)
def test_equal_code_has_equal_fingerprints(kind):
    one, two = SAME[kind]
    assert fingerprint(run(one)) == fingerprint(run(two))


@pytest.mark.parametrize("kind", CHANGED)
def test_changed_code_or_value_changes_the_fingerprint(kind):
    one, two = VALUES.get(kind, (1, 2))
    first = fingerprint(run(CHANGED[kind].format(one)))
    assert first == fingerprint(run(CHANGED[kind].format(one)))
    assert first != fingerprint(run(CHANGED[kind].format(two)))
    assert len(first) < 200


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import user_code
from skmlp.storage.fingerprints import fingerprint
print([fingerprint(value) for value in user_code.VALUES])
"""

USER_CODE = """
import functools, logging, threading
import numpy as np
import other_user_code
from other_user_code import helper
from sklearn.metrics import make_scorer

LOG = logging.getLogger("user")
WORDS = frozenset({"a", "b", "c", "d"})

def close_over(value):
    def f(x):
        LOG.info("called")
        return helper(x) + other_user_code.helper(value) + (x in {"p", "q", "r"})
    return f

class Scorer:
    weights = np.arange(3)
    def __call__(self, estimator, X, y):
        return sum(self.weights) if WORDS else [f for f in map(close_over, X)]

VALUES = [
    close_over(1), close_over({"a", "b", "c"}), close_over(LOG), Scorer(), Scorer,
    close_over(threading.Lock()), functools.partial(close_over(1), x=3),
    lambda x, *y, z=np.float32(3), **k: LOG, make_scorer(helper), Scorer().__call__,
]
"""


@pytest.fixture
def user_code(tmp_path, monkeypatch):
    (tmp_path / "user_code.py").write_text(USER_CODE)
    (tmp_path / "other_user_code.py").write_text("def helper(x):\n    return 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("user_code", "other_user_code"):
        sys.modules.pop(name, None)


def import_user_code():
    for name in ("user_code", "other_user_code"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module("user_code").VALUES


def test_imported_functions_have_equal_fingerprints_in_another_process(user_code):
    fingerprints = [fingerprint(value) for value in import_user_code()]
    command = [sys.executable, "-c", PROGRAM, str(user_code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(fingerprints)
    assert len(set(fingerprints)) == len(fingerprints)


def test_functions_that_are_imported_again_have_equal_fingerprints(user_code):
    first, second = import_user_code(), import_user_code()
    assert first[3].__class__ is not second[3].__class__
    assert list(map(fingerprint, first)) == list(map(fingerprint, second))


def test_changed_function_of_another_module_changes_the_fingerprint(user_code):
    before = list(map(fingerprint, import_user_code()))
    (user_code / "other_user_code.py").write_text("def helper(x):\n    return 4444\n")
    after = list(map(fingerprint, import_user_code()))
    pairs = zip(before, after, strict=True)
    changed = [i for i, (old, new) in enumerate(pairs) if old != new]
    assert changed == [0, 1, 2, 3, 4, 5, 6, 8, 9]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (f1_score, "sklearn.metrics._classification.f1_score"),
        (np.linalg.norm, "numpy.linalg.norm"),
        (len, "builtins.len"),
        (textwrap.dedent, "textwrap.dedent"),
        (np.float64, "numpy.float64"),
        (MLPClassifier, "skmlp.neural_network._mlp.MLPClassifier"),
    ],
)
def test_function_of_a_library_is_identified_by_its_name(function, name):
    assert fingerprint(function) == name


def test_state_of_loggers_and_locks_is_ignored():
    logger = logging.getLogger("of a test")

    lock = threading.Lock()

    def f(x):
        return logger, lock

    before = fingerprint(f)
    logger.addHandler(logging.NullHandler())
    logging.getLogger("of a test.below")
    assert fingerprint(f) == before


def test_function_with_an_unset_variable_has_a_fingerprint():
    def f():
        return later

    before = fingerprint(f)
    later = 3
    assert fingerprint(f) != before


@given(st.recursive(st.integers() | st.text(), st.lists, max_leaves=5), st.data())
def test_closures_are_equal_if_their_values_are(value, data):
    def close_over(value):
        return lambda: value

    other = data.draw(st.just(value) | st.lists(st.integers()))
    equal = fingerprint(close_over(value)) == fingerprint(close_over(other))
    assert equal == (fingerprint(value) == fingerprint(other))


def test_tensors_with_gradients_have_fingerprints():
    one = torch.arange(3.0, requires_grad=True)
    assert fingerprint(one) == fingerprint(torch.arange(3.0))


def test_code_of_subclasses_counts():
    def make_class(constant):
        class Network(MLPClassifier):
            def predict(self, X):
                return constant

        return Network

    assert fingerprint_class(MLPClassifier) == "MLPClassifier"
    assert fingerprint_class(make_class(1)) == fingerprint_class(make_class(1))
    assert fingerprint_class(make_class(1)) != fingerprint_class(make_class(2))


# Checkpoints


X, Y = load_iris(return_X_y=True)
FEW = {"max_iter": 2, "random_state": 0}


def constant_scorer(value):
    return lambda estimator, X, y: value


def add(value):
    return lambda batch, generator=None: batch + value


def fit_network(cls, path, make, value, **params):
    model = cls(checkpoint=path, **FEW, **params, **make(value))
    target = Y if "Classifier" in cls.__name__ or "Softmax" in cls.__name__ else X[:, 0]
    model.fit(X, target)


def scoring(value):
    return {"scoring": constant_scorer(value), "early_stopping": True}


def augmentation(value):
    return {"augmentation": add(value)}


def fit_ensemble(path, value):
    network = MLPClassifier((3,), **FEW, **scoring(value))
    EnsembleClassifier(network, 2, random_state=0, checkpoint=path).fit(X, Y)


def fit_search(path, value, where):
    function = add(value) if where == "step" else None
    pipeline = make_pipeline(FunctionTransformer(function), MLPClassifier((3,), **FEW))
    metric = constant_scorer(value) if where == "scoring" else None
    grid = {"mlpclassifier__alpha": [0.0, 0.1]}
    search = PackedGridSearchCV(pipeline, grid, cv=2, scoring=metric, checkpoint=path)
    search.fit(X, Y)


FITS = {
    "mlp scoring": partial(fit_network, MLPClassifier, make=scoring),
    "mlp augmentation": partial(fit_network, MLPClassifier, make=augmentation),
    "softmax": partial(fit_network, SoftmaxRegression, make=scoring),
    "regressor": partial(fit_network, MLPRegressor, make=scoring),
    "cnn": partial(fit_network, CNNClassifier, make=augmentation, conv_channels=(2,)),
    "ensemble": fit_ensemble,
    "search scoring": partial(fit_search, where="scoring"),
    "search step": partial(fit_search, where="step"),
}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_checkpoint_of_another_function_is_refused(name, tmp_path):
    path = tmp_path / "checkpoint"
    FITS[name](path=path, value=0.25)
    FITS[name](path=path, value=0.25)  # the same code, made again
    with pytest.raises(ValueError, match=r"is of another fit: .*(lambda|#)"):
        FITS[name](path=path, value=0.5)


class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return 2 * X


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_search_with_changed_code_of_a_step_is_refused(tmp_path, monkeypatch):
    def fit():
        pipeline = make_pipeline(Doubled(), MLPClassifier((3,), **FEW))
        grid = {"mlpclassifier__alpha": [0.0, 0.1]}
        path = tmp_path / "search"
        PackedGridSearchCV(pipeline, grid, cv=2, checkpoint=path).fit(X, Y)

    fit()
    fit()
    monkeypatch.setattr(Doubled, "transform", lambda self, X: 3 * X)
    with pytest.raises(ValueError, match=r"is of another fit: .*doubled"):
        fit()
