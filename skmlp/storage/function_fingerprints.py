"""What identifies a function or a class in a fingerprint: its code and what it reads.

A function of an installed package is identified by its name. Any other function is
identified by its name and by

- its bytecode, constants and names, also of the functions inside it,
- its defaults, and the values of the variables of enclosing functions,
- the values of the global variables that it reads, and the attributes that it reads
  from modules that are not installed.

File names and line numbers do not count. Variables that the function assigns itself are
its state, and do not count either. Bytecode depends on the version of Python.
"""

import dis
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

# The folders of installed packages. Debian's have another name than Python's.
_PACKAGE_FOLDERS = frozenset({"site-packages", "dist-packages"})

_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_FUNCTIONS = (FunctionType, classmethod, staticmethod, property)


class Variable(NamedTuple):
    """A variable that a function reads, or a member of a class."""

    name: str
    value: Any
    is_enclosed: bool = False  # whether it belongs to an enclosing function


def name_of(value: Any) -> str:
    """Return the module and the name of a class or function."""
    module = getattr(value, "__module__", None) or ""
    if module == "__mp_main__":  # the main module in a process that joblib started
        module = "__main__"
    return f"{module}.{value.__qualname__}"


def is_installed(value: Any) -> bool:
    """Return whether a class or function can be imported from an installed package."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or not _is_installed_module(module):
        return False
    found: Any = sys.modules.get(module)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


@cache
def _is_installed_module(name: str) -> bool:
    """Return whether a module belongs to Python or to an installed package."""
    top = name.partition(".")[0]
    if top in ("__main__", "__mp_main__"):
        return False
    if top == "skmlp" or top in sys.stdlib_module_names:
        return True
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if file is None and module is not None:
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return False
        file = None if spec is None else spec.origin
    if file is None:
        return False
    folders = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    path = Path(file)
    return not _PACKAGE_FOLDERS.isdisjoint(path.parts) or any(
        folder is not None and path.is_relative_to(folder) for folder in folders
    )


def function_parts(function: FunctionType) -> Iterator[Any]:
    """Yield everything that identifies a function, apart from its name."""
    code = function.__code__
    yield from code_parts(code)
    for i, value in enumerate(function.__defaults__ or ()):
        yield Variable(f"default {i}", value, is_enclosed=True)
    for name, value in (function.__kwdefaults__ or {}).items():
        yield Variable(f"default {name}", value, is_enclosed=True)
    assigned = set(_names_of(code, ("STORE_DEREF", "DELETE_DEREF")))
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        if name not in assigned:
            yield Variable(name, _cell_content(cell), is_enclosed=True)
    yield from _read_globals(code, function.__globals__)


def code_parts(code: CodeType) -> Iterator[Any]:
    """Yield bytecode, constants and names, also of the functions inside a function."""
    yield code.co_code
    yield code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    yield code.co_flags, getattr(code, "co_exceptiontable", b"")
    yield code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_parts(constant)
        else:
            yield constant


def class_parts(cls: type) -> Iterator[Variable]:
    """Yield the members that a class does not inherit from installed classes."""
    for base in cls.__mro__:
        if is_installed(base) or base is object:
            continue
        for name, member in sorted(vars(base).items()):
            # Python and its copies add data such as `__slotnames__` to classes.
            is_special = name.startswith(("__", "_abc_"))
            if is_special and not isinstance(member, _FUNCTIONS):
                continue
            if isinstance(member, (classmethod, staticmethod)):
                yield Variable(name, member.__func__)
            elif isinstance(member, property):
                yield Variable(name, (member.fget, member.fset, member.fdel), True)
            else:
                yield Variable(name, member)


def _cell_content(cell: Any) -> Any:
    """Return the value of a variable of an enclosing function, or None if unset."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _read_globals(code: CodeType, values: dict[str, Any]) -> Iterator[Variable]:
    """Yield names and values of the global variables that a function reads."""
    assigned = set(_names_of(code, ("STORE_GLOBAL", "DELETE_GLOBAL")))
    read = set(_names_of(code, _LOADS)) - assigned
    attributes = set(_names_of(code, ("LOAD_ATTR", "LOAD_METHOD")))
    for name in sorted(read & values.keys()):
        value = values[name]
        yield Variable(name, value)
        if isinstance(value, ModuleType) and not _is_installed_module(value.__name__):
            for attribute in sorted(attributes & vars(value).keys()):
                yield Variable(f"{name}.{attribute}", vars(value)[attribute])


def _names_of(code: CodeType, operations: Iterable[str]) -> Iterator[str]:
    """Yield the names that some operations of a function, or of inner ones, use."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in operations:
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_of(constant, operations)
