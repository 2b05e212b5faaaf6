"""What every test of the suite shares: the import path of the lesson build."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]  # for `authoring` and `tiny`, no installed packages
