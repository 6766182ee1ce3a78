"""SpiceDB's dialect, `authzed.api.v1`: its clients work unchanged, by the stubs of the `authzed` package.

Here messages become nouns and calls of the Authorizer, and answers become messages again, with SpiceDB's codes,
reasons, limits and shapes. Nothing here decides who may do what; where SpiceDB answers otherwise than the law of
relgraph, the law stands, and README's page of differences says so.

`dialect.py` puts the services together and is what the rest of the server imports: only where `authzed` is installed.
"""
