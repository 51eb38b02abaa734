"""Kaggle: one zip of a competition's or a dataset's files, fetched with the user's own API key."""

import json
import os
from pathlib import Path

from medtransfer.acquire.fetch import Login

API = "https://www.kaggle.com/api/v1"
HOW = (
    "Then set KAGGLE_USERNAME and KAGGLE_KEY, or put kaggle.json (from your account's settings) into ~/.kaggle, and "
    "run the same command again."
)


def credentials() -> Login | None:
    """User name and key from KAGGLE_USERNAME and KAGGLE_KEY or ~/.kaggle/kaggle.json, None where there are none."""
    name, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if name and key:
        return name, key
    try:
        content = json.loads((Path.home() / ".kaggle" / "kaggle.json").read_text())
        return content["username"], content["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def address(remote: str) -> str:
    """Where the zip of a competition, or of a dataset written owner/name, lies."""
    return f"{API}/datasets/download/{remote}" if "/" in remote else f"{API}/competitions/data/download-all/{remote}"
