-- Asks Anteport about a request and says where it goes, for apache.conf beside this file. Whatever goes wrong ends in
-- 503, and no request gets anywhere unless this script says so.

require "apache2"

local socket = require "socket"

-- What visitors call the portal; where the portal and Anteport are.
local origin = "https://members.example.org"
local portal = "http://127.0.0.1:3000"
local anteport = { host = "127.0.0.1", port = 8080 }

-- What your `identity` tells the portal; with `identity.signature`, "Signature" and "Signature-Input" too.
local identity = { "X-Anteport-Assertion", "X-Auth-User", "X-Auth-Email", "X-Auth-Roles" }

-- The portal's own sign-in is closed. With `mode: optional` this is to be false.
local closed = true

-- Longer than Anteport takes, in seconds: for all of the question.
local patience = 5

-- They are of the visitor's connection, or of the body, which is not sent along; or they are set here.
local left_out = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true,
    ["transfer-encoding"] = true, ["upgrade"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true,
    ["http2-settings"] = true,
}

-- Nothing that a visitor sends describes a request, or names another address or method. Case and separators do not count.
local describing = {
    "^xoriginal", "^xforwarded", "^xrewrite", "^xhttpmethod", "^xmethod", "^forwarded$",
    -- Where it comes from.
    "^xrealip$", "^xclientip$", "^xclusterclientip$", "^trueclientip$", "^xenvoy",
}

local function describes(name)
    local folded = name:lower():gsub("[^a-z0-9]", "")
    for _, pattern in ipairs(describing) do
        if folded:find(pattern) then
            return true
        end
    end
    return false
end

-- The status of Anteport's answer and its headers; nothing if there is none.
local function ask(r, host)
    local until_then = socket.gettime() + patience
    local connection = socket.tcp()
    local function left()
        connection:settimeout(math.max(until_then - socket.gettime(), 0.001))
    end
    local function question()
        left()
        assert(connection:connect(anteport.host, anteport.port))
        local lines = {
            "GET /.auth/verify HTTP/1.1",
            "Host: " .. host,
            "Connection: close",
            "X-Original-Method: " .. r.method,
            "X-Original-URL: " .. origin .. r.unparsed_uri,
            "X-Forwarded-For: " .. r.useragent_ip,
        }
        for name, value in pairs(r:headers_in_table()) do
            if not left_out[name:lower()] then
                lines[#lines + 1] = name .. ": " .. value
            end
        end
        left()
        assert(connection:send(table.concat(lines, "\r\n") .. "\r\n\r\n"))
        left()
        local status = assert(connection:receive("*l")):match("^HTTP/1%.1 (%d%d%d) ")
        local headers = {}
        -- It ends with an empty line, or it is none.
        for _ = 1, 100 do
            left()
            local line = assert(connection:receive("*l"))
            if line == "" then
                return { status = assert(tonumber(status)), headers = headers }
            end
            local name, value = line:match("^([%w-]+):%s*(.*)$")
            headers[assert(name):lower()] = value
        end
        error("too many headers")
    end
    local is_answered, answer = pcall(question)
    connection:close()
    return is_answered and answer or nil
end

local function goes_to(r, address)
    -- Byte by byte as it was described: neither decoded nor tidied up.
    r.notes["proxy-nocanon"] = "1"
    r.filename = "proxy:" .. address .. r.unparsed_uri
    r.handler = "proxy-server"
    r.proxyreq = apache2.PROXYREQ_REVERSE
    r.subprocess_env["ANTEPORT_DECIDED"] = "1"
    return apache2.OK
end

function decide(r)
    if r.unparsed_uri:sub(1, 1) ~= "/" then
        return 400
    end
    for name in pairs(r:headers_in_table()) do
        if describes(name) then
            r.headers_in[name] = nil
        end
    end
    -- Nor does a visitor take one of Anteport's headers away, by saying that it is of this connection only.
    local stay = {}
    for token in (r.headers_in["Connection"] or ""):lower():gmatch("[^%s,]+") do
        if token == "upgrade" or token == "close" or token == "keep-alive" then
            stay[#stay + 1] = token
        end
    end
    r.headers_in["Connection"] = stay[1] and table.concat(stay, ", ") or nil
    -- No upgrade but to a WebSocket, whose key Anteport is shown: what came after another one nobody would be asked about.
    local upgrade = (r.headers_in["Upgrade"] or ""):lower()
    r.headers_in["Upgrade"] = upgrade == "websocket" and r.headers_in["Sec-WebSocket-Key"] and upgrade or nil
    -- Both have to call the portal what visitors call it.
    local host = origin:gsub("^https?://", "")
    r.headers_in["Host"] = host

    local itself = "http://" .. anteport.host .. ":" .. anteport.port
    -- A visitor who could ask would describe what they like. `uri` is decoded and tidied up.
    for _, path in ipairs({ r.unparsed_uri:lower(), r.uri:lower() }) do
        if path:sub(1, 13) == "/.auth/verify" then
            return 404
        end
    end
    if r.unparsed_uri:sub(1, 7) == "/.auth/" then
        return goes_to(r, itself)
    end

    if closed then
        r.headers_in["Authorization"] = nil
    end
    local answer = ask(r, host)
    if not answer then
        return 503
    end
    if answer.status == 401 or answer.status == 403 then
        -- Anteport answers the visitor's request itself.
        return goes_to(r, itself)
    end
    if answer.status ~= 200 then
        return 503
    end
    -- What Anteport says, in place of whatever the visitor says; and the visitor's cookies without Anteport's.
    for _, name in ipairs({ "Cookie", table.unpack(identity) }) do
        r.headers_in[name] = answer.headers[name:lower()]
    end
    return goes_to(r, portal)
end
