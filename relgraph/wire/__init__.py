"""Nouns and answers as relgraph.v1 messages, both ways; the only package that translates between the two.

Server and client share it, so that neither can read what the other does not write: `*_message` builds a message,
`read_*` reads one. Nothing here decides anything: no engine, no store, no connection.

    questions   what a client asks and writes
    brought     what a question brings along
    answers     what the server says to it
    failures    a failed call as the error it was
    parts       what both need: enum numbers, texts, the tuple
"""
