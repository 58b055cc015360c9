"""Queries: one model, read from OData, FetchXML and QueryExpression, answered by one evaluator.

`model` is the query as a value. The readers (`odata`, `fetchxml`, `queryexpression`) make one of text and know the
catalog, so that a query that exists names only columns that exist. `evaluation` answers it from a `Source` for each
table. Documented in the reference of queries; where sources disagree the choices stand in `semantics`.
"""
