/* Draws a run of Patrol 135 into the layers of a Leaflet map. Every text from the data becomes a text node. */
function patrolMap(map, layers) {
  "use strict";
  const data = JSON.parse(document.getElementById("map-data").textContent);

  const panes = ["land", "cells", "water", "roads", "reach", "outline", "ring", "site", "mark", "label"];
  const canvas = {};
  panes.forEach(function (name, i) {
    const pane = map.createPane(name);
    pane.style.zIndex = 410 + 10 * i;
    // only the cells and the marks answer the pointer; a canvas above must not catch it
    if (name !== "cells" && name !== "mark") pane.style.pointerEvents = "none";
    canvas[name] = L.canvas({ pane: name, padding: 0.3 });
  });

  function place(step) {
    return [(data.origin[1] + step[1]) / data.steps, (data.origin[0] + step[0]) / data.steps];
  }

  /* the flat list of steps as a list of shapes, each a list of lines of [lat, lon] */
  function shapes(flat) {
    const found = [];
    let i = 0, x = 0, y = 0;
    while (i < flat.length) {
      const lines = [];
      for (let left = flat[i++]; left > 0; left--) {
        const line = [];
        for (let n = flat[i++]; n > 0; n--) {
          x += flat[i++];
          y += flat[i++];
          line.push(place([x, y]));
        }
        lines.push(line);
      }
      found.push(lines);
    }
    return found;
  }

  function draw(make, pane, flat, style, layer) {
    const options = Object.assign({ pane: pane, renderer: canvas[pane], interactive: false }, style);
    make(shapes(flat).flat(), options).addTo(layer);
  }

  function text(tag, content, name) {
    return $("<" + tag + ">").addClass(name || "").text(content);
  }

  /* a tooltip: the two names, then rows of label and value */
  function card(zh, en, rows) {
    const box = $("<div>").addClass("card").append(text("b", zh), text("i", en));
    const table = $("<table>").appendTo(box);
    rows.forEach(function (row) {
      $("<tr>").append(text("th", row[0]), text("td", row[1])).appendTo(table);
    });
    return box[0];
  }

  function mark(at, kind, label, options) {
    const symbol = $("#symbol-" + kind).clone().removeAttr("id");
    if (label !== undefined) symbol.append(text("span", label));
    const size = data.symbol[kind];
    const icon = L.divIcon({ html: symbol[0], className: "mark mark-" + kind, iconSize: [size, size] });
    return L.marker(place(at), Object.assign({ icon: icon, pane: "mark", keyboard: false }, options));
  }

  /* the panels stand over the map: leave their width free where there is room */
  const view = data.view.map(place);
  const wide = map.getSize().x > 900;
  map.fitBounds(view, { paddingTopLeft: [wide ? 340 : 10, 10], paddingBottomRight: [wide ? 270 : 10, 10] });

  data.backdrop.forEach(function (area) {
    draw(L.polygon, area.pane, area.shapes, { stroke: false, fillColor: area.colour, fillOpacity: area.opacity }, layers.land);
  });

  const width = [3.2, 2.2, 1.2, 0.7];
  const grey = ["#8f867b", "#a39b91", "#b9b3aa", "#c6c1ba"];
  for (let i = 3; i >= 0; i--) {
    draw(L.polyline, "roads", data.roads[i], { color: grey[i], weight: width[i], opacity: 0.9 }, layers.roads);
  }
  data.reach.forEach(function (band) {
    draw(L.polyline, "reach", band.shapes, { color: band.colour, weight: band.weight, opacity: 0.95 }, layers.reach);
  });

  /* small cells are drawn without borders: there would be little else to see */
  function border() {
    const side = map.project(view[1]).subtract(map.project(view[0]));
    return Math.abs(side.x * side.y) / data.cells.colour.length > 600 ? 0.8 : 0;
  }
  const cells = shapes(data.cells.shapes).map(function (rings, i) {
    return L.polygon(rings, {
      pane: "cells",
      renderer: canvas.cells,
      row: i,
      color: "#ffffff",
      weight: border(),
      fillColor: data.cells.colour[i],
      fillOpacity: data.cells.opacity[i]
    }).addTo(layers.cells);
  });
  layers.cells.bindTooltip(function (cell) {
    const row = cell.options.row;
    return card(data.cells.name[row], data.cells.name_en[row], data.cells.rows.map(function (column) {
      return [column.label, column.values[row]];
    }));
  }, { sticky: true, opacity: 1 });
  map.on("zoomend", function () { layers.cells.setStyle({ weight: border() }); });
  layers.cells.on("mouseover", function (event) { event.layer.setStyle({ color: "#222222", weight: 2 }).bringToFront(); });
  layers.cells.on("mouseout", function (event) { event.layer.setStyle({ color: "#ffffff", weight: border() }); });

  draw(L.polygon, "outline", data.districts.shapes,
    { color: "#3d3a4b", weight: 1.6, opacity: 0.8, dashArray: "7 5", fill: false }, layers.districts);
  data.districts.labels.forEach(function (label) {
    const name = $("<div>").append(text("b", label.zh), text("i", label.en));
    const icon = L.divIcon({ html: name[0], className: "district", iconSize: [0, 0] });
    L.marker(place(label.at), { icon: icon, pane: "label", interactive: false, keyboard: false }).addTo(layers.districts);
  });

  data.late.forEach(function (at) {
    L.circleMarker(place(at), {
      pane: "ring", renderer: canvas.ring, interactive: false, radius: 3,
      color: "#ffffff", weight: 0.8, fillColor: "#cc4125", fillOpacity: 0.9
    }).addTo(layers.late);
  });

  data.sites.forEach(function (group) {
    draw(L.polygon, "site", group.zones,
      { color: group.colour, weight: 1.2, opacity: 0.8, dashArray: "3 3", fillColor: group.colour, fillOpacity: 0.08 },
      layers[group.place_class]);
    group.marks.forEach(function (site) {
      mark(site.at, group.place_class).bindTooltip(card(site.zh, site.en, site.rows)).addTo(layers[group.place_class]);
    });
  });
  data.posts.forEach(function (post) {
    mark(post.at, "post", undefined, { zIndexOffset: 500 })
      .bindTooltip(card(post.zh, post.en, post.rows)).addTo(layers.posts);
  });

  data.worst.forEach(function (row, i) {
    const ring = { pane: "ring", renderer: canvas.ring, interactive: false, color: "#1d1b26", weight: 2.6, fill: false };
    L.polygon(cells[row].getLatLngs(), ring).addTo(layers.worst);
    const at = data.cells.at[row];
    mark(at, "rank", i + 1, { zIndexOffset: 1000, interactive: false }).addTo(layers.worst);
  });

  map.setMaxBounds(L.latLngBounds(view).pad(1));
  L.control.scale({ imperial: false }).addTo(map);
  if (!wide) {
    $("details.panel").removeAttr("open");
    $(".leaflet-control-layers").removeClass("leaflet-control-layers-expanded");
  }
  $("[data-cell]").on("click", function () {
    map.flyToBounds(cells[$(this).data("cell")].getBounds(), { maxZoom: 15, duration: 0.8 });
  });
  $("html").attr("data-map", [cells.length, data.posts.length, data.worst.length].join(" "));
}
