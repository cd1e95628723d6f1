"""Faults are told whole, wherever they were found."""

from __future__ import annotations

import copy

from geodata.errors import Fault, InputError


def test_faults_reach_the_process_that_started_the_worker_as_they_are() -> None:
    error = InputError(Fault("a.csv", "row 3", "x", "a number", "Mend it."), Fault("a.csv", "", "y", "z", "Do."))
    # what is copied takes the same way as what is handed from one process to another
    assert copy.copy(error).faults == error.faults
    assert str(copy.copy(error)) == str(error)
