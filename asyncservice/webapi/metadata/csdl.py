"""`$metadata`: the catalog and the messages as a CSDL 4.0 document, in which every type that is named is defined.

Made with the standard library's element tree: the text of names and labels is escaped by it.
"""

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import Navigation, NavigationKind, OneToMany
from asyncservice.webapi.messages.registry import Kind, Message, Messages
from asyncservice.webapi.messages.standard import STANDARD
from asyncservice.webapi.messages.types import (
    ANY_ENTITY,
    NAMESPACE,
    CollectionType,
    ComplexType,
    EntityType,
    EnumType,
    Type,
    complex_types,
    enum_types,
)

EDMX: Final = "http://docs.oasis-open.org/odata/ns/edmx"
EDM: Final = "http://docs.oasis-open.org/odata/ns/edm"
_CORE: Final = "https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.Core.V1.xml"
_ALIAS: Final = "mscrm"

_EDM_TYPES: Final[Mapping[AttributeType, str]] = {
    AttributeType.INTEGER: "Edm.Int32",
    AttributeType.PICKLIST: "Edm.Int32",
    AttributeType.STATE: "Edm.Int32",
    AttributeType.STATUS: "Edm.Int32",
    AttributeType.BIGINT: "Edm.Int64",
    AttributeType.DECIMAL: "Edm.Decimal",
    AttributeType.MONEY: "Edm.Decimal",
    AttributeType.DOUBLE: "Edm.Double",
    AttributeType.BOOLEAN: "Edm.Boolean",
    AttributeType.UNIQUEIDENTIFIER: "Edm.Guid",
    AttributeType.FILE: "Edm.Guid",
    AttributeType.LOOKUP: "Edm.Guid",
    AttributeType.CUSTOMER: "Edm.Guid",
    AttributeType.OWNER: "Edm.Guid",
}


def document(catalog: Catalog, messages: Messages = STANDARD) -> bytes:
    """Return the document. The same catalog makes the same document."""
    register_namespace("edmx", EDMX)
    root = Element(f"{{{EDMX}}}Edmx", Version="4.0")
    reference = SubElement(root, f"{{{EDMX}}}Reference", Uri=_CORE)
    SubElement(reference, f"{{{EDMX}}}Include", Namespace="Org.OData.Core.V1", Alias="Core")
    services = SubElement(root, f"{{{EDMX}}}DataServices")
    schema = SubElement(services, "Schema", xmlns=EDM, Namespace=NAMESPACE, Alias=_ALIAS)
    SubElement(schema, "EntityType", Name=ANY_ENTITY, Abstract="true")
    for entity in catalog:
        _entity_type(schema, catalog, entity)
    offered = [each for each in messages if _is_known(each, catalog)]
    for name, kind in sorted(complex_types().items()):
        _complex_type(schema, catalog, name, kind)
    for name, enumeration in sorted(enum_types().items()):
        _enum_type(schema, name, enumeration)
    for each in offered:
        _operation(schema, catalog, each)
    _container(schema, catalog, offered)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def property_type(column: Attribute) -> str:
    """Return the EDM type of a column's property."""
    if column.type is AttributeType.DATETIME:
        return "Edm.Date" if column.is_date_only else "Edm.DateTimeOffset"
    return _EDM_TYPES.get(column.type, "Edm.String")


def property_name(column: Attribute) -> str:
    """Return the name of a column's property."""
    return f"_{column.name}_value" if column.type.is_lookup else column.name


def _entity_type(schema: Element, catalog: Catalog, entity: Entity) -> None:
    node = SubElement(schema, "EntityType", Name=entity.name, BaseType=f"{_ALIAS}.{ANY_ENTITY}")
    SubElement(SubElement(node, "Key"), "PropertyRef", Name=entity.primary_id)
    for column in entity.attributes.values():
        _property(node, entity, column)
    for name, navigation in sorted(catalog.navigations(entity.name).items()):
        _navigation(node, catalog, name, navigation)


def _property(node: Element, entity: Entity, column: Attribute) -> None:
    about = SubElement(node, "Property", Name=property_name(column), Type=property_type(column))
    if column.name == entity.primary_id:
        about.set("Nullable", "false")
    if property_type(column) == "Edm.String" and column.max_length is not None:
        about.set("MaxLength", str(column.max_length))
    if property_type(column) == "Edm.Decimal":
        about.set("Scale", "Variable")
    if column.type.is_lookup or not (column.valid_for_create or column.valid_for_update):
        # Generic clients send every other property back when they save a row.
        SubElement(about, "Annotation", Term="Org.OData.Core.V1.Computed", Bool="true")


