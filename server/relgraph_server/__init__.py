"""The gRPC server around one Authorizer: everything that knows about asyncio, threads, ports and signals.

    app        the composition root: opens the store, wires the parts, binds, drains
    service    relgraph.v1.AuthorizerService, one short method per call
    edge       what stands between every call and its method: keys, malformed bytes, errors, sizes
    gate       who gets in: keys, scopes, the policy about actors
    calls      the call in progress: whose key, and its one entry in the audit log
    scopes     which scopes a call needs
    keys       what a key is: name, hash, scopes
    keyfile    the file of keys
    keyring    the keys of a running server, read again when their file changes
    audit      the audit log of a running server
    auditing   what a line of it is, and how to find what was changed
    summaries  what it tells of a request
    tls        the server's certificate, read again when its files change
    lookout    what the outside sees: puts together what follows, as far as it is asked for
    sights     what is seen of each call: how it ended, how long it took, what it read
    metrics    what is counted, for Prometheus
    tallies    counting, cheaply
    tracing    spans of calls, for OpenTelemetry
    web        the HTTP listener for metrics and probes
    logs       what a line of the server's log is
    spool      where an import's stream waits until it is whole
    guard      which request fields are served; all others are refused
    status     which error becomes which gRPC status
    settings   flags, environment, file, defaults

Rule 1: nothing here decides an answer. What the library says is carried to the caller as it is.
"""
