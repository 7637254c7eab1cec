"""Command-line surfaces of the acoustic package; the work is done by the modules beside this folder."""
