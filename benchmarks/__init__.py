"""What the mesh costs: CPU, latency and memory, beside the same load straight at the upstream."""
