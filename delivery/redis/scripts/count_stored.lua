#!lua
-- count_stored.lua counts bytes that tenants have stored, by slices of time.
--
-- KEYS[1]  the partition
-- ARGV     present slice, first slice that counts, both in hours; then of each tenant: name,
--          bytes to add
-- Result   now in ms, then for each tenant: bytes that count

local slice, first = tonumber(ARGV[1]), tonumber(ARGV[2])
local forget = (slice + 2 * (slice - first) + 24) * hour_ms / 1000
local results = { now_ms() }
for i = 3, #ARGV, 2 do
  local key, added, total = stored_key(ARGV[i]), tonumber(ARGV[i + 1]), 0
  local present, old = added, {}
  local fields = read('HGETALL', key)
  for j = 1, #fields, 2 do
    local at, bytes = tonumber(fields[j]), tonumber(fields[j + 1])
    if not at or not bytes or at < first then
      old[#old + 1] = fields[j]
    else
      total = total + bytes
      if at == slice then present = present + bytes end
    end
  end
  if #old > 0 then in_chunks('HDEL', key, old) end
  if added > 0 then
    write('HSET', key, ARGV[1], string.format('%.0f', present))
    write('EXPIREAT', key, string.format('%.0f', forget))
  end
  results[#results + 1] = total + added
end
return reply(results)
