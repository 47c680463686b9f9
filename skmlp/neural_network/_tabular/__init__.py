"""Networks for tables. The modules are layers: later ones import earlier ones.

`columns`, `encoder`, `presets`, `members`, `base`, then one module for each estimator.
"""
