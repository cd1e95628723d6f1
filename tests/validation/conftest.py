"""The checker of logs and the random networks lie with the tests of their floors."""

import sys
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[1] / floor) for floor in ("dispatch", "geodata")]
