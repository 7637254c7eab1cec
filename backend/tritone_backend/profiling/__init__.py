"""What the service says about its own work: stage times, histograms, flight recorder, log lines. Knows no Triton."""
