"""The asynchronous service of Dynamics 365 / Dataverse as an open, serverless Python application."""
