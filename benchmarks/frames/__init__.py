"""`tables`: the estimators for tables, compared with peers on tables and CSV files.

Rules of the comparison:

- No choice was made by test rows of the data sets in `package_tables.JUDGED`. They
  were used to judge only.
- Most defaults of `TabularClassifier` and `TabularRegressor` are the published ones of
  RealMLP, TabM and the papers on embeddings. Other rows than the training rows of the
  data sets in `package_tables.DEVELOPMENT` decided about these: members with periodic
  functions and with bins, numbers of members and epochs, the patience, and the learning
  rate of the regressor. They were compared at 2,500 training rows.
- All contestants take turns on the same splits, on one thread. With `--resume`, those
  that are stored do not.
"""
