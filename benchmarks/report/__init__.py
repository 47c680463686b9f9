"""`report`: every stored run on one HTML page that needs no network.

``python -m benchmarks report --out PAGE.html`` reads the committed records, or the
records in the given folders. It writes a page that opens from disk.

* ``stored_runs``: records as runs. A field that an old or damaged record lacks is None.
* ``task_groups``: runs of the same experiment and data, grouped by model.
* ``plot_axes``: from values to positions in a drawing, with ticks.
* ``plots``: the coordinates of all drawings. The templates write them as SVG.
* ``png_images``: weights, filters and confusion matrices as small PNG images.
* ``html_page``: the page, from ``templates``.

Everything is drawn in Python. The page's script only sorts, filters, shows and hides.
The dialogs of the runs are also written in advance. They are stored compressed in the
page until somebody opens one.
"""
