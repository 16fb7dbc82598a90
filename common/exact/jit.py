"""numba for functions that call each other across files, cached together.

numba's cache looks at the file of a function and not at those of the functions it calls: after an
edit there it would go on running their old code. Here what is compiled is kept only as long as all
files that compile with this module are as they were.
"""

import zlib
from pathlib import Path

from numba import njit


def _stamp():
    """A number that changes with any file beside this one that imports this module, and with the
    package's name: what is cached knows it, and a copy of the folder may hold the cache, too."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return zlib.crc32(__name__.encode() + b"".join(text for text in texts if b"jit import" in text))


STAMP = _stamp()


def compiled(function, **options):
    """`function` compiled when first called, without Python's lock and as numpy divides."""
    made = njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    made._cache._cache_file._source_stamp = STAMP
    return made


def lanes(function):
    """The same for one step that all lanes take together: written out where it is called."""
    return compiled(function, forceinline=True)
