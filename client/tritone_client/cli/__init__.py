"""The command line `tritone`: a table of commands in `main`, and those commands that need only the client."""
