#!lua flags=no-writes
-- standing.lua finds out which of some requests are the last ones of their deliveries, and how
-- these stand. It reads no events, which may be large.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then of each request: event's id, the 16 bytes of the webhook's, request's id,
--          '1' if it may have been a success at once, else '0'
-- Result   now in ms, then for each: the delivery's record, '' if another request is its last one

local tenant = ARGV[1]
local results, asked, names = { now_ms() }, {}, {}
for i = 2, #ARGV, 4 do
  local event, raw, request = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local state = read_attempted(tenant, event, raw)
  results[#results + 1] = state and string.sub(state, 12) == request and state or ''
  local ref = raw_ref(tenant, raw)
  if not state and ARGV[i + 3] == '1' and not read('ZSCORE', pending_key(ref), event) then
    names[#names + 1] = leased_delivery(event, ref)
    asked[#names] = { #results, request }
  end
end
local leases = find_leases(names)
for i, name in ipairs(names) do
  if not leases[name] then
    results[asked[i][1]] = struct.pack('>c1I2I8c16', 's', 1, 0, asked[i][2])
  end
end
return reply(results)
