"""Programs on clients and integrations of SpiceDB, unmodified, for relgraph's server to be asked by."""
