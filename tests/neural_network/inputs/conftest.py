"""A callback that shows whether training began."""

import pytest
from skorch.callbacks import Callback


class Alarm(Callback):
    """Raise `Trained` when training begins."""

    class Trained(Exception):
        """Training began."""

    def on_train_begin(self, net, **kwargs):
        raise self.Trained


@pytest.fixture(scope="session")
def alarm():
    """Callback that raises `alarm.Trained` when training begins."""
    return Alarm()
