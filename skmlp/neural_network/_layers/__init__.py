"""How a network looks from outside: layers, names, shapes, costs, arrays."""
