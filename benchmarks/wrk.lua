-- Sends the bodies that stand in files one after the other, and tells what came of it as a line of JSON.
-- Arguments: path, content type, length of the JSON part (0: all of it is JSON), files.
local requests, place = {}, 0

function init(args)
  local headers = { ["Content-Type"] = args[2] }
  if args[3] ~= "0" then headers["Inference-Header-Content-Length"] = args[3] end
  for number = 4, #args do
    local file = assert(io.open(args[number], "rb"))
    requests[#requests + 1] = wrk.format("POST", args[1], headers, file:read("*a"))
    file:close()
  end
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"requests": %d, "seconds": %.6f, "p50": %.9f, "p99": %.9f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, failed))
end
