/* What the maps of Patrol 135 share: reads the page's data and draws it into a Leaflet map, a pane above the other.
   `pointed`: the panes that answer the pointer. Every text from the data becomes a text node. */
function patrolBase(map, panes, pointed) {
  "use strict";
  const data = JSON.parse(document.getElementById("map-data").textContent);

  const canvas = {};
  panes.forEach(function (name, i) {
    const pane = map.createPane(name);
    pane.style.zIndex = 410 + 10 * i;
    // a canvas above one that answers the pointer must not catch it
    if (!pointed.includes(name)) pane.style.pointerEvents = "none";
    canvas[name] = L.canvas({ pane: name, padding: 0.3, tolerance: 4 });
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

  /* options of a shape in a pane */
  function within(pane, style) {
    return Object.assign({ pane: pane, renderer: canvas[pane] }, style);
  }

  function draw(make, pane, flat, style, layer) {
    make(shapes(flat).flat(), within(pane, Object.assign({ interactive: false }, style))).addTo(layer);
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
  const free = { paddingTopLeft: [wide ? 340 : 10, 10], paddingBottomRight: [wide ? 270 : 10, 10] };
  map.fitBounds(view, free);

  function land(layer) {
    data.backdrop.forEach(function (area) {
      draw(L.polygon, area.pane, area.shapes, { stroke: false, fillColor: area.colour, fillOpacity: area.opacity }, layer);
    });
  }

  function roads(layer) {
    const width = [3.2, 2.2, 1.2, 0.7];
    for (let i = 3; i >= 0; i--) {
      draw(L.polyline, "roads", data.roads[i], { color: data.road_colour[i], weight: width[i], opacity: 0.9 }, layer);
    }
  }

  function districts(layer) {
    draw(L.polygon, "outline", data.districts.shapes,
      { color: "#3d3a4b", weight: 1.6, opacity: 0.8, dashArray: "7 5", fill: false }, layer);
    data.districts.labels.forEach(function (label) {
      const name = $("<div>").append(text("b", label.zh), text("i", label.en));
      const icon = L.divIcon({ html: name[0], className: "district", iconSize: [0, 0] });
      L.marker(place(label.at), { icon: icon, pane: "label", interactive: false, keyboard: false }).addTo(layer);
    });
  }

  /* of each place class: the zones where it holds, and the sites; `layers` by place class */
  function sites(layers) {
    data.sites.forEach(function (group) {
      draw(L.polygon, "site", group.zones,
        { color: group.colour, weight: 1.2, opacity: 0.8, dashArray: "3 3", fillColor: group.colour, fillOpacity: 0.08 },
        layers[group.place_class]);
      group.marks.forEach(function (site) {
        mark(site.at, group.place_class).bindTooltip(card(site.zh, site.en, site.rows)).addTo(layers[group.place_class]);
      });
    });
  }

  function posts(layer) {
    data.posts.forEach(function (post) {
      mark(post.at, "post", undefined, { zIndexOffset: 500 })
        .bindTooltip(card(post.zh, post.en, post.rows)).addTo(layer);
    });
  }

  /* small cells are drawn without borders: there would be little else to see */
  function cellBorder(n) {
    const side = map.project(view[1]).subtract(map.project(view[0]));
    return Math.abs(side.x * side.y) / n > 600 ? 0.8 : 0;
  }

  /* a card for each cell that is pointed at, of the columns `rows` */
  function cellCards(layer) {
    layer.bindTooltip(function (cell) {
      const row = cell.options.row;
      return card(data.cells.name[row], data.cells.name_en[row], data.cells.rows.map(function (column) {
        return [column.label, column.values[row]];
      }));
    }, { sticky: true, opacity: 1 });
  }

  L.control.scale({ imperial: false }).addTo(map);
  if (!wide) {
    $("details.panel").removeAttr("open");
    $(".leaflet-control-layers").removeClass("leaflet-control-layers-expanded");
  }

  return {
    data: data, view: view, free: free, canvas: canvas, place: place, shapes: shapes, within: within, draw: draw,
    text: text, card: card, mark: mark, land: land, roads: roads, districts: districts, sites: sites, posts: posts,
    cellBorder: cellBorder, cellCards: cellCards
  };
}
