"""Charts as SVG without a script, one subject a file: folded first, then drawn."""
