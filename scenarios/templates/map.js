/* Draws a run of Patrol 135 into the layers of a Leaflet map. */
function patrolMap(map, layers) {
  "use strict";
  const panes = ["land", "cells", "water", "roads", "reach", "outline", "ring", "site", "mark", "label"];
  const base = patrolBase(map, panes, ["cells", "mark"]);
  const data = base.data;

  base.land(layers.land);
  base.roads(layers.roads);
  data.reach.forEach(function (band) {
    base.draw(L.polyline, "reach", band.shapes, { color: band.colour, weight: band.weight, opacity: 0.95 }, layers.reach);
  });

  function border() {
    return base.cellBorder(data.cells.colour.length);
  }
  const cells = base.shapes(data.cells.shapes).map(function (rings, i) {
    return L.polygon(rings, base.within("cells", {
      row: i,
      color: "#ffffff",
      weight: border(),
      fillColor: data.cells.colour[i],
      fillOpacity: data.cells.opacity[i]
    })).addTo(layers.cells);
  });
  base.cellCards(layers.cells);
  map.on("zoomend", function () { layers.cells.setStyle({ weight: border() }); });
  layers.cells.on("mouseover", function (event) { event.layer.setStyle({ color: "#222222", weight: 2 }).bringToFront(); });
  layers.cells.on("mouseout", function (event) { event.layer.setStyle({ color: "#ffffff", weight: border() }); });

  base.districts(layers.districts);
  data.late.forEach(function (at) {
    L.circleMarker(base.place(at), base.within("ring", {
      interactive: false, radius: 3, color: "#ffffff", weight: 0.8, fillColor: "#cc4125", fillOpacity: 0.9
    })).addTo(layers.late);
  });
  base.sites(layers);
  base.posts(layers.posts);

  data.worst.forEach(function (row, i) {
    const ring = base.within("ring", { interactive: false, color: "#1d1b26", weight: 2.6, fill: false });
    L.polygon(cells[row].getLatLngs(), ring).addTo(layers.worst);
    base.mark(data.cells.at[row], "rank", i + 1, { zIndexOffset: 1000, interactive: false }).addTo(layers.worst);
  });

  map.setMaxBounds(L.latLngBounds(base.view).pad(1));
  $("[data-cell]").on("click", function () {
    map.flyToBounds(cells[$(this).data("cell")].getBounds(), { maxZoom: 15, duration: 0.8 });
  });
  $("html").attr("data-map", [cells.length, data.posts.length, data.worst.length].join(" "));
}
