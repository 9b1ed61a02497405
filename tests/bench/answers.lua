-- For wrk: looks at every answer. A proxy that answers 200 with nothing is very fast.
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   size = tonumber(args[1])
   wrong = 0
   first = ""
end

function response(status, headers, body)
   if status ~= 200 or #body ~= size then
      wrong = wrong + 1
      if first == "" then
         first = status .. " with " .. #body .. " bytes"
      end
   end
end

function done(summary, latency, requests)
   local wrong, first = 0, ""
   for _, thread in ipairs(threads) do
      wrong = wrong + thread:get("wrong")
      first = first .. thread:get("first")
   end
   local errors = summary.errors
   io.write(string.format(
      '\nRESULT {"requests":%d,"wrong":%d,"first":"%s","errors":%d}\n',
      summary.requests, wrong, first,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
