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
for i = 1, #ARGV, 3 do
  local ref, id, lease_end = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local key = pending_key(ref)
  local score = read('ZSCORE', key, id)
  if score and tonumber(score) == lease_end then
    write('ZADD', key, clock.now, id)
    touched[ref] = true
  end
end
for ref in pairs(touched) do
  local state = read_state(ref)
  if state then reschedule(ref, state, clock.now) end
end
return reply({ now })
