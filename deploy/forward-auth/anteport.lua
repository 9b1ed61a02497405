-- Asks Anteport about a request, for haproxy.cfg beside this file. Whatever goes wrong leaves txn.anteport as it was:
-- unset, which haproxy.cfg takes for a no.

-- What your `identity` tells the portal, in small letters; with `identity.signature`, "signature" and "signature-input" too.
local identity = { "x-anteport-assertion", "x-auth-user", "x-auth-email", "x-auth-roles" }

-- Longer than Anteport takes, in milliseconds. HAProxy asks up to four times; from 2.8 on, `httpclient.retries 0` in the
-- section `global` makes it one.
local patience = 2000

-- They are of the visitor's connection, or of the body, which is not sent along.
local left_out = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true,
    ["transfer-encoding"] = true, ["upgrade"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true,
    ["http2-settings"] = true,
}

core.register_action("anteport", { "http-req" }, function(txn, address, origin)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not left_out[name] then
            local list = {}
            -- They count from 0.
            for at = 0, #values do
                list[#list + 1] = values[at]
            end
            headers[name] = list
        end
    end
    headers["host"] = { (origin:gsub("^https?://", "")) }
    headers["x-original-method"] = { txn.f:method() }
    headers["x-original-url"] = { origin .. txn.f:pathq() }
    headers["x-forwarded-for"] = { txn.f:src() }

    local client = core.httpclient()
    local answer = client:get({ url = "http://" .. address .. "/.auth/verify", headers = headers, timeout = patience })
    if not answer or not answer.status then
        return
    end

    if answer.status == 200 then
        -- What Anteport says, in place of whatever the visitor says; and the visitor's cookies without Anteport's.
        for _, name in ipairs({ "cookie", table.unpack(identity) }) do
            txn.http:req_del_header(name)
            local values = answer.headers[name]
            if values and values[0] then
                txn.http:req_set_header(name, values[0])
            end
        end
    end
    txn:set_var("txn.anteport", tostring(answer.status))
end, 2)
