"""The inference service: providers behind one seam, served to the bus."""
