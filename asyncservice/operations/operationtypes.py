"""The kinds of system job, with Dataverse's numbers and labels (global choice asyncoperation_operationtype)."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final, Self


class Family(StrEnum):
    """Operation types that share a queue and its function, so that a flood of one cannot starve the others."""

    SYSTEM_EVENTS = "system-events"
    WORKFLOWS = "workflows"
    EXECUTE_REQUESTS = "execute-requests"
    EMAIL = "email"
    IMPORTS = "imports"
    CAMPAIGNS = "campaigns"
    DUPLICATES = "duplicates"
    BULK_DELETES = "bulk-deletes"
    ROLL_UPS = "roll-ups"
    MAINTENANCE = "maintenance"

    @property
    def queue_name(self) -> str:
        """The queue that carries the hints of this family."""
        return f"async-{self.value}"


class OperationType(IntEnum):
    """What an operation does. The numbers are Dataverse's and never change; labels are verbatim."""

    label: str
    family: Family

    def __new__(cls, value: int, label: str, family: Family) -> Self:
        """Make a member that carries its label and its family."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.label = label
        member.family = family
        return member

    @classmethod
    def parse(cls, value: int | str) -> Self | None:
        """Return the type a number, a label or a label without blanks names ("Bulk Delete", "BulkDelete", "13")."""
        if isinstance(value, str) and not value.isdecimal():
            return cls._by_name().get(_plain(value))
        try:
            return cls(int(value))  # type: ignore[call-arg]
        except ValueError:
            return None

    @classmethod
    def _by_name(cls) -> Mapping[str, Self]:
        return {_plain(name): member for member in cls for name in (member.name, member.label)}

    SYSTEM_EVENT = 1, "System Event", Family.SYSTEM_EVENTS
    BULK_EMAIL = 2, "Bulk Email", Family.EMAIL
    IMPORT_FILE_PARSE = 3, "Import File Parse", Family.IMPORTS
    TRANSFORM_PARSE_DATA = 4, "Transform Parse Data", Family.IMPORTS
    IMPORT = 5, "Import", Family.IMPORTS
    ACTIVITY_PROPAGATION = 6, "Activity Propagation", Family.CAMPAIGNS
    DUPLICATE_DETECTION_RULE_PUBLISH = 7, "Duplicate Detection Rule Publish", Family.DUPLICATES
    BULK_DUPLICATE_DETECTION = 8, "Bulk Duplicate Detection", Family.DUPLICATES
    SQM_DATA_COLLECTION = 9, "SQM Data Collection", Family.MAINTENANCE
    WORKFLOW = 10, "Workflow", Family.WORKFLOWS
    QUICK_CAMPAIGN = 11, "Quick Campaign", Family.CAMPAIGNS
    MATCHCODE_UPDATE = 12, "Matchcode Update", Family.DUPLICATES
    BULK_DELETE = 13, "Bulk Delete", Family.BULK_DELETES
    DELETION_SERVICE = 14, "Deletion Service", Family.MAINTENANCE
    INDEX_MANAGEMENT = 15, "Index Management", Family.MAINTENANCE
    COLLECT_ORGANIZATION_STATISTICS = 16, "Collect Organization Statistics", Family.MAINTENANCE
    IMPORT_SUBPROCESS = 17, "Import Subprocess", Family.IMPORTS
    CALCULATE_ORGANIZATION_STORAGE_SIZE = 18, "Calculate Organization Storage Size", Family.MAINTENANCE
    COLLECT_ORGANIZATION_DATABASE_STATISTICS = 19, "Collect Organization Database Statistics", Family.MAINTENANCE
    COLLECT_ORGANIZATION_SIZE_STATISTICS = 20, "Collection Organization Size Statistics", Family.MAINTENANCE
    DATABASE_TUNING = 21, "Database Tuning", Family.MAINTENANCE
    CALCULATE_ORGANIZATION_MAXIMUM_STORAGE_SIZE = 22, "Calculate Organization Maximum Storage Size", Family.MAINTENANCE
    BULK_DELETE_SUBPROCESS = 23, "Bulk Delete Subprocess", Family.BULK_DELETES
    UPDATE_STATISTIC_INTERVALS = 24, "Update Statistic Intervals", Family.MAINTENANCE
    ORGANIZATION_FULL_TEXT_CATALOG_INDEX = 25, "Organization Full Text Catalog Index", Family.MAINTENANCE
    DATABASE_LOG_BACKUP = 26, "Database log backup", Family.MAINTENANCE
    UPDATE_CONTRACT_STATES = 27, "Update Contract States", Family.MAINTENANCE
    SHRINK_DATABASE = 28, "DBCC SHRINKDATABASE maintenance job", Family.MAINTENANCE
    SHRINK_FILE = 29, "DBCC SHRINKFILE maintenance job", Family.MAINTENANCE
    REINDEX_ALL = 30, "Reindex all indices maintenance job", Family.MAINTENANCE
    STORAGE_LIMIT_NOTIFICATION = 31, "Storage Limit Notification", Family.MAINTENANCE
    CLEANUP_INACTIVE_WORKFLOW_ASSEMBLIES = 32, "Cleanup inactive workflow assemblies", Family.MAINTENANCE
    RECURRING_SERIES_EXPANSION = 35, "Recurring Series Expansion", Family.MAINTENANCE
    IMPORT_SAMPLE_DATA = 38, "Import Sample Data", Family.IMPORTS
    GOAL_ROLL_UP = 40, "Goal Roll Up", Family.ROLL_UPS
    AUDIT_PARTITION_CREATION = 41, "Audit Partition Creation", Family.MAINTENANCE
    CHECK_FOR_LANGUAGE_PACK_UPDATES = 42, "Check For Language Pack Updates", Family.MAINTENANCE
    PROVISION_LANGUAGE_PACK = 43, "Provision Language Pack", Family.MAINTENANCE
    UPDATE_ORGANIZATION_DATABASE = 44, "Update Organization Database", Family.MAINTENANCE
    UPDATE_SOLUTION = 45, "Update Solution", Family.MAINTENANCE
    REGENERATE_ENTITY_ROW_COUNT_SNAPSHOT_DATA = 46, "Regenerate Entity Row Count Snapshot Data", Family.MAINTENANCE
    REGENERATE_READ_SHARE_SNAPSHOT_DATA = 47, "Regenerate Read Share Snapshot Data", Family.MAINTENANCE
    POST_TO_YAMMER = 49, "Post to Yammer", Family.EMAIL
    OUTGOING_ACTIVITY = 50, "Outgoing Activity", Family.EMAIL
    INCOMING_EMAIL_PROCESSING = 51, "Incoming Email Processing", Family.EMAIL
    MAILBOX_TEST_ACCESS = 52, "Mailbox Test Access", Family.EMAIL
    ENCRYPTION_HEALTH_CHECK = 53, "Encryption Health Check", Family.MAINTENANCE
    EXECUTE_ASYNC_REQUEST = 54, "Execute Async Request", Family.EXECUTE_REQUESTS
    UPDATE_ENTITLEMENT_STATES = 56, "Update Entitlement States", Family.MAINTENANCE
    CALCULATE_ROLLUP_FIELD = 57, "Calculate Rollup Field", Family.ROLL_UPS
    MASS_CALCULATE_ROLLUP_FIELD = 58, "Mass Calculate Rollup Field", Family.ROLL_UPS
    IMPORT_TRANSLATION = 59, "Import Translation", Family.MAINTENANCE
    CONVERT_DATE_AND_TIME_BEHAVIOR = 62, "Convert Date And Time Behavior", Family.MAINTENANCE
    ENTITY_KEY_INDEX_CREATION = 63, "EntityKey Index Creation", Family.MAINTENANCE
    UPDATE_KNOWLEDGE_ARTICLE_STATES = 65, "Update Knowledge Article States", Family.MAINTENANCE
    RESOURCE_BOOKING_SYNC = 68, "Resource Booking Sync", Family.MAINTENANCE
    RELATIONSHIP_ASSISTANT_CARDS = 69, "Relationship Assistant Cards", Family.MAINTENANCE
    CLEANUP_SOLUTION_COMPONENTS = 71, "Cleanup Solution Components", Family.MAINTENANCE
    APP_MODULE_METADATA = 72, "App Module Metadata Operation", Family.MAINTENANCE
    ALM_ANOMALY_DETECTION = 73, "ALM Anomaly Detection Operation", Family.MAINTENANCE
    FLOW_NOTIFICATION = 75, "Flow Notification", Family.SYSTEM_EVENTS
    RIBBON_CLIENT_METADATA = 76, "Ribbon Client Metadata Operation", Family.MAINTENANCE
    CALLBACK_REGISTRATION_EXPANDER = 79, "CallbackRegistration Expander Operation", Family.SYSTEM_EVENTS
    MIGRATE_NOTES_TO_ATTACHMENTS = 85, "Migrate notes to attachments job", Family.MAINTENANCE
    MIGRATE_ARTICLE_CONTENT_TO_FILE_STORAGE = 86, "Migrate article content to file storage", Family.MAINTENANCE
    UPDATE_DEACTIVATED_ON_FOR_RESOLVED_CASES = 87, "Updated Deactived On for Resolved Cases job", Family.MAINTENANCE
    CASCADE_REPARENT_DB = 88, "Cascade Reparent DB Async Operation", Family.MAINTENANCE
    CASCADE_MERGE = 89, "Cascade Merge Async Operation", Family.MAINTENANCE
    CASCADE_ASSIGN = 90, "CascadeAssign", Family.MAINTENANCE
    CASCADE_DELETE = 91, "CascadeDelete", Family.MAINTENANCE
    EVENT_EXPANDER = 92, "Event Expander Operation", Family.SYSTEM_EVENTS
    IMPORT_SOLUTION_METADATA = 93, "Import Solution Metadata", Family.MAINTENANCE
    BULK_DELETE_FILE_ATTACHMENT = 94, "Bulk Delete File Attachment", Family.BULK_DELETES
    REFRESH_BUSINESS_UNIT_FOR_RECORDS_OWNED_BY_PRINCIPAL = (
        95,
        "Refresh Business Unit for Records Owned By Principal",
        Family.MAINTENANCE,
    )
    REVOKE_INHERITED_ACCESS = 96, "Revoke Inherited Access", Family.MAINTENANCE
    CREATE_OR_REFRESH_VIRTUAL_ENTITY = 98, "Create Or Refresh Virtual Entity", Family.MAINTENANCE
    CASCADE_FLOWSESSION_PERMISSIONS = 100, "Cascade FlowSession Permissions Async Operation", Family.MAINTENANCE
    UPDATE_MODERN_FLOW = 101, "Update Modern Flow Async Operation", Family.MAINTENANCE
    ASYNC_ARCHIVE = 102, "AsyncArchive Async Operation", Family.MAINTENANCE
    CANCEL_ASYNC_OPERATIONS = 103, "Cancel Async Operations (System)", Family.MAINTENANCE
    PROCESS_TABLE_FOR_RECYCLE_BIN = 104, "Process Table For RecycleBin", Family.MAINTENANCE
    CASCADE_ASSIGN_ALL = 105, "Cascade Assign All Async Operation", Family.MAINTENANCE
    BACKGROUND_TEAM_SERVICE = 106, "Background Team Service Async Operation", Family.MAINTENANCE
    ASYNC_RESTORE_JOB = 187, "Async Restore Job", Family.MAINTENANCE
    PROVISION_LANGUAGE_FOR_USER = 201, "Provision language for user", Family.MAINTENANCE
    EXPORT_SOLUTION = 202, "Export Solution Async Operation", Family.MAINTENANCE
    IMPORT_SOLUTION = 203, "Import Solution Async Operation", Family.MAINTENANCE
    PUBLISH_ALL = 204, "PublishAll Async Operation", Family.MAINTENANCE
    DELETE_AND_PROMOTE = 207, "DeleteAndPromote Async Operation", Family.MAINTENANCE
    UNINSTALL_SOLUTION = 208, "UninstallSolution Async Operation", Family.MAINTENANCE
    PROVISION_LANGUAGE = 209, "ProvisionLanguage Async Operation", Family.MAINTENANCE
    IMPORT_TRANSLATION_ASYNC = 210, "ImportTranslation Async Operation", Family.MAINTENANCE
    STAGE_AND_UPGRADE = 211, "StageAndUpgrade Async Operation", Family.MAINTENANCE
    DENORMALIZATION = 239, "Denormalization Async Operation", Family.MAINTENANCE
    REFRESH_RUNTIME_INTEGRATION_COMPONENTS = (
        250,
        "Refresh Runtime Integration Components Async Operation",
        Family.MAINTENANCE,
    )
    BULK_ARCHIVE = 300, "Bulk Archive Operation", Family.MAINTENANCE
    ARCHIVE_EXECUTION = 301, "Archive Execution Async Operation", Family.MAINTENANCE
    FINOPS_DEPLOYMENT = 302, "FinOps Deployment Async Operation", Family.MAINTENANCE
    PURGE_ARCHIVED_CONTENT = 304, "Purge Archived Content Operation", Family.MAINTENANCE
    REGISTER_OFFERING = 305, "Register Offering Async Operation", Family.MAINTENANCE
    EXECUTE_DATAPROCESSING_CONFIGURATION = 306, "Execute DataProcessing Configuration", Family.MAINTENANCE
    SYNC_SYNAPSE_TABLES_SCHEMA = 307, "Sync Synapse Tables Schema", Family.MAINTENANCE
    FINOPS_DB_SYNC = 308, "FinOps DB Sync Async Operation", Family.MAINTENANCE
    FINOPS_UNIT_TEST = 309, "FinOps Unit Test Async Operation", Family.MAINTENANCE
    CATALOG_SERVICE_GENERATE_PACKAGE = 320, "Catalog Service Generate Package Async Operation", Family.MAINTENANCE
    CATALOG_SERVICE_SUBMIT_APPROVAL_REQUEST = (
        321,
        "Catalog Service Submit Approval Request Async Operation",
        Family.MAINTENANCE,
    )
    CATALOG_SERVICE_INSTALL_REQUEST = 322, "Catalog Service Install Request Async Operation", Family.MAINTENANCE
    PROVISION_TDS_FUNCTIONS = (
        330,
        "TDS endpoint provisioning new TVF functions and grant permission Async Operation",
        Family.MAINTENANCE,
    )
    FINOPS_DEPLOY_CUSTOM_PACKAGE = 332, "FinOps Deploy Custom Package Async Operation", Family.MAINTENANCE
    DELETE_RELATED_ELASTIC_ROWS_OF_SQL_ROW = (
        333,
        "Deletes related Elastic Table records when a SQL record is deleted",
        Family.MAINTENANCE,
    )
    DELETE_RELATED_ROWS_OF_ELASTIC_ROW = (
        334,
        "Deletes related Elastic or SQL Table records when an Elastic Table record is deleted",
        Family.MAINTENANCE,
    )
    POLL_SOLUTION_CHECKER_REQUEST = (
        335,
        "Catalog service asyc operation to poll for a solution checker request",
        Family.MAINTENANCE,
    )
    SUBMIT_SOLUTION_CHECKER_REQUEST = (
        336,
        "Catalog service asyc operation to submit a solution checker request",
        Family.MAINTENANCE,
    )
    INSTALL_SOLUTION_AFTER_APP_UPDATES = (
        337,
        "Solution service async operation to install solution after app updates",
        Family.MAINTENANCE,
    )
    CASCADE_GRANT_OR_REVOKE_ACCESS_VERSION_TRACKING = (
        12801,
        "Cascade Grant or Revoke Access Version Tracking Async Operation",
        Family.MAINTENANCE,
    )
    AI_BUILDER_TRAINING_EVENTS = 190690091, "AI Builder Training Events", Family.MAINTENANCE
    AI_BUILDER_PREDICTION_EVENTS = 190690092, "AI Builder Prediction Events", Family.MAINTENANCE


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


#: Jobs that the platform makes for itself: cancel, pause and resume are refused (reference: published examples).
PLATFORM_TYPES: Final = frozenset(
    {
        OperationType.SQM_DATA_COLLECTION,
        OperationType.COLLECT_ORGANIZATION_STATISTICS,
        OperationType.CALCULATE_ORGANIZATION_STORAGE_SIZE,
        OperationType.COLLECT_ORGANIZATION_DATABASE_STATISTICS,
        OperationType.COLLECT_ORGANIZATION_SIZE_STATISTICS,
        OperationType.CALCULATE_ORGANIZATION_MAXIMUM_STORAGE_SIZE,
        OperationType.UPDATE_STATISTIC_INTERVALS,
        OperationType.ORGANIZATION_FULL_TEXT_CATALOG_INDEX,
        OperationType.UPDATE_CONTRACT_STATES,
        OperationType.STORAGE_LIMIT_NOTIFICATION,
    }
)

#: Cascades may be cancelled only while they are suspended.
CASCADE_TYPES: Final = frozenset(
    {
        OperationType.CASCADE_REPARENT_DB,
        OperationType.CASCADE_MERGE,
        OperationType.CASCADE_ASSIGN,
        OperationType.CASCADE_DELETE,
        OperationType.CASCADE_ASSIGN_ALL,
    }
)
