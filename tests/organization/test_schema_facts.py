"""Relationships, columns and choices are called and behave as Dataverse's reference says.

Each row was checked against the published reference of its table. A row that fails means that a client written for
Dataverse would meet another name, or that a deletion would take more or less with it.
"""

from typing import Any

import pytest

from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.organization.schema.relationships import OneToMany

CATALOG = standard_catalog()

#: Entity, lookup, the entity it leads to; the relationship, the property at the lookup, the property at the other end;
#: what happens when the other end is deleted. The properties at the other end are called as the relationship is.
RELATIONSHIPS = """
account          parentaccountid         account         account_parent_account         parentaccountid               RemoveLink
account          primarycontactid        contact         account_primary_contact        primarycontactid              RemoveLink
account          masterid                account         account_master_account         masterid                      RemoveLink
account          preferredsystemuserid   systemuser      system_user_accounts           preferredsystemuserid         NoCascade
account          originatingleadid       lead            account_originating_lead       originatingleadid             RemoveLink
account          owningbusinessunit      businessunit    business_unit_accounts         owningbusinessunit            NoCascade
account          owninguser              systemuser      user_accounts                  owninguser                    NoCascade
account          owningteam              team            team_accounts                  owningteam                    NoCascade
account          createdby               systemuser      lk_accountbase_createdby       createdby                     NoCascade
account          transactioncurrencyid   transactioncurrency transactioncurrency_account transactioncurrencyid        Restrict
account          ownerid                 owner           owner_accounts                 ownerid                       NoCascade
contact          parentcustomerid        account         contact_customer_accounts      parentcustomerid_account      Cascade
contact          parentcustomerid        contact         contact_customer_contacts      parentcustomerid_contact      RemoveLink
contact          originatingleadid       lead            contact_originating_lead       originatingleadid             RemoveLink
lead             customerid              account         lead_customer_accounts         customerid_account            Cascade
lead             customerid              contact         lead_customer_contacts         customerid_contact            Cascade
lead             parentaccountid         account         lead_parent_account            parentaccountid               RemoveLink
lead             parentcontactid         contact         lead_parent_contact            parentcontactid               RemoveLink
lead             campaignid              campaign        campaign_leads                 campaignid                    RemoveLink
lead             masterid                lead            lead_master_lead               masterid                      RemoveLink
lead             qualifyingopportunityid opportunity     lead_qualifying_opportunity    qualifyingopportunityid       RemoveLink
lead             relatedobjectid         campaignresponse CampaignResponse_Lead         relatedobjectid               RemoveLink
lead             owninguser              systemuser      lead_owning_user               owninguser                    NoCascade
lead             owningteam              team            lead_owning_team               owningteam                    NoCascade
lead             owningbusinessunit      businessunit    business_unit_leads            owningbusinessunit            Restrict
lead             createdonbehalfby       systemuser      lk_lead_createdonbehalfby      createdonbehalfby             NoCascade
lead             createdby               systemuser      lk_leadbase_createdby          createdby                     NoCascade
opportunity      customerid              account         opportunity_customer_accounts  customerid_account            Cascade
opportunity      customerid              contact         opportunity_customer_contacts  customerid_contact            Cascade
opportunity      parentaccountid         account         opportunity_parent_account     parentaccountid               RemoveLink
opportunity      originatingleadid       lead            opportunity_originating_lead   originatingleadid             RemoveLink
opportunity      campaignid              campaign        campaign_opportunities         campaignid                    RemoveLink
opportunity      ownerid                 owner           owner_opportunitys             ownerid                       NoCascade
opportunity      owninguser              systemuser      opportunity_owning_user        owninguser                    NoCascade
opportunity      owningbusinessunit      businessunit    business_unit_opportunities    owningbusinessunit            Restrict
incident         customerid              account         incident_customer_accounts     customerid_account            Cascade
incident         customerid              contact         incident_customer_contacts     customerid_contact            Cascade
incident         primarycontactid        contact         contact_as_primary_contact     primarycontactid              RemoveLink
incident         responsiblecontactid    contact         contact_as_responsible_contact responsiblecontactid          RemoveLink
incident         subjectid               subject         subject_incidents              subjectid                     Restrict
incident         contractid              contract        contract_cases                 contractid                    Cascade
incident         parentcaseid            incident        incident_parent_incident       parentcaseid                  Cascade
incident         masterid                incident        incident_master_incident       masterid                      RemoveLink
incident         existingcase            incident        incident_existingcase          existingcase                  RemoveLink
incident         owninguser              systemuser      system_user_incidents          owninguser                    NoCascade
incident         owningbusinessunit      businessunit    business_unit_incidents        owningbusinessunit            Restrict
contract         customerid              account         contract_customer_accounts     customerid_account            Cascade
contract         billingcustomerid       contact         contract_billingcustomer_contacts billingcustomerid_contact  Restrict
task             regardingobjectid       account         Account_Tasks                  regardingobjectid_account_task Cascade
task             regardingobjectid       contact         Contact_Tasks                  regardingobjectid_contact_task Cascade
task             regardingobjectid       lead            Lead_Tasks                     regardingobjectid_lead_task   Cascade
task             ownerid                 owner           owner_tasks                    ownerid_task                  NoCascade
task             owninguser              systemuser      user_task                      owninguser_task               NoCascade
task             owningteam              team            team_task                      owningteam_task               NoCascade
task             owningbusinessunit      businessunit    business_unit_task_activities  owningbusinessunit_task       NoCascade
task             createdby               systemuser      lk_task_createdby              createdby_task                NoCascade
phonecall        regardingobjectid       account         Account_Phonecalls             regardingobjectid_account_phonecall Cascade
phonecall        owningbusinessunit      businessunit    business_unit_phone_call_activities owningbusinessunit_phonecall NoCascade
letter           owningbusinessunit      businessunit    business_unit_letter_activities owningbusinessunit_letter    NoCascade
email            regardingobjectid       contact         Contact_Emails                 regardingobjectid_contact_email Cascade
email            emailsender             account         Account_Email_EmailSender      emailsender_account           RemoveLink
email            emailsender             contact         Contact_Email_EmailSender      emailsender_contact           RemoveLink
email            parentactivityid        email           email_email_parentactivityid   parentactivityid              RemoveLink
appointment      regardingobjectid       lead            Lead_Appointments              regardingobjectid_lead_appointment Cascade
activitypointer  regardingobjectid       contact         Contact_ActivityPointers       regardingobjectid_contact     RemoveLink
activityparty    partyid                 account         account_activity_parties       partyid_account               NoCascade
activityparty    partyid                 systemuser      system_user_activity_parties   partyid_systemuser            NoCascade
activityparty    activityid              task            task_activity_parties          activityid_task               Cascade
annotation       objectid                account         Account_Annotation             objectid_account              Cascade
annotation       objectid                incident        Incident_Annotation            objectid_incident             Cascade
campaignactivity regardingobjectid       campaign        Campaign_CampaignActivities    regardingobjectid_campaign_campaignactivity Cascade
campaignactivity ownerid                 owner           campaignactivity_owner_ownerid ownerid_campaignactivity      NoCascade
campaignresponse regardingobjectid       campaign        Campaign_CampaignResponses     regardingobjectid_campaign_campaignresponse Cascade
campaignresponse regardingobjectid       bulkoperation   BulkOperation_CampaignResponse regardingobjectid_bulkoperation_campaignresponse Cascade
campaignresponse originatingactivityid   appointment     appointment_campaignresponse   originatingactivityid_appointment Cascade
campaign         owninguser              systemuser      SystemUser_Campaigns           owninguser                    NoCascade
campaign         createdby               systemuser      lk_campaign_createdby          createdby                     NoCascade
bulkoperationlog bulkoperationid         bulkoperation   BulkOperation_logs             bulkoperationid               Cascade
bulkoperationlog campaignactivityid      campaignactivity CampaignActivity_logs         CampaignActivityId_Logs       Cascade
bulkoperationlog regardingobjectid       account         SourceAccount_BulkOperationLogs regardingobjectid_account    Cascade
bulkoperationlog createdobjectid         activitypointer CreatedActivity_BulkOperationLogs createdobjectid_activitypointer Cascade
bulkoperationlog createdobjectid         opportunity     CreatedOpportunity_BulkOperationLogs createdobjectid_opportunity Cascade
asyncoperation   regardingobjectid       account         Account_AsyncOperations        regardingobjectid_account     NoCascade
asyncoperation   owningextensionid       sdkmessageprocessingstep SdkMessageProcessingStep_AsyncOperations owningextensionid RemoveLink
processsession   regardingobjectid       contact         Contact_ProcessSessions        regardingobjectid_contact     NoCascade
bulkdeletefailure regardingobjectid      contact         Contact_BulkDeleteFailures     regardingobjectid_contact     Cascade
duplicaterecord  baserecordid            contact         Contact_DuplicateBaseRecord    baserecordid_contact          Cascade
duplicaterecord  duplicaterecordid       account         Account_DuplicateMatchingRecord duplicaterecordid_account    Cascade
importfile       importmapid             importmap       ImportMap_ImportFile           importmapid                   RemoveLink
importfile       recordsownerid          team            ImportFile_Team                recordsownerid_team           NoCascade
workflow         parentworkflowid        workflow        workflow_parent_workflow       parentworkflowid              NoCascade
goal             goalownerid             systemuser      user_goal_goalowner            goalownerid_systemuser        NoCascade
goal             rollupqueryactualintegerid goalrollupquery goalrollupquery_actualint   rollupqueryactualintegerid    RemoveLink
team             administratorid         systemuser      lk_teambase_administratorid    administratorid               NoCascade
queue            primaryuserid           systemuser      queue_primary_user             primaryuserid                 NoCascade
queue            owningbusinessunit      businessunit    business_unit_queues2          owningbusinessunit            NoCascade
list             owninguser              systemuser      user_list                      owninguser                    NoCascade
list             createdby               systemuser      lk_list_createdby              createdby                     NoCascade
bulkoperation    regardingobjectid       list            List_BulkOperations            regardingobjectid_list        Cascade
annotation       owninguser              systemuser      annotation_owning_user         owninguser                    NoCascade
duplicaterule    owningbusinessunit      businessunit    BusinessUnit_DuplicateRules    owningbusinessunit            NoCascade
import           owningbusinessunit      businessunit    BusinessUnit_Imports           owningbusinessunit            NoCascade
importdata       ownerid                 owner           owner_importdatas              ownerid                       NoCascade
sdkmessageprocessingstep eventhandler    plugintype      plugintype_sdkmessageprocessingstep eventhandler_plugintype  Cascade
sdkmessageprocessingstep eventhandler    serviceendpoint serviceendpoint_sdkmessageprocessingstep eventhandler_serviceendpoint Cascade
sdkmessageprocessingstep plugintypeid    plugintype      plugintypeid_sdkmessageprocessingstep plugintypeid           Restrict
sdkmessageprocessingstep sdkmessageid    sdkmessage      sdkmessageid_sdkmessageprocessingstep sdkmessageid           Restrict
sdkmessageprocessingstep impersonatinguserid systemuser  impersonatinguserid_sdkmessageprocessingstep impersonatinguserid NoCascade
sdkmessageprocessingstep createdby       systemuser      createdby_sdkmessageprocessingstep createdby                 NoCascade
"""  # noqa: E501 - a table is read by its columns


