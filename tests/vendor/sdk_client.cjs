// The vendor's SDK core (SDK-HMAC-SHA256 signer, HTTP client and all) as a client of cull-emulator, which checks its
// signatures: so the emulator's check is held to the vendor's signer, and ours, `cullctl sign`, to both.
//
// sdk_client.cjs CULL_EMULATOR CULLCTL
"use strict";
const assert = require("node:assert");
const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const test = require("node:test");
const { BasicCredentials } = require("@huaweicloud/huaweicloud-sdk-core/auth/BasicCredentials");
const { ClientBuilder } = require("@huaweicloud/huaweicloud-sdk-core/ClientBuilder");

const [emulatorPath, cullctl] = process.argv.slice(2);
const ak = "AKTESTEXAMPLE0000001";
const sk = "sKtEsTeXaMpLe0123456789abcdefABCDEF+/0=z";
// The SDK prints every error, headers and all.
require("log4js").configure({ appenders: { none: { type: "stderr" } }, categories: { default: { appenders: ["none"], level: "off" } } });
const workspace = "/v1/{project_id}/workspaces/{workspace_id}/soc/";
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "culld-vendor-"));
let emulator, endpoint;

// What the SDK calls a request, before it is signed.
function call(method, url, more = {}) {
    return {
        method, url, contentType: "application/json;charset=UTF-8", headers: {}, queryParams: {}, data: undefined,
        pathParams: { project_id: "3bb27e0f1c2d4e5f8a9b0c1d2e3f4a5b", workspace_id: "909494e3-558e-46b6-a9eb-07a8e18ca62f" },
        ...more,
    };
}

function sdk(secret = sk, securityToken) {
    const who = new BasicCredentials().withAk(ak).withSk(secret).withProjectId("3bb27e0f1c2d4e5f8a9b0c1d2e3f4a5b");
    if (securityToken) who.withSecurityToken(securityToken);
    return new ClientBuilder((client) => client).withEndpoint(endpoint).withCredential(who).build();
}

const remove = (ids) => call("POST", workspace + "incidents/batch-delete", { data: { batch_ids: ids } });

// Sends what the SDK signed, byte for byte or changed by `tamper` on the way.
async function sendSigned(options, tamper = () => {}) {
    const signed = await sdk().buildRequest(options);
    const url = new URL(signed.endpoint);
    for (const [name, value] of Object.entries(signed.queryParams ?? {})) url.searchParams.append(name, value);
    const out = {
        method: signed.method, path: url.pathname + url.search, headers: { ...signed.headers },
        body: signed.data === undefined ? "" : JSON.stringify(signed.data),
    };
    tamper(out);
    return new Promise((resolve, reject) => {
        const sent = http.request(endpoint, { method: out.method, path: out.path, headers: out.headers }, (answer) => {
            let text = "";
            answer.on("data", (piece) => { text += piece; });
            answer.on("end", () => resolve({ status: answer.statusCode, body: JSON.parse(text) }));
        });
        sent.on("error", reject);
        sent.end(out.body);
    });
}

test.before(async () => {
    emulator = spawn(emulatorPath, ["--listen", "127.0.0.1:0", "--ak", ak, "--sk", sk], { stdio: ["ignore", "pipe", "inherit"] });
    endpoint = await new Promise((resolve) => emulator.stdout.once("data", (line) =>
        resolve("http://" + String(line).trim().split(" ").pop())));
});
test.after(() => {
    emulator.kill();
    fs.rmSync(folder, { recursive: true });
});

test("its deletions are accepted, and done", async () => {
    const first = await sdk().sendRequest(remove(["a", "b", "c"]));
    assert.strictEqual(first.httpStatusCode, 200);
    assert.deepStrictEqual(first.data, { success_ids: ["a", "b", "c"], error_ids: [] });
    const again = await sdk().sendRequest(call("DELETE", workspace + "incidents", { data: { batch_ids: ["c", "d"] } }));
    assert.deepStrictEqual(again.data, { success_ids: ["d"], error_ids: ["c"] });
});

test("a batch of 999 is", async () => {
    const ids = Array.from({ length: 999 }, (_, i) => `909494e3-558e-46b6-a9eb-${String(i).padStart(12, "0")}`);
    assert.strictEqual((await sdk().sendRequest(remove(ids))).data.success_ids.length, 999);
});

