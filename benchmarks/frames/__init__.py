"""`tables`: the estimators for tables, compared with peers on tables and CSV files.

Rules of the comparison:

- No choice was made by test rows. The defaults of `TabularClassifier` and
  `TabularRegressor` are the published ones of RealMLP, TabM and the papers on
  embeddings. Those that were chosen among were chosen by validation rows within the
  training rows of the data sets in `package_tables.DEVELOPMENT`.
- The data sets in `package_tables.JUDGED` were used to judge only.
- All contestants take turns on the same splits, on one thread.
"""
