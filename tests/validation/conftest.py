"""The checker of logs and the random problems lie with other tests."""

import sys
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[1] / folder) for folder in ("dispatch", "geodata", "properties")]
