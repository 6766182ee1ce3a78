"""The wire types of relgraph.v1, generated from proto/relgraph/v1/ by `make proto`; nothing here is written by hand.

Only the edges (`relgraph.wire`, `relgraph.client`, `relgraph_server`) import them: the library works without gRPC.
"""
