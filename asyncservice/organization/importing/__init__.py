"""Data import: from a delimited file to records, in three steps that are three system jobs.

    parse       splits the file into rows            blob `<importfileid>/parsed/000000.jsonl`, …
    transform   turns texts into the target's values blob `<importfileid>/transformed/000000.jsonl`, …
    import      makes the records                    table of the target entity

A chunk of a later step has the number of the earlier step's chunk it was made from. Whatever a step writes has a name
that follows from the file and the row, so a step that is run again from its last checkpoint writes the same again.
"""
