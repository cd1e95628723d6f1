/* Draws a city of Patrol 135 and what is wrong with it. The kinds of fault are switched in the panel; the address
   #fault=2&case=7 opens the page at the seventh case of the second kind. */
function patrolMap(map, layers) {
  "use strict";
  // what answers the pointer is on one canvas, since a canvas hides those below from the pointer
  const panes = ["land", "water", "roads", "oneway", "site", "pick", "outline", "mark", "label"];
  const base = patrolBase(map, panes, ["pick", "mark"]);
  const data = base.data;
  const MOST_SHOWN = 300;  // cases of a kind that is switched on at first: more would hide the city
  const ARROWS_FROM_ZOOM = 16, ARROW_EVERY_PX = 150, ARROW_PX = 5;

  base.land(layers.land);
  base.draw(L.polyline, "roads", data.roads[4], { color: data.road_colour[4], weight: 1.4, dashArray: "3 3" }, layers.roads);
  base.roads(layers.roads);

  /* arrow heads along lines: every so many pixels from the middle of each stretch; or one where each line ends */
  function arrows(layer, lines, pane, style, atEnd) {
    const heads = L.layerGroup();
    const boxes = lines.map(function (line) { return L.latLngBounds(line); });
    function head(from, to, share) {
      const at = from.add(to.subtract(from).multiplyBy(share));
      const along = to.subtract(from).divideBy(from.distanceTo(to));
      const back = at.subtract(along.multiplyBy(1.6 * ARROW_PX));
      const aside = L.point(-along.y, along.x).multiplyBy(ARROW_PX);
      const corners = [back.add(aside), at, back.subtract(aside)].map(function (p) { return map.unproject(p); });
      L.polyline(corners, base.within(pane, Object.assign({ interactive: false, weight: 1.6 }, style))).addTo(heads);
    }
    function again() {
      heads.clearLayers();
      if (map.getZoom() < ARROWS_FROM_ZOOM) return;
      const shown = map.getBounds().pad(0.1);
      lines.forEach(function (line, i) {
        if (!shown.intersects(boxes[i])) return;
        const points = line.map(function (at) { return map.project(at); });
        let next = ARROW_EVERY_PX / 2, gone = 0;
        for (let k = 1; k < points.length; k++) {
          const length = points[k - 1].distanceTo(points[k]);
          if (length === 0) continue;
          if (atEnd) {
            if (k === points.length - 1) head(points[k - 1], points[k], 1);
            continue;
          }
          for (; next <= gone + length; next += ARROW_EVERY_PX) {
            if (shown.contains(map.unproject(points[k]))) head(points[k - 1], points[k], (next - gone) / length);
          }
          gone += length;
        }
      });
    }
    heads.addTo(layer);
    map.on("moveend", again);
    again();
  }

  if (layers.oneway) {
    const blue = { color: "#4a78b5", weight: 1.2, opacity: 0.75 };
    base.draw(L.polyline, "oneway", data.one_way, blue, layers.oneway);
    arrows(layers.oneway, base.shapes(data.one_way).flat(), "oneway", blue, false);
  }

  /* what is added last lies on top: areas go back below the lines, and cells below all */
  function toBack(group) {
    group.eachLayer(function (shape) { shape.bringToBack(); });
  }

  const nCells = data.cells.name.length;
  if (layers.cells) {
    base.shapes(data.cells.shapes).forEach(function (rings, i) {
      const style = { row: i, color: "#6f6a80", weight: base.cellBorder(nCells), opacity: 0.35, fillOpacity: 0 };
      L.polygon(rings, base.within("pick", style)).addTo(layers.cells);
    });
    base.cellCards(layers.cells);
    map.on("zoomend", function () { layers.cells.setStyle({ weight: base.cellBorder(nCells) }); });
    layers.cells.on("add", function () { toBack(layers.cells); });
  }

  if (layers.turns) {
    const style = { color: "#b0005a", weight: 2, opacity: 0.85 };
    const turns = base.shapes(data.turns.shapes);
    turns.forEach(function (lines, i) {
      const rows = [["从 From", data.turns.from[i] || "–"], ["到 Into", data.turns.to[i] || "–"]];
      L.polyline(lines, base.within("pick", style))
        .bindTooltip(base.card("禁止转向", "forbidden turn", rows), { sticky: true, opacity: 1 }).addTo(layers.turns);
    });
    arrows(layers.turns, turns.flat(), "pick", style, true);
  }
  if (layers.districts) base.districts(layers.districts);
  base.sites(layers);
  if (layers.posts) base.posts(layers.posts);

  /* what a click on a case tells */
  function about(fault, i) {
    const rows = [];
    if (fault.label[i]) rows.push(["原数据 Source", fault.label[i]]);
    if (fault.size[i]) rows.push([fault.size[i].endsWith("ha") ? "面积 Area" : "长度 Length", fault.size[i]]);
    const what = fault.kept ? "建议 To do" : "处理 Done";
    rows.push([what, (fault.done_zh + " " + fault.done).trim()]);
    rows.push(["序号 Case", (i + 1).toLocaleString("en") + " / " + fault.label.length.toLocaleString("en")]);
    return base.card(fault.zh, fault.en, rows);
  }

  /* the layer of one kind, made when it is first shown; `of`: the shapes of each case */
  const made = {};
  function layerOf(row) {
    if (made[row]) return made[row];
    const fault = data.faults[row], group = L.featureGroup(), of = {};
    function add(shape, i) {
      shape.options.case = i;
      shape.addTo(group);
      (of[i] = of[i] || []).push(shape);
    }
    const area = { color: fault.colour, weight: 2, fillColor: fault.colour, fillOpacity: 0.35 };
    const line = { color: fault.colour, weight: 4, opacity: 0.9 };
    // what is still in the city may be a post or a site: a ring that its symbol does not hide
    const point = fault.kept
      ? { color: fault.colour, weight: 3, fillColor: fault.colour, fillOpacity: 0.25, radius: 14 }
      : { color: "#ffffff", weight: 1.2, fillColor: fault.colour, fillOpacity: 0.95, radius: 4.5 };
    base.shapes(fault.areas.shapes).forEach(function (rings, k) {
      add(L.polygon(rings, base.within("pick", area)), fault.areas.case[k]);
    });
    base.shapes(fault.lines.shapes).forEach(function (lines, k) {
      add(L.polyline(lines, base.within("pick", line)), fault.lines.case[k]);
    });
    fault.points.at.forEach(function (at, k) {
      add(L.circleMarker(base.place(at), base.within("pick", point)), fault.points.case[k]);
    });
    group.on("click", function (event) { pick(row, event.layer.options.case, event.latlng); });
    return (made[row] = { group: group, of: of, cases: Object.keys(of).map(Number), last: -1 });
  }

  function show(row, on) {
    $("[data-fault=" + row + "]").prop("checked", on);
    if (!on) {
      map.closePopup();
      layerOf(row).group.remove();
      return;
    }
    layerOf(row).group.addTo(map);
    if (data.faults[row].symbol === "area") toBack(layerOf(row).group);
    if (layers.cells) toBack(layers.cells);
  }

  /* tells of one case, and sets it off with a dark rim */
  const rim = L.layerGroup().addTo(map);
  function pick(row, i, at) {
    map.closePopup();
    const dark = base.within("pick", { interactive: false, color: "#1d1b26", weight: 9, opacity: 1, fill: false });
    layerOf(row).of[i].forEach(function (shape) {
      if (shape instanceof L.CircleMarker) L.circleMarker(shape.getLatLng(), Object.assign(dark, { radius: shape.getRadius() })).addTo(rim);
      else if (shape instanceof L.Polygon) L.polygon(shape.getLatLngs(), Object.assign(dark, { weight: 5 })).addTo(rim);
      else L.polyline(shape.getLatLngs(), dark).addTo(rim);
      shape.bringToFront();
    });
    L.popup({ maxWidth: 330, autoPan: false }).setLatLng(at).setContent(about(data.faults[row], i)).openOn(map);
    history.replaceState(null, "", "#fault=" + (row + 1) + "&case=" + (i + 1));
  }
  map.on("popupclose", function () { rim.clearLayers(); });

  /* shows the case of a kind that stands at `place` among those that lie on the map */
  function visit(row, place) {
    show(row, true);
    const layer = layerOf(row), n = layer.cases.length;
    layer.last = ((place % n) + n) % n;
    const found = layer.cases[layer.last], shapes = layer.of[found];
    map.fitBounds(L.featureGroup(shapes).getBounds(), Object.assign({ maxZoom: 17, animate: false }, base.free));
    // above the case, which the card would hide otherwise
    const points = shapes.flatMap(function (shape) { return [shape.getLatLngs ? shape.getLatLngs() : shape.getLatLng()]; }).flat(9);
    pick(row, found, points.reduce(function (top, at) { return at.lat > top.lat ? at : top; }));
  }

  $("[data-fault]").on("change", function () { show($(this).data("fault"), this.checked); });
  $("[data-step]").on("click", function () {
    const row = $(this).data("step");
    visit(row, layerOf(row).last + 1);
  });
  data.faults.forEach(function (fault, row) {
    if (fault.kept && fault.label.length <= MOST_SHOWN) show(row, true);
  });
  function follow() {
    const asked = new URLSearchParams(location.hash.slice(1)), row = Number(asked.get("fault")) - 1;
    if (!data.faults[row] || !data.faults[row].symbol) return;
    show(row, true);
    const place = layerOf(row).cases.indexOf(Number(asked.get("case")) - 1);
    if (place >= 0) visit(row, place);
  }
  $(window).on("hashchange", follow);
  follow();
  $("html").attr("data-map", [nCells, data.posts.length, data.faults.length].join(" "));
}
