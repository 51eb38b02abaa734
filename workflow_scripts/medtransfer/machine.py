"""What machine results were made on, as far as it decides which bits come out."""

import importlib.metadata
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "matplotlib", "snakemake", "torch", "timm")


def this_machine() -> dict[str, Any]:
    """Operating system, processor, Python and packages."""
    packages = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    system = {"platform": platform.platform(), "processor": processor(), "python": platform.python_version()}
    return {**system, "packages": packages}


def processor() -> str:
    """Architecture and model of the processor: which instructions it knows decides how libraries round."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return f"{platform.machine()}, {value.strip()}"
    return f"{platform.machine()}, {platform.processor() or 'model unknown'}"
