// A bulk delete through the vendor's SDK core: a peer in tests/bench/compare.py.
//
//     NODE_PATH=FOLDER/node_modules node sdk_delete.cjs ENDPOINT LIST BATCH CONNECTIONS [CA]
//
// The keys come from HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK. The SDK signs, sends and reads; that connections are
// kept it leaves to its caller. There is no journal, and of an answer only the number of ids is looked at: both favour
// it.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { BasicCredentials } = require("@huaweicloud/huaweicloud-sdk-core/auth/BasicCredentials");
const { ClientBuilder } = require("@huaweicloud/huaweicloud-sdk-core/ClientBuilder");

const [endpoint, list, size, connections, ca] = process.argv.slice(2);
// The SDK prints every error, headers and all.
require("log4js").configure({
    appenders: { none: { type: "stderr" } }, categories: { default: { appenders: ["none"], level: "off" } },
});

const keep = { keepAlive: true, maxSockets: Number(connections) };
const client = new ClientBuilder((made) => made)
    .withEndpoint(endpoint)
    .withCredential(new BasicCredentials().withAk(process.env.HUAWEICLOUD_SDK_AK).withSk(process.env.HUAWEICLOUD_SDK_SK)
        .withProjectId("p"))
    .withOptions({ axiosRequestConfig: {
        httpAgent: new http.Agent(keep), httpsAgent: new https.Agent({ ...keep, ca: ca && fs.readFileSync(ca) }) } })
    .build();

async function* batches() {
    let ids = [], rest = "";
    for await (const piece of fs.createReadStream(list, { encoding: "latin1", highWaterMark: 256 * 1024 })) {
        const lines = (rest + piece).split("\n");
        rest = lines.pop();
        ids = ids.length > 0 ? ids.concat(lines) : lines;
        let at = 0;
        for (; ids.length - at >= size; at += Number(size)) yield ids.slice(at, at + Number(size));
        ids = ids.slice(at);
    }
    if (rest !== "") ids.push(rest);
    for (let at = 0; at < ids.length; at += Number(size)) yield ids.slice(at, at + Number(size));
}

async function work(source) {
    for await (const ids of source) {
        const answer = await client.sendRequest({
            method: "POST", url: "/v1/{project_id}/workspaces/{workspace_id}/soc/incidents/batch-delete",
            contentType: "application/json;charset=UTF-8", headers: {}, queryParams: {},
            pathParams: { project_id: "p", workspace_id: "w" }, data: { batch_ids: ids },
        });
        const told = answer.data.success_ids.length + answer.data.error_ids.length;
        if (told !== ids.length) throw new Error(`an answer of ${told} ids to a request of ${ids.length}`);
    }
}

const source = batches();
Promise.all(Array.from({ length: Number(connections) }, () => work(source))).then(() => process.exit(0), (error) => {
    console.error(String(error.errorMsg ?? error.stack ?? error));
    process.exit(1);
});