test("its GETs are accepted, and its errors are read", async () => {
    const one = { ...call("GET", workspace + "incidents/{incident_id}"), contentType: undefined };
    one.pathParams = { ...one.pathParams, incident_id: "z" };
    assert.strictEqual((await sdk().sendRequest(one)).data.id, "z");
    one.pathParams.incident_id = "a";
    await assert.rejects(sdk().sendRequest(one), (error) => {
        assert.strictEqual(error.httpStatusCode, 400);
        assert.match(error.requestId, /^[0-9a-f]{32}$/);
        return true;
    });
});

test("headers, queries and a security token are signed as it signs them", async () => {
    assert.strictEqual((await sdk(sk, "temporary+/==").sendRequest(remove(["e"]))).httpStatusCode, 200);
    const assets = call("DELETE", "/v1/{project_id}/workspaces/{workspace_id}/sa/resources",
        { headers: { "X-Language": "en-us" }, data: { batch_ids: ["r"] } });
    assert.deepStrictEqual((await sdk().sendRequest(assets)).data.success_ids, ["r"]);
    const search = call("POST", workspace + "incidents/search",
        { queryParams: { b: "2 3/é", a: "1", c: ["y", "x"] }, data: { limit: 1, offset: 0, title: "无效的参数 😀" } });
    assert.strictEqual((await sdk().sendRequest(search)).httpStatusCode, 200);
});

const tampered = {
    "another id": (r) => { r.body = r.body.replace('"t"', '"u"'); },
    "a byte more": (r) => { r.body += " "; },
    "another method": (r) => { r.method = "PUT"; },
    "another workspace": (r) => { r.path = r.path.replace("909494e3", "909494e4"); },
    "a query": (r) => { r.path += "?x=1"; },
    "another project's header": (r) => { r.headers["X-Project-Id"] = "0".repeat(32); },
    "another date": (r) => {
        const date = r.headers["X-Sdk-Date"];
        r.headers["X-Sdk-Date"] = date.slice(0, 14) + (date[14] === "9" ? "8" : "9") + "Z";
    },
    "fewer signed headers": (r) => { r.headers.Authorization = r.headers.Authorization.replace("content-type;", ""); },
    "another signature": (r) => { r.headers.Authorization = r.headers.Authorization.slice(0, -1) + "x"; },
};
for (const [name, tamper] of Object.entries(tampered))
    test(`what was tampered with is refused: ${name}`, async () => {
        assert.strictEqual((await sendSigned(remove(["t"]))).status, 200); // as it is; and the key is not locked
        const answer = await sendSigned(remove(["t"]), tamper);
        assert.ok(answer.status === 401 || (name === "another method" && answer.status === 404), JSON.stringify(answer));
    });

test("a wrong secret key is refused, with the canonical request echoed", async () => {
    await assert.rejects(sdk("wrong").sendRequest(remove(["w"])), (error) => {
        assert.strictEqual(error.httpStatusCode, 401);
        assert.match(error.errorMsg, /verify aksk signature fail, canonicalRequest:POST\|\/v1\//);
        return true;
    });
    assert.strictEqual((await sendSigned(remove(["w"]))).status, 200);
});

test("cullctl sign makes the very Authorization that it makes", async () => {
    const file = (name, text) => {
        fs.writeFileSync(path.join(folder, name), text, { mode: 0o600 });
        return path.join(folder, name);
    };
    for (const options of [remove(["a", "b"]), call("GET", workspace + "incidents/a", { queryParams: { b: "2 3/é", a: "1" } })]) {
        const signed = await sdk().buildRequest(options);
        const url = new URL(signed.endpoint);
        for (const [name, value] of Object.entries(signed.queryParams ?? {})) url.searchParams.append(name, value);
        const given = Object.entries(signed.headers)
            .filter(([name]) => !["authorization", "host", "x-sdk-date"].includes(name.toLowerCase()))
            .flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
        const ours = JSON.parse(execFileSync(cullctl, [
            "sign", "--json", "--method", signed.method, "--url", url.href.replaceAll("+", "%20"), ...given,
            "--body-file", file("body", signed.data === undefined ? "" : JSON.stringify(signed.data)),
            "--date", signed.headers["X-Sdk-Date"], "--ak-file", file("ak", ak), "--sk-file", file("sk", sk)]));
        assert.strictEqual(ours.authorization, signed.headers.Authorization);
    }
});