def _navigation(node: Element, catalog: Catalog, name: str, navigation: Navigation) -> None:
    target = f"{_ALIAS}.{navigation.target}"
    kind = f"Collection({target})" if navigation.is_collection else target
    about = SubElement(node, "NavigationProperty", Name=name, Type=kind)
    partner = _partner(navigation, name)
    if partner is not None:
        about.set("Partner", partner)
    relationship = navigation.relationship
    if isinstance(relationship, OneToMany) and navigation.kind is NavigationKind.TO_ONE:
        lookup = catalog.entity(relationship.referencing_entity).attribute(relationship.referencing_attribute)
        SubElement(
            about,
            "ReferentialConstraint",
            Property=property_name(lookup),
            ReferencedProperty=relationship.referenced_attribute,
        )


def _partner(navigation: Navigation, name: str) -> str | None:
    relationship = navigation.relationship
    if isinstance(relationship, OneToMany):
        if navigation.is_collection:
            return relationship.lookup_navigation
        # The second name of an activity's property has no partner: that one has the first as its own.
        return relationship.collection_navigation if name == relationship.lookup_navigation else None
    names = (relationship.entity1_navigation, relationship.entity2_navigation)
    return names[1] if name == names[0] else names[0]


def _complex_type(schema: Element, catalog: Catalog, name: str, kind: ComplexType) -> None:
    node = SubElement(schema, "ComplexType", Name=name)
    inherited = set[str]()
    if kind.base is not None:
        node.set("BaseType", kind.base.edm)
        inherited = {member.name for member in kind.base.members}
    if kind.is_abstract:
        node.set("Abstract", "true")
    if kind.is_open:
        node.set("OpenType", "true")
    for member in kind.members:
        if member.name not in inherited:
            tag = "NavigationProperty" if _is_entity(member.type) else "Property"
            about = SubElement(node, tag, Name=member.name, Type=_name(member.type, catalog))
            if member.is_required and not isinstance(member.type, CollectionType):
                about.set("Nullable", "false")


def _enum_type(schema: Element, name: str, enumeration: EnumType) -> None:
    node = SubElement(schema, "EnumType", Name=name)
    for each in enumeration.python:
        SubElement(node, "Member", Name=each.name, Value=str(int(each)))


def _operation(schema: Element, catalog: Catalog, message: Message) -> None:
    node = SubElement(schema, message.kind.value, Name=message.name)
    if message.bound_to is not None:
        bound = f"{NAMESPACE}.{message.bound_to}"
        kind = f"Collection({bound})" if message.is_of_collection else bound
        node.set("IsBound", "true")
        SubElement(node, "Parameter", Name="entityset" if message.is_of_collection else "entity", Type=kind)
    for parameter in message.parameters:
        about = SubElement(node, "Parameter", Name=parameter.name, Type=_name(parameter.type, catalog))
        if parameter.is_required:
            about.set("Nullable", "false")
    if message.returns is not None:
        SubElement(node, "ReturnType", Type=_name(message.returns, catalog))


def _container(schema: Element, catalog: Catalog, messages: list[Message]) -> None:
    container = SubElement(schema, "EntityContainer", Name="System")
    for entity in catalog:
        node = SubElement(container, "EntitySet", Name=entity.set_name, EntityType=f"{NAMESPACE}.{entity.name}")
        for name, navigation in sorted(catalog.navigations(entity.name).items()):
            target = catalog.entity(navigation.target).set_name
            SubElement(node, "NavigationPropertyBinding", Path=name, Target=target)
    for message in messages:
        if message.bound_to is None:
            tag = "FunctionImport" if message.kind is Kind.FUNCTION else "ActionImport"
            SubElement(container, tag, Name=message.name).set(message.kind.value, f"{NAMESPACE}.{message.name}")


def _is_known(message: Message, catalog: Catalog) -> bool:
    """Whether the entity that a message is bound to is in the catalog."""
    return message.bound_to is None or message.bound_to == ANY_ENTITY or message.bound_to in catalog


def _name(kind: Type, catalog: Catalog) -> str:
    """Return the name of a type; an entity that the catalog lacks counts as any."""
    match kind:
        case CollectionType():
            return f"Collection({_name(kind.item, catalog)})"
        case EntityType(name=str(name)) if name not in catalog:
            return f"{NAMESPACE}.{ANY_ENTITY}"
        case _:
            return kind.edm


def _is_entity(kind: Type) -> bool:
    return isinstance(kind.item if isinstance(kind, CollectionType) else kind, EntityType)
