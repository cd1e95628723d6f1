"""A made city and made networks: from a seed alone, no download and no stored file."""

from geodata.synthetic.city import demo_city
from geodata.synthetic.lattice import made_network

__all__ = ["demo_city", "made_network"]
