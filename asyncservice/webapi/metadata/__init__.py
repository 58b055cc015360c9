"""What there is, told to clients: the service document, `$metadata`, and definitions of tables, columns and relations.

Follows section 24 of the reference web-api-wire. `parts` says which paths are answered here, `describing` makes the
metadata of the catalog, `selecting` picks what is asked for, `csdl` writes the document that generic clients read.
"""