@pytest.mark.parametrize("row", RELATIONSHIPS.strip().splitlines(), ids=lambda row: row.split()[3])
def test_a_relationship_has_the_names_and_the_behaviour_of_dataverse(row: str) -> None:
    entity, column, target, relationship, navigation, delete = row.split()

    at_lookup = CATALOG.navigations(entity)[navigation]
    at_other_end = CATALOG.navigations(target)[relationship]

    found = at_lookup.relationship
    assert isinstance(found, OneToMany)
    assert found == at_other_end.relationship
    assert (found.schema_name, found.on_delete) == (relationship, delete)
    assert (found.referencing_entity, found.referencing_attribute) == (entity, column)
    assert (found.referenced_entity, at_lookup.is_collection, at_other_end.is_collection) == (target, False, True)


@pytest.mark.parametrize(
    ("entity", "column", "facts"),
    [
        ("account", "name", {"max_length": 160, "required": "ApplicationRequired"}),
        ("account", "emailaddress1", {"schema_name": "EMailAddress1", "max_length": 100, "format_name": "Email"}),
        ("account", "websiteurl", {"schema_name": "WebSiteURL", "max_length": 200, "format_name": "Url"}),
        ("account", "tickersymbol", {"max_length": 10, "format_name": "TickerSymbol"}),
        ("account", "address1_stateorprovince", {"schema_name": "Address1_StateOrProvince", "max_length": 50}),
        ("account", "address1_telephone1", {"max_length": 50, "format_name": "Phone"}),
        ("account", "lastusedincampaign", {"format": "DateOnly", "behavior": "UserLocal"}),
        ("account", "overriddencreatedon", {"format": "DateOnly", "behavior": "UserLocal"}),
        ("account", "exchangerate", {"min_value": 1e-10, "max_value": 100_000_000_000, "precision": 10}),
        ("account", "aging30_base", {"precision": 4, "schema_name": "Aging30_Base"}),
        ("annotation", "annotationid", {"schema_name": "AnnotationId", "required": "SystemRequired"}),
        ("lead", "estimatedclosedate", {"format": "DateOnly", "behavior": "DateOnly"}),
        ("lead", "schedulefollowup_prospect", {"format": "DateOnly", "behavior": "UserLocal"}),
        ("opportunity", "estimatedclosedate", {"behavior": "DateOnly", "is_date_only": True}),
        ("opportunity", "actualclosedate", {"behavior": "DateOnly", "is_date_only": True}),
        ("opportunity", "finaldecisiondate", {"behavior": "DateOnly", "is_date_only": True}),
        ("incident", "followupby", {"format": "DateOnly", "behavior": "UserLocal"}),
        ("campaign", "proposedstart", {"format": "DateOnly", "behavior": "UserLocal"}),
        ("task", "activityid", {"schema_name": "ActivityId"}),
        ("task", "actualend", {"format": "DateOnly", "behavior": "UserLocal"}),
        ("task", "scheduledend", {"format": "DateAndTime", "behavior": "UserLocal"}),
        ("email", "subject", {"max_length": 800, "required": "None"}),
        ("activityparty", "partyid", {"required": "None"}),
        ("activityparty", "addressused", {"max_length": 320}),
        ("campaignresponse", "regardingobjectid", {"required": "ApplicationRequired", "label": "Parent Campaign"}),
        ("bulkoperationlog", "errornumber", {"label": "Reason Id", "valid_for_create": False}),
    ],
)
def test_a_column_is_as_dataverse_has_it(entity: str, column: str, facts: dict[str, Any]) -> None:
    attribute = CATALOG.entity(entity).attribute(column)

    assert {name: getattr(attribute, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("entity", "reasons"),
    [
        ("account", {1: ("Active", 0), 2: ("Inactive", 1)}),
        (
            "task",
            {
                2: ("Not Started", 0),
                3: ("In Progress", 0),
                4: ("Waiting on someone else", 0),
                5: ("Completed", 1),
                6: ("Canceled", 2),
                7: ("Deferred", 0),
            },
        ),
        (
            "email",
            {
                1: ("Draft", 0),
                2: ("Completed", 1),
                3: ("Sent", 1),
                4: ("Received", 1),
                5: ("Canceled", 2),
                6: ("Pending Send", 1),
                7: ("Sending", 1),
                8: ("Failed", 0),
            },
        ),
        ("campaignresponse", {1: ("Open", 0), 2: ("Closed", 1), 3: ("Canceled", 2)}),
    ],
)
def test_status_reasons_belong_to_the_states_of_dataverse(entity: str, reasons: dict[int, tuple[str, int]]) -> None:
    options = CATALOG.entity(entity).attribute("statuscode").options

    assert {option.value: (option.label, option.state) for option in options} == reasons


@pytest.mark.parametrize("entity", list(CATALOG), ids=lambda entity: entity.name)
def test_a_schema_name_is_the_logical_name_with_capitals(entity: Any) -> None:
    for attribute in entity.attributes.values():
        assert attribute.schema_name.lower() == attribute.name
        assert attribute.schema_name[:1].isupper()
