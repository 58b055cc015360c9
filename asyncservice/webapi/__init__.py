"""The Dataverse-compatible Web API: OData 4.0 with Dataverse's extensions. An edge; only function_app imports it."""
