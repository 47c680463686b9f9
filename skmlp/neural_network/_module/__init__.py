"""The modules of users: how they are built, checked and described.

- `building`: calls the user's class with its arguments and the sizes of the data.
- `first_batch`: calls a new module with a few samples, and explains what is wrong.
- `estimator`: the part that `TorchClassifier` and `TorchRegressor` share.
"""
