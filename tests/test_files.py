"""Files are whole or absent."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from medtransfer.files import atomic, write_csv, write_json, write_parquet
from tests.conftest import ROOT


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(pd.DataFrame({"a": [1]}), path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left"), atomic(path) as temporary:
        temporary.write_text("half of")
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_writers_make_folders_and_can_be_read_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    write_parquet(table, tmp_path / "new" / "table.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new" / "table.parquet"), table)
    write_json({"a": 1}, tmp_path / "new" / "a.json")
    assert (tmp_path / "new" / "a.json").read_text() == '{\n  "a": 1\n}\n'


def test_a_user_error_ends_a_step_with_its_message_alone(tmp_path: Path) -> None:
    script = tmp_path / "step.py"
    script.write_text(
        "import sys\n"
        "from medtransfer.errors import UserError\n"
        "from medtransfer.logs import step_log\n"
        "with step_log(sys.argv[1]):\n"
        "    print('working', file=sys.stderr)\n"
        "    raise UserError('row 3 of x.csv has no label')\n"
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "log"],
        env={"PYTHONPATH": str(ROOT / "workflow_scripts")},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 1
    assert done.stderr == "error: row 3 of x.csv has no label\n"
    assert (tmp_path / "log").read_text() == "working\nerror: row 3 of x.csv has no label\n"
