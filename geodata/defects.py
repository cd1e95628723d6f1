"""What is wrong with a source of roads, counted, with what was done about it and where it lies: nothing is dropped
silently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

MOST_EXAMPLES = 5
DEFECT_COLUMNS = ("kind", "done", "stays", "label", "length_m", "geometry")


@dataclass(frozen=True, eq=False, kw_only=True)
class Defect:
    """One kind of fault in a source, with all of its cases."""

    kind: str
    """What it is, in the plural: "islands"."""
    done: str
    """What was done about it: "left out"; or what to do."""
    label: tuple[str, ...]
    """What a user finds each case by in the source: a way's number, a row, a name; "" where there is nothing."""
    shapes: NDArray[np.object_]
    """A shape for each case, in the CRS `epsg`; None for a case that lies nowhere."""
    epsg: int
    length_m: float | None = None
    """In all; None: as long as the shapes."""
    stays: bool = False
    """It is still in the city, for somebody to look at."""

    def __len__(self) -> int:
        return len(self.label)

    @property
    def metres(self) -> float:
        return float(np.nansum(_line_m(self.shapes))) if self.length_m is None else self.length_m

    @property
    def general(self) -> bool:
        """It is about the source as a whole."""
        return self.label == ("",) and self.shapes[0] is None

    def __str__(self) -> str:
        # kinds stand in the plural
        some = "1 case of " if len(self) == 1 else f"{len(self):,} "
        count = "" if self.general else some
        length = f", {self.metres / 1000:,.1f} km" if self.metres > 0 else ""
        named = [label for label in dict.fromkeys(self.label) if label]
        more = " …" if len(named) > MOST_EXAMPLES else ""
        examples = f" ({', '.join(named[:MOST_EXAMPLES])}{more})" if named else ""
        return f"{count}{self.kind}{length}: {self.done}{examples}"


def _line_m(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    """Metres of each line, NaN for what is none: the way round an area is not its length."""
    return np.where(shapely.get_dimensions(shapes) == 1, shapely.length(shapes), np.nan)


def general(kind: str, done: str, epsg: int) -> Defect:
    """A fault of the source as a whole, which has no cases."""
    return Defect(kind=kind, done=done, label=("",), shapes=np.full(1, None), epsg=epsg)


def defect_table(defects: Iterable[Defect], epsg: int) -> gpd.GeoDataFrame:
    """A row a case, columns `DEFECT_COLUMNS`, in one CRS; for saving and for QGIS."""
    tables = [
        gpd.GeoDataFrame(
            {
                "kind": d.kind,
                "done": d.done,
                "stays": d.stays,
                "label": list(d.label),
                "length_m": _line_m(d.shapes),
            },
            geometry=d.shapes,
            crs=d.epsg,
        ).to_crs(epsg)
        for d in defects
        if len(d)
    ]
    if not tables:
        dtypes = {"kind": object, "done": object, "stays": bool, "label": object, "length_m": float}
        empty = {column: pd.Series([], dtype=dtype) for column, dtype in dtypes.items()}
        return gpd.GeoDataFrame(empty, geometry=[], crs=epsg)
    return gpd.GeoDataFrame(pd.concat(tables, ignore_index=True), crs=epsg)[list(DEFECT_COLUMNS)]
