"""`tritone bench soak`: an hour of calls that come and go, and whether anything of the service grows by it."""
