"""Publishing customizations. A change of the schema counts at once here, so there is nothing left to publish."""

from asyncservice.webapi.messages.registry import Call, Kind, message


@message("PublishAllXml", Kind.ACTION)
async def publish_all_xml(call: Call) -> None:
    """Agree."""


@message("PublishXml", Kind.ACTION, parameters={"ParameterXml": str})
async def publish_xml(call: Call) -> None:
    """Agree, whatever the parameter names."""
