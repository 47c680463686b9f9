"""`report`: every stored run on one HTML page that needs no network.

``python -m benchmarks report --out PAGE.html`` reads the committed records, or those in
the folders it is given, and writes a page that opens from disk.

* ``_runs``: records as runs; what an older or a damaged record lacks is None.
* ``_tasks``: runs that belong together, by experiment and data, and their models.
* ``_axes``: from figures to places in a drawing, with ticks.
* ``_plots``: what is drawn where; the templates only write it down as SVG.
* ``_images``: weights, filters and confusion matrices as small PNG.
* ``_page``: the page, from ``templates``.

Everything is drawn here, in Python. The page's script only sorts, filters, shows and
hides; what a single run's dialog holds is written beforehand too, and lies compressed
in the page until somebody opens it.
"""
