"""Write a synthetic dataset: the one door to this package."""

import shutil
import tempfile
from importlib import import_module
from pathlib import Path

from medtransfer.errors import UserError

DATASETS = ("chexpert", "isic_2019", "nih_cxr14", "pad_ufes_20", "rsna_mammo", "scenes", "vindr_cxr")
FEWEST_PATIENTS = 10
SIZES = range(24, 513)


def write(dataset: str, raw: Path, patients: int, size: int, seed: int) -> None:
    """Write the whole folder `raw` in the file layout of `dataset`; the same arguments give the same bytes.

    `patients` counts patients (isic_2019: lesions; scenes: images per class), `size` is the width of an image in
    pixels. The folder appears once it is whole. Raises UserError for an unknown dataset, for numbers out of range
    and where `raw` holds files already, which might be the real dataset.
    """
    if dataset not in DATASETS:
        raise UserError(f"There is no synthetic version of the dataset '{dataset}'. Known: {', '.join(DATASETS)}.")
    if patients < FEWEST_PATIENTS:
        raise UserError(f"{dataset}: patients is {patients}; at least {FEWEST_PATIENTS} are needed.")
    if size not in SIZES:
        raise UserError(f"{dataset}: size is {size} pixels; allowed are {SIZES.start} to {SIZES.stop - 1}.")
    if seed < 0:
        raise UserError(f"{dataset}: seed is {seed}; it must be 0 or more.")
    if raw.is_file() or any(path.is_file() for path in raw.rglob("*")):
        raise UserError(f"{raw} holds files already: remove it, or write the synthetic {dataset} somewhere else.")

    raw.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=raw.parent, prefix=f".{raw.name}-") as scratch:
        whole = Path(scratch) / raw.name
        whole.mkdir()
        import_module(f"medtransfer.synthetic.{dataset}").write(whole, patients, size, seed)
        shutil.rmtree(raw, ignore_errors=True)
        whole.rename(raw)
