"""A run of compiled code as another processor would have it."""

import os
import subprocess
import sys


def on_the_plainest(code, folder):
    """What `code` prints when all is compiled for the plainest processor of this kind, without
    wide instructions. folder : for what is compiled."""
    plain = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(folder),
        "PYTHONPATH": os.pathsep.join(["tests", "."]),
    }
    command, env = [sys.executable, "-c", code], os.environ | plain
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
