"""What the databases share: reading, paging, numbering and writing in SQL that all of them speak.

    link        the few ways in which statements run, and a link that was given back
    reading     snapshots and what they have in common with transactions; `paging` reads by filter
    writing     transactions; `interning` gives numbers to names
    verifying   what must not be there

Here lives no driver, no connection and no layout: those are a backend's. The SQL is spelled as SQLite spells it, with
`?` for values; a link to another database respells it.
"""
