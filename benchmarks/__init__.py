"""Measured comparisons: experiments are data, and tables read stored records.

``python -m benchmarks`` compares softmax regression, MLPs and CNNs on
scikit-learn's digits. ``python -m benchmarks --list`` names every experiment.

Terms:

* An experiment is plain data: models by their public names with parameters, the
  preprocessing, the validation set, the tables and pictures. Its `runner` makes the
  records. Its `layout` makes the table. A new experiment needs a definition in
  ``experiments`` and one line in the registry.
* A run is one model that is fitted with one seed. When it ends, its record is appended
  as one JSON line to ``OUT/EXPERIMENT-DATASET-TRAINSIZE.jsonl``. Nothing is rewritten:
  the last record of a model and seed counts.
* ``OUT`` is ``skmlp-results`` in the working directory, which hides itself from git.
  The committed records in ``benchmarks/results`` change only with
  ``--out benchmarks/results``.
* Tables and pictures are made from stored records alone. ``--tables`` prints the tables
  of the committed records, or of ``--out``, and runs nothing. With ``--markdown`` these
  tables are the page ``benchmarks/results/README.md``. ``report`` makes an HTML page.
* ``--quick`` is a trial with a few hundred samples and two epochs. Its data come with
  scikit-learn by default. ``all --quick`` tries everything on any machine. Its figures
  mean nothing.

Sub-packages. A sub-package imports only from the ones above it:

* ``definitions``: what an experiment, a model and a request are.
* ``experiments``: the definitions of all experiments, and their registry.
* ``data``: data sets by name or path.
* ``result_store``: the stored records.
* ``running``: runners, which fit models and yield records.
* ``tables``: tables and pictures of stored records.
* ``speed``, ``search``: two programs with measurements and tables of their own.
* ``report``: the HTML page.
* ``command_line``: options, and what one command does.
* ``pictures``: every display of skmlp, drawn for small models.
"""
