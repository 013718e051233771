"""The `mgrisk` command: one module for each subcommand."""
