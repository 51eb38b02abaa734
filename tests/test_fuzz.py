"""Damaged files are decoded or refused with a reason, whatever was done to them (longer: `python -m tests.fuzz`)."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtransfer.imaging.decode import decode_noting
from medtransfer.imaging.errors import DecodeError
from tests.fuzz.decoder import HUNG, KILLED, Decoder
from tests.fuzz.mutate import CHANGES, mutate
from tests.fuzz.seeds import seeds

SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_are_whole(tmp_path, name):
    (tmp_path / "file").write_bytes(SEEDS[name])
    path = "file#1" if name == "frames.dcm" else "file"
    assert np.ptp(decode_noting(tmp_path, path, 1).pixels) > 0


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(SEEDS)), st.sampled_from(sorted(SEEDS)), st.integers(0, 2**32 - 1))
def test_damaged_files_are_decoded_or_refused_with_a_reason(tmp_path: Path, name: str, other: str, seed: int):
    (tmp_path / "file").write_bytes(mutate(SEEDS[name], SEEDS[other], np.random.default_rng(seed)))
    try:
        decoded = decode_noting(tmp_path, "file", 1)
    except (DecodeError, MemoryError) as error:
        assert len(str(error)) > 5 or isinstance(error, MemoryError)
    else:
        assert decoded.pixels.ndim == 2 and decoded.pixels.dtype == np.uint8


def test_every_change_can_be_made_to_any_content():
    generator = np.random.default_rng(0)
    for change in CHANGES:
        for content in (b"", b"a", bytes(200)):
            assert isinstance(change(content, b"other", generator), bytes)
    assert mutate(bytes(200), b"other", np.random.default_rng(1)) == mutate(
        bytes(200), b"other", np.random.default_rng(1)
    )


@pytest.mark.slow
def test_a_decoder_that_dies_or_hangs_is_told_and_started_anew(monkeypatch):
    decoder = Decoder()
    try:
        assert decoder.outcome(SEEDS["grey.png"]) == "decoded"
        assert decoder.outcome(b"nothing") == "refused with a reason"
        decoder.process.kill()
        assert decoder.outcome(SEEDS["grey.png"]) == KILLED
        assert decoder.outcome(SEEDS["grey.png"]) == "decoded"
        monkeypatch.setattr("tests.fuzz.decoder.SECONDS", 0.2)
        os.kill(decoder.process.pid or 0, signal.SIGSTOP)
        assert decoder.outcome(SEEDS["grey.png"]) == HUNG
    finally:
        decoder.stop()
