#!lua flags=allow-oom
-- release.lua makes held deliveries due at once, if they are still held.
--
-- KEYS[1]  the partition
-- ARGV     for each lease: the webhook's reference, the event's id, the lease's end
-- Result   now in ms

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)
local touched = {}
local ended = {} -- leases
for i = 1, #ARGV, 3 do
  local ref, id, lease_end = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local key, name = pending_key(ref), leased_delivery(id, ref)
  local score = read('ZSCORE', key, id)
  local leased = read_leased(lease_end, { name })[1] == 1
  if score and tonumber(score) == lease_end or leased and not score then
    write('ZADD', key, clock.now, id)
    touched[ref] = true
  end
  if leased then collect(ended, ARGV[i + 2], name) end
end
for ref in pairs(touched) do
  local state = read_state(ref)
  if state then reschedule(ref, state, clock.now) end
end
end_leases(ended)
return reply({ now })
