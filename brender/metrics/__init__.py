"""What roles show Prometheus and those who ask whether they live (docs/reference/metrics.rst)."""
