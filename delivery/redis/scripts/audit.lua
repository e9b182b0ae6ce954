#!lua flags=allow-oom
-- audit.lua looks at some webhooks, one page after another, and puts right what was lost or
-- left by a script that broke off: a webhook with pending deliveries that has no place, and
-- one that has a state but no record, which is paused.
--
-- KEYS[1]  the partition
-- ARGV     cursor, '0' to begin
-- Result   now in ms, the next cursor, '0' at the end; how many were put right

local now = now_ms()
local clock = read_clock(now)
local page = read('HSCAN', state_key(), ARGV[1], 'COUNT', 200)
local count = 0
for i = 1, #page[2], 2 do
  local ref = page[2][i]
  local state = read_state(ref)
  -- A key that was lost has all that it had mended; a part of one is, once all that is left waits.
  if state and has_queue(state) and read('ZCARD', queue_key(ref)) ~= read('HLEN', ordered_key(ref)) then
    if mend_queues(ref, state, 500, clock.now) > 0 then
      reschedule(ref, state, clock.now)
      count = count + 1
    end
  end
  if state and is_enabled(state) and read('HEXISTS', webhooks_key(ref_tenant(ref)), ref_id(ref)) == 0 then
    state = 'p' .. queue_mark(ref)
    write('HSET', state_key(), ref, state)
    move(ref, state, clock.now)
    count = count + 1
  elseif state and not read('ZSCORE', place_key(state), ref) and read('EXISTS', pending_key(ref)) == 1 then
    move(ref, state, clock.now)
    count = count + 1
  end
end
return reply({ now, page[1], count })
