"""The plots of a report, each as SVG text to stand in a page.

The text in them stays text: the page's fonts show it, and may know more characters than the ones that the layout is
reckoned with. The same run gives the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import shapely
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import NDArray

from dispatch.log import RunLog
from dispatch.metrics import called_for, response_s
from geodata.city import City
from geodata.grid import Level
from geodata.network import RoadClass
from scenarios.findings import FEW_INCIDENTS, Headline
from scenarios.terms import BACKDROP_COLOUR, PLACE_COLOUR, Verdict, limit, percent

INK, SOFT, FAINT = "#1d1b26", "#5d5a68", "#d9d6cf"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "patrol135",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
}
MAX_NAMED_UNITS = 48
"""With more, a chart of the units has no room for their ids."""
MANY_CELLS = 2000
"""With more, they are drawn without borders."""
WORKLOAD_CEILING = 0.6
"""Share of the duty time on calls above which service suffers, the rule of 60. From the literature."""


def response_curves(log: RunLog, headline: Headline) -> Markup:
    """Share of the incidents reached within each time by place class, of all incidents: a curve never shows those
    that were never reached."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        called = called_for(log, headline.clock)
        seconds = response_s(log, headline.clock)[called]
        place_class = log.incidents.loc[called, "place_class"]
        longest_s = 2 * max(headline.limits_s)
        for number, found in enumerate(headline.classes):
            own = seconds[place_class == found.place_class]
            if own.empty:
                continue
            colour = PLACE_COLOUR[found.place_class]
            times = np.sort(own.dropna().to_numpy(float))
            share = np.arange(1, len(times) + 1) / len(own)
            until = np.r_[0, times, max(longest_s, times.max(initial=0))] / 60
            axes.step(until, np.r_[0, share, share[-1:] if len(share) else 0], where="post", color=colour, linewidth=2)
            said = ""
            if found.limit_s is not None:
                at, share_at = found.limit_s / 60, found.share or 0.0
                axes.vlines(at, 0, 1, color=colour, linewidth=1, linestyle="--")
                axes.plot(at, share_at, "o", color=colour, markersize=7, markeredgecolor="white")
                said = f" ≤ {limit(found.limit_s)}"
            axes.annotate(
                f"● {found.term.zh} {found.term.en}: {percent(found.share)}{said}",
                (0.59, 0.3 - 0.1 * number),
                xycoords="axes fraction",
                color=colour,
                weight="bold",
            )
        _line_across(axes, headline.target, "目标\ntarget")
        axes.set_xlim(0, longest_s / 60)
        axes.set_xlabel("minutes until the first arrival · 首到分钟数")
        axes.xaxis.set_major_locator(MultipleLocator(1))
        _share_axis(axes)

    return _svg(draw, "response-curves", "Response time by place class", height_in=3.6)


def hours(by_hour: pd.DataFrame, headline: Headline) -> Markup:
    """Share within the limit, and incidents, by hour of the day; `by_hour` is a `share_within` by hour."""
    every = by_hour.reindex(range(24))
    colours = [headline.verdict_of(share).value for share in every["share"]]

    def draw(figure: Figure) -> None:
        share, number = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        share.bar(every.index, every["share"].fillna(0), color=colours, width=0.82)
        _line_across(share, headline.target, "目标\ntarget")
        _share_axis(share)
        number.bar(every.index, every["incidents"].fillna(0), color=Verdict.NONE.value, width=0.82)
        number.set_ylabel("incidents\n警情")
        number.set_xlabel("hour of the day at which the call was received · 接警时段")
        number.xaxis.set_major_locator(MultipleLocator(2))
        for axes in (share, number):
            axes.grid(visible=False, axis="x")
        number.set_xlim(-0.6, 23.6)

    return _svg(draw, "hours", "Share within the limit by hour of the day", height_in=3.6)


