"""Measured comparisons: experiments are data, runs are records, tables read records.

``python -m benchmarks`` compares softmax regression, MLPs and CNNs on
scikit-learn's digits; ``python -m benchmarks --list`` names every experiment.

* An experiment (``benchmarks/experiments``) is data: models by their public names
  with parameters, the preprocessing, the validation rows, what is watched, which
  figures and pictures come of it. A new one is a new definition and one line in the
  registry. Its `runner` makes the records, its `layout` the table.
* A run is one model fitted with one seed. When it ends, its record is appended as one
  JSON line to ``OUT/EXPERIMENT-DATASET-TRAINSIZE.jsonl``; in a file the last record of
  a model and seed counts, so nothing is ever rewritten.
* ``OUT`` is ``skmlp-results`` in the working directory, a folder that hides itself from
  git. The committed records in ``benchmarks/results`` only change on purpose, with
  ``--out benchmarks/results``.
* Tables and pictures are made from stored records alone. Pictures are drawn beside them
  when runs end; ``--tables`` prints the tables of the committed records, or of
  ``--out``, without running anything. With ``--markdown`` they make the page
  ``benchmarks/results/README.md``; ``report`` makes a page of HTML, with every run, its
  curves, confusions and first layer.
* ``--quick`` is a trial of a few hundred rows and two epochs, by default of data that
  come with scikit-learn, so that it needs no download: ``all --quick`` tries
  everything on any machine. Its figures mean nothing.
"""
