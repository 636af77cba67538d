"""Record and replay: what providers answered, taken down at the wire, served again or asked again as load."""