def workload(use: pd.DataFrame) -> Markup:
    """Utilisation of each unit, the busiest first, against the ceiling; `use` is a `utilisation` table."""
    ordered = use.sort_values("utilisation", ascending=False, kind="stable")

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        over = ordered["utilisation"] > WORKLOAD_CEILING
        colours = np.where(over, Verdict.NOT_MET.value, "#2f6fb3").tolist()
        axes.bar(range(len(ordered)), ordered["utilisation"], color=colours, width=0.82)
        _line_across(axes, WORKLOAD_CEILING, "上限\nceiling")
        axes.set_xlim(-0.6, len(ordered) - 0.4)
        _share_axis(axes)
        axes.grid(visible=False, axis="x")
        if len(ordered) <= MAX_NAMED_UNITS:
            axes.set_xticks(range(len(ordered)), ordered.index.astype(str), rotation=90, fontsize=8)
        else:
            axes.set_xticks([])
            axes.set_xlabel(f"{len(ordered)} units, the busiest first · 警力按忙闲排序")

    return _svg(draw, "workload", "Utilisation by unit", height_in=3.0)


def city_map(city: City, cells: pd.DataFrame, headline: Headline) -> Markup:
    """The grid coloured by its share within the limit, with the posts; `cells` is a `cell_table`."""
    outlines = city.grid.outlines(Level.DISTRICT)
    left, bottom, right, top = shapely.total_bounds(city.grid.polygons)
    width_in = 8.6

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.set(xlim=(left, right), ylim=(bottom, top))
        strength = np.select([cells["incidents"] >= FEW_INCIDENTS, cells["incidents"] > 0], [0.8, 0.4], 0.15)
        verdicts = [headline.verdict_of(share) for share in cells["share"]]
        colours = [to_rgba(found.value, alpha) for found, alpha in zip(verdicts, strength, strict=True)]
        _fill(axes, city.grid.polygons, colours, edgecolor="white", linewidth=0.4 if len(cells) < MANY_CELLS else 0)
        for kind, colour in BACKDROP_COLOUR.items():
            shapes = city.areas.geometry[city.areas["kind"] == kind].to_numpy()
            _fill(axes, shapes, [to_rgba(colour)] * len(shapes))
        network = city.network
        for road_class, width in ((RoadClass.ARTERIAL, 0.6), (RoadClass.EXPRESSWAY, 1.2)):
            chosen = np.flatnonzero(network.street_class == road_class)
            lines = [network.shape_xy_m[network.shape_first[i] : network.shape_first[i + 1]] for i in chosen]
            axes.add_collection(LineCollection(lines, colors=SOFT, linewidths=width, rasterized=True))
        for name, shape in zip(outlines["name"], outlines.geometry, strict=True):
            _fill(axes, np.array([shape]), ["none"], edgecolor=INK, linewidth=1.0)
            place = shape.representative_point()
            axes.annotate(name, (place.x, place.y), ha="center", va="center", weight="bold", fontsize=12)
        posts = shapely.get_coordinates(city.posts.table.geometry.to_numpy())
        axes.plot(*posts.T, "*", color="#10275c", markersize=11, markeredgecolor="white", markeredgewidth=0.8)

    height_in = min(width_in * (top - bottom) / (right - left), 5.8)
    return _svg(draw, "city-map", "Share within the limit by grid cell", height_in=height_in)


def _fill(axes: Axes, shapes: NDArray[np.object_], colours: list[Any], **style: Any) -> None:
    """Polygons with their holes, as pixels: a city has more of them than a page should hold as lines."""
    parts, shape = shapely.get_parts(shapes, return_index=True)
    paths = [Path.make_compound_path(*(Path(ring.coords) for ring in shapely.get_rings(part))) for part in parts]
    filled = PathCollection(paths, facecolors=[colours[i] for i in shape], rasterized=True, **style)
    axes.add_collection(filled, autolim=False)


def _line_across(axes: Axes, share: float, label: str) -> None:
    axes.axhline(share, color=INK, linewidth=1.2)
    axes.annotate(
        f"{percent(share, 0)}\n{label}",
        (1, share),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def _share_axis(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_locator(MultipleLocator(0.2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(share, 0)))


def _svg(draw: Callable[[Figure], None], name: str, label: str, *, height_in: float, width_in: float = 8.6) -> Markup:
    """What `draw` puts into a new figure, as an SVG element whose inner names begin with `name`."""
    page = io.StringIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # the browser's fonts have the glyphs that matplotlib's own font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        figure.patch.set_visible(False)
        draw(figure)
        figure.savefig(
            page, format="svg", dpi=150, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = page.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1))
