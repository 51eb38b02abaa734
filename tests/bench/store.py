"""Image stores: images per second that are decoded, resized and written, with one and with two processes."""

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from medtransfer.imaging.chunk import Form
from medtransfer.imaging.store import build_store

IMAGES, NATIVE, SIZE, ROUNDS = 1200, 1024, 224, 3


def main() -> None:
    """Print the medians for JPEG and PNG films of 1024 x 1024 pixels, the size of ChestX-ray14."""
    generator = np.random.default_rng(0)
    smooth = generator.integers(0, 256, (32, 32), dtype=np.uint8)
    film = Image.fromarray(smooth).resize((NATIVE, NATIVE), Image.Resampling.BICUBIC)
    with tempfile.TemporaryDirectory() as name:
        folder, scratch, form = Path(name), Path(name) / "scratch", Form(1, SIZE)
        film.save(folder / "film.jpg", quality=90)
        film.save(folder / "film.png")
        for suffix in ("jpg", "png"):
            for workers in (1, 2):
                rates = []
                for _ in range(ROUNDS):
                    started = time.perf_counter()
                    build_store(folder, [f"film.{suffix}"] * IMAGES, form, folder / "store.npy", scratch, workers)
                    rates.append(IMAGES / (time.perf_counter() - started))
                print(f"{suffix}, {NATIVE} to {SIZE} px, {workers} process(es): {np.median(rates):,.0f} images/s")


if __name__ == "__main__":
    main()
