"""Road files of every kind, one module each, into one type: `geodata.network.RoadNetwork`."""
