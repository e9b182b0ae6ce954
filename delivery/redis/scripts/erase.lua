#!lua flags=allow-oom
-- erase.lua erases an event, and what some of its deliveries have: their places in the schedule, their
-- leases, and the bodies of their requests, also those of webhooks that were deleted, which sweep.lua
-- removes later. One that was attempted has failed. When it has done as
-- much as one script may, it says where to go on. From the first run on, the event says that it was
-- erased, so that nobody writes a body of it; before the last one, some may be left. Until then, it
-- is among those that are being erased, so that Sweep goes on if nobody else does.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id, type, when it was received in ms, bucket of its deliveries; what precedes
--          the event's record, record of the erased event; how much to do, request to go on with of the
--          first delivery or '', '1' if what follows is all that is left; then of each webhook: the 16 bytes of its id, what follows the time in
--          the id of the delivery's first request, '' for a test
-- Result   now in ms, -1 if there is no such event, else how many deliveries are done; request to go
--          on with of the next or ''

local tenant, id, erased, work, go_on = ARGV[1], ARGV[2], ARGV[6] .. ARGV[7], tonumber(ARGV[8]), ARGV[9]
local now = now_ms()
local clock = read_clock(now)
local event, _, expiry = read_event(tenant, id, now, read_swept())
if not event or string.sub(event, 1, event_head) ~= ARGV[6] then return reply({ now, -1, '' }) end

-- First the event.
write('SADD', erasing_key(), event_field(tenant, id))
if event ~= erased then rewrite_event(tenant, id, erased, expiry) end

local read_delivery = delivery_reader(tenant, id, ARGV[3], tonumber(ARGV[4]), ARGV[5], 11, #ARGV, true)

-- Takes a delivery off the schedule. Returns its last request.
local function finish(raw, rest)
  local ref, state = raw_ref(tenant, raw), read_delivery(raw, rest)
  if state and string.byte(state) == 112 and struct.unpack('>I2', state, 2) > 0 then
    write('HSET', deliveries_key(ARGV[5]), id .. raw, 'f' .. string.sub(state, 2, 3) .. string.rep('\0', 8) .. string.sub(state, 12))
  end
  local name = leased_delivery(id, ref)
  local ended = find_leases({ name })[name]
  if ended then end_leases({ [ended] = { name } }) end
  if read('ZSCORE', pending_key(ref), id) then
    local of = read_state(ref)
    if of and has_queue(of) then dequeue(ref, of, { id }, clock.now) end
    write('ZREM', pending_key(ref), id)
    if of then reschedule(ref, of, clock.now) end
  end
  return state and string.sub(state, 12) or no_request
end

local done = 0
for i = 11, #ARGV, 2 do
  local request = go_on
  if request == '' then
    request = finish(ARGV[i], ARGV[i + 1])
    work = work - 50
  end
  while request ~= no_request do
    if work <= 0 then return reply({ now, done, request }) end
    local row = read_rows({ request })[request]
    work = work - 6
    for _, place in ipairs({ id_slot(request), id_bucket(request) }) do write('HDEL', bodies_key(place), request) end
    if not row or #row < row_head then break end
    request = string.sub(row, 1, 16)
  end
  done, go_on = done + 1, ''
  if work <= 0 then break end
end
if ARGV[10] == '1' and done == (#ARGV - 10) / 2 then write('SREM', erasing_key(), event_field(tenant, id)) end
return reply({ now, done, '' })
