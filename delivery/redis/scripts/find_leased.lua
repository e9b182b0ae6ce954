#!lua flags=allow-oom
-- find_leased.lua puts leases that have ended back among the leases: another program has removed
-- the key of these, or a part of it, and nobody would find the sets.
--
-- KEYS[1]  the partition
-- ARGV     end of a lease from which on to look or, to begin, '' for those of the last so many ms;
--          how many ms; how many ends to look at
-- Result   now in ms, where to go on, 1 if there is more to look at else 0, how many leases it put
--          back

local now = now_ms()
local clock_now, step = read_clock(now).now, lease_step
local from, period, most = tonumber(ARGV[1]) or 0, tonumber(ARGV[2]), tonumber(ARGV[3])
from = math.ceil(math.max(from, clock_now - period) / step) * step
local last = math.min(math.floor(clock_now / step) * step, from + (most - 1) * step)
local lost = {}
for ended = from, last, step do
  local text = string.format('%.0f', ended)
  if read('EXISTS', leased_key(text)) == 1 and not read('ZSCORE', leases_key(), text) then
    lost[#lost + 1], lost[#lost + 2] = text, text
  end
end
in_chunks('ZADD', leases_key(), lost)
return reply({ now, string.format('%.0f', last + step), last + step <= clock_now and 1 or 0, #lost / 2 })
