// What a program written with dynamics-web-api does, one scenario a run: node dynamics.mjs <scenario> <url>.
// A scenario that finds something else than it should ends with an exception, and so the process with a code.

import assert from "node:assert/strict";
import { DynamicsWebApi } from "dynamics-web-api";

const NOWHERE = "00000000-0000-4000-8000-00000000dead";

const connect = (serverUrl, more = {}) =>
    new DynamicsWebApi({
        serverUrl,
        dataApi: { version: "9.2" },
        onTokenRefresh: async () => ({ accessToken: "whatever" }),
        ...more,
    });

const many = (length, make) => Array.from({ length }, (_, number) => make(number));

const scenarios = {
    async records(url) {
        const api = connect(url);
        const id = await api.create({ collection: "accounts", data: { name: "Ångström", creditlimit: 12.5 } });
        assert.match(id, /^[0-9a-f-]{36}$/);
        const row = await api.retrieve({ collection: "accounts", key: id, select: ["name", "creditlimit"] });
        assert.deepEqual([row.name, row.creditlimit], ["Ångström", 12.5]);
        const changed = await api.update({
            collection: "accounts", key: id, data: { name: "B" }, returnRepresentation: true, select: ["name"],
        });
        assert.equal(changed.name, "B");
        await api.updateSingleProperty({ collection: "accounts", key: id, fieldValuePair: { telephone1: "555" } });
        await api.deleteRecord({ collection: "accounts", key: id, property: "name" });
        const left = await api.retrieve({ collection: "accounts", key: id, select: ["name", "telephone1"] });
        assert.deepEqual([left.name, left.telephone1], [null, "555"]);
        await api.deleteRecord({ collection: "accounts", key: id });
        await assert.rejects(api.retrieve({ collection: "accounts", key: id }), { status: 404, code: "0x80040217" });
    },

    async conditions(url) {
        const api = connect(url);
        const id = await api.create({ collection: "accounts", data: { name: "A" } });
        const row = await api.retrieve({ collection: "accounts", key: id, select: ["name"] });
        const etag = row["@odata.etag"];
        await api.update({ collection: "accounts", key: id, data: { name: "B" }, ifmatch: etag });
        const late = await api.update({ collection: "accounts", key: id, data: { name: "C" }, ifmatch: etag });
        assert.equal(late, false);
        const kept = await api.retrieve({ collection: "accounts", key: id, ifnonematch: etag, select: ["name"] });
        assert.equal(kept.name, "B");
        const same = await api.retrieve({
            collection: "accounts", key: id, ifnonematch: kept["@odata.etag"], select: ["name"],
        });
        assert.equal(same, undefined);
        const chosen = crypto.randomUUID();
        assert.equal(await api.upsert({ collection: "accounts", key: chosen, data: { name: "U" } }), chosen);
        assert.equal(
            await api.upsert({ collection: "accounts", key: chosen, data: { name: "V" }, ifnonematch: "*" }), null,
        );
        await assert.rejects(
            api.create({ collection: "accounts", data: { nosuchcolumn: 1 } }),
            (error) => error.status === 400 && error.message.includes("nosuchcolumn"),
        );
    },

    async links(url) {
        const api = connect(url);
        const account = await api.create({ collection: "accounts", data: { name: "Linked" } });
        const contact = await api.create({
            collection: "contacts",
            data: { lastname: "Lind", "parentcustomerid_account@odata.bind": `/accounts(${account})` },
        });
        await api.associateSingleValued({
            collection: "accounts", primaryKey: account, navigationProperty: "primarycontactid",
            relatedCollection: "contacts", relatedKey: contact,
        });
        const row = await api.retrieve({
            collection: "accounts", key: account, select: ["name"], includeAnnotations: "*",
            expand: [
                { property: "primarycontactid", select: ["fullname"] },
                { property: "contact_customer_accounts", select: ["lastname"], filter: "lastname eq 'Lind'" },
            ],
        });
        assert.equal(row.primarycontactid.fullname, "Lind");
        assert.deepEqual(row.contact_customer_accounts.map((each) => each.lastname), ["Lind"]);
        await api.disassociateSingleValued({
            collection: "accounts", primaryKey: account, navigationProperty: "primarycontactid",
        });
        await api.disassociate({
            collection: "accounts", primaryKey: account, relationshipName: "contact_customer_accounts",
            relatedKey: contact,
        });
        await api.associate({
            collection: "accounts", primaryKey: account, relationshipName: "contact_customer_accounts",
            relatedCollection: "contacts", relatedKey: contact,
        });
        const after = await api.retrieve({ collection: "contacts", key: contact, includeAnnotations: "*" });
        assert.equal(after._parentcustomerid_value, account);
        assert.equal(after._parentcustomerid_value_Formatted, "Linked");
        assert.equal(after._parentcustomerid_value_LogicalName, "account");
    },

    async queries(url) {
        const api = connect(url);
        await Promise.all(many(25, (number) => api.create({
            collection: "accounts", data: { name: `Paged ${String(number).padStart(2, "0")}`, numberofemployees: number },
        })));
        const request = {
            collection: "accounts", select: ["name"], filter: "startswith(name,'Paged')", orderBy: ["name"],
        };
        const first = await api.retrieveMultiple({ ...request, maxPageSize: 10, count: true });
        assert.equal(first.value.length, 10);
        assert.equal(first.oDataCount, 25);
        const second = await api.retrieveMultiple({ ...request, maxPageSize: 10 }, first.oDataNextLink);
        assert.equal(second.value[0].name, "Paged 10");
        const all = await api.retrieveAll({ ...request, maxPageSize: 10 });
        assert.deepEqual(all.value.map((row) => row.name.slice(-2)), many(25, (n) => String(n).padStart(2, "0")));
        assert.equal(await api.count({ collection: "accounts", filter: "startswith(name,'Paged')" }), 25);
        assert.equal(await api.countAll({ collection: "accounts", filter: "startswith(name,'Paged')" }), 25);
        const summed = await api.retrieveMultiple({
            collection: "accounts", apply: "filter(startswith(name,'Paged'))/aggregate(numberofemployees with sum as n)",
        });
        assert.equal(summed.value[0].n, 300);
    },

    async fetchxml(url) {
        const api = connect(url);
        await Promise.all(many(7, (number) => api.create({ collection: "contacts", data: { lastname: `F${number}` } })));
        const fetchXml = "<fetch><entity name='contact'><attribute name='lastname'/><order attribute='lastname'/>"
            + "<filter><condition attribute='lastname' operator='like' value='F%'/></filter></entity></fetch>";
        const paged = fetchXml.replace("<fetch>", "<fetch count='3'>");
        const first = await api.fetch({ collection: "contacts", fetchXml: paged, includeAnnotations: "*" });
        assert.deepEqual(first.value.map((row) => row.lastname), ["F0", "F1", "F2"]);
        const second = await api.fetch({
            collection: "contacts", fetchXml: paged, includeAnnotations: "*",
            pageNumber: first.PagingInfo.nextPage, pagingCookie: first.PagingInfo.cookie,
        });
        assert.deepEqual(second.value.map((row) => row.lastname), ["F3", "F4", "F5"]);
        const all = await api.fetchAll({ collection: "contacts", fetchXml: paged, includeAnnotations: "*" });
        assert.equal(all.value.length, 7);
    },

    async batch(url) {
        const api = connect(url);
        api.startBatch();
        api.create({ collection: "contacts", data: { lastname: "Batched" }, contentId: "1" });
        api.create({
            collection: "accounts", data: { name: "Batched", "primarycontactid@odata.bind": "$1" }, contentId: "2",
        });
        const [contact, account] = await api.executeBatch();
        assert.match(contact, /^[0-9a-f-]{36}$/);
        api.startBatch();
        api.retrieve({ collection: "accounts", key: account, select: ["name", "_primarycontactid_value"] });
        api.count({ collection: "accounts", filter: "name eq 'Batched'" });
        api.retrieveMultiple({ collection: "contacts", filter: "lastname eq 'Batched'", select: ["lastname"] });
        const [row, count, list] = await api.executeBatch();
        assert.equal(row._primarycontactid_value, contact);
        assert.equal(count, 1);
        assert.equal(list.value[0].contactid, contact);
        api.startBatch();
        api.update({ collection: "accounts", key: account, data: { name: "Changed" } });
        api.update({ collection: "accounts", key: NOWHERE, data: { name: "x" } });
        await assert.rejects(api.executeBatch(), (errors) => [errors].flat()[0].status === 404);
        const kept = await api.retrieve({ collection: "accounts", key: account, select: ["name"] });
        assert.equal(kept.name, "Batched");
        api.startBatch();
        api.retrieve({ collection: "accounts", key: NOWHERE, inChangeSet: false });
        api.create({ collection: "accounts", data: { name: "Gone on" }, inChangeSet: false });
        const [failed, made] = await api.executeBatch({ continueOnError: true });
        assert.equal(failed.status, 404);
        assert.match(made, /^[0-9a-f-]{36}$/);
    },

    async messages(url) {
        const api = connect(url);
        const me = await api.callFunction({ functionName: "WhoAmI" });
        assert.match(me.UserId, /^[0-9a-f-]{36}$/);
        const told = await api.callFunction({
            functionName: "RetrieveTotalRecordCount", parameters: { EntityNames: ["systemuser"] },
        });
        assert.ok(told.EntityRecordCountCollection.Values[0] >= 2);
        const there = await api.callFunction({
            functionName: "RetrieveCurrentOrganization",
            parameters: { AccessType: "Microsoft.Dynamics.CRM.EndpointAccessType'Default'" },
        });
        assert.equal(there.Detail.Endpoints.Values[0], `${url}/`);
        const made = await api.callAction({
            collection: "accounts", actionName: "Microsoft.Dynamics.CRM.CreateMultiple",
            action: { Targets: [{ name: "One" }, { name: "Two" }] },
        });
        assert.equal(made.Ids.length, 2);
        await assert.rejects(api.callFunction({ functionName: "NoSuchFunction" }), { status: 404 });
        await assert.rejects(api.callAction({ actionName: "BulkDelete", action: {} }), { status: 400 });
    },

    async impersonation(url) {
        const api = connect(url);
        const users = await api.retrieveMultiple({ collection: "systemusers", select: ["fullname"] });
        const me = await api.callFunction({ functionName: "WhoAmI" });
        const other = users.value.find((user) => user.systemuserid !== me.UserId).systemuserid;
        const they = await connect(url, { impersonate: other }).callFunction({ functionName: "WhoAmI" });
        assert.equal(they.UserId, other);
        await assert.rejects(connect(url, { impersonate: NOWHERE }).callFunction({ functionName: "WhoAmI" }), {
            status: 403,
        });
    },

    async metadata(url) {
        const api = connect(url, { useEntityNames: true });
        await api.create({ collection: "account", data: { name: "By its logical name" } });
        const account = await api.retrieveEntity({ key: "LogicalName='account'", select: ["EntitySetName", "SchemaName"] });
        assert.deepEqual([account.EntitySetName, account.SchemaName], ["accounts", "Account"]);
        const plain = connect(url);
        const tables = await plain.retrieveEntities({ select: ["LogicalName"], filter: "LogicalName eq 'contact'" });
        assert.deepEqual(tables.value.map((table) => table.LogicalName), ["contact"]);
        const choices = await plain.retrieveAttributes({
            entityKey: account.MetadataId, castType: "Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
            select: ["LogicalName"], expand: [{ property: "OptionSet", select: ["Options"] }],
        });
        const industry = choices.value.find((column) => column.LogicalName === "industrycode");
        assert.ok(industry.OptionSet.Options.length > 5);
        const relations = await plain.retrieveRelationships({
            castType: "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
            filter: "SchemaName eq 'contact_customer_accounts'",
        });
        assert.equal(relations.value[0].ReferencedEntityNavigationPropertyName, "contact_customer_accounts");
        const csdl = await plain.retrieveCsdlMetadata();
        assert.ok(csdl.includes("<EntityType Name=\"account\""));
    },

    async jobs(url) {
        const api = connect(url);
        const made = await api.create({ collection: "imports", data: { name: "No files", modecode: 0 } });
        const job = await api.callAction({
            collection: "imports", key: made, actionName: "Microsoft.Dynamics.CRM.ParseImport",
        });
        const select = ["name", "statecode", "statuscode", "operationtype", "startedon", "completedon"];
        const read = (key) => api.retrieve({ collection: "asyncoperations", key, select, includeAnnotations: "*" });
        let row = await read(job.asyncoperationid);
        for (let tries = 0; row.statecode !== 3 && tries < 300; tries += 1) {
            await new Promise((resolve) => setTimeout(resolve, 200));
            row = await read(job.asyncoperationid);
        }
        assert.equal(row.statecode_Formatted, "Completed");
        assert.equal(row.operationtype, 3);
        assert.ok(row.startedon && row.completedon);

        const [later] = process.argv.slice(4);
        const before = await read(later);
        assert.deepEqual([before.statecode, before.statuscode], [1, 10]);
        await api.update({ collection: "asyncoperations", key: later, data: { statecode: 3, statuscode: 32 } });
        const after = await read(later);
        assert.deepEqual([after.statecode_Formatted, after.statuscode_Formatted], ["Completed", "Canceled"]);
        const list = await api.retrieveMultiple({
            collection: "asyncoperations", select, filter: "statecode eq 3 and operationtype eq 3",
            orderBy: ["createdon desc"], top: 20, maxPageSize: 20,
        });
        assert.ok(list.value.some((each) => each.asyncoperationid === job.asyncoperationid));
        await assert.rejects(
            api.update({ collection: "asyncoperations", key: NOWHERE, data: { statecode: 3, statuscode: 32 } }),
            (error) => error.status === 404 || error.status === 400,
        );
    },
};

const [name, url] = process.argv.slice(2);
if (!Object.hasOwn(scenarios, name)) {
    throw new Error(`There is no scenario ${name}; there are ${Object.keys(scenarios)}.`);
}
await scenarios[name](url);
