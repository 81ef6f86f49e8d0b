-- Sends prepared requests, each once. The folder holds one file a thread: a line with a request's length, then itself.
local started, sent = 0, 0
local prepared = {}

function setup(thread)
  thread:set("number", started)
  started = started + 1
end

function init(args)
  local file = assert(io.open(args[1] .. "/" .. number, "rb"))
  for line in file:lines() do
    prepared[#prepared + 1] = file:read(tonumber(line))
    file:read(1)
  end
  file:close()
end

function request()
  sent = sent + 1
  return assert(prepared[sent], "all that was prepared is sent before the time is over")
end

function done(summary, latency)
  local errors = summary.errors
  local bad = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('\n{"good":%d,"bad":%d,"seconds":%f,"p50":%f,"p99":%f}\n', summary.requests - errors.status,
    bad, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
