"""The gRPC server around one Authorizer: everything that knows about asyncio, threads, ports and signals.

    app        the composition root: opens the store, wires the parts, binds, drains
    service    relgraph.v1.AuthorizerService, one short method per call
    edge       what stands between every call and its method: malformed bytes, errors, sizes
    spool      where an import's stream waits until it is whole
    guard      which request fields are served; all others are refused
    status     which error becomes which gRPC status
    settings   flags, environment, file, defaults

Rule 1: nothing here decides an answer. What the library says is carried to the caller as it is.
"""
