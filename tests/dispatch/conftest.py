"""What the tests of the engine share."""

from __future__ import annotations

import pytest
from played import Town


@pytest.fixture(scope="session")
def town() -> Town:
    return Town()
