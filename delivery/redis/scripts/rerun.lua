#!lua flags=no-writes
-- rerun.lua reads what it takes to send a request again.
--
-- KEYS[1]  the partition
-- ARGV     tenant, request's id
-- Result   now in ms, then, if the row exists and its webhook is this tenant's:
--          row, event's record ('' if it has expired), webhook's state and record ('' if lost)

local tenant, id = ARGV[1], ARGV[2]
local now = now_ms()
local rows, keys = read_rows({ id })
local row = rows[id]
if not row then return reply({ now }) end
if #row < row_head then
  set_field_aside(keys[id], id, row, 'no row of the log')
  return reply({ now })
end
local ref = raw_ref(tenant, string.sub(row, 25, 40))
local state = read('HGET', state_key(), ref)
if not state then return reply({ now }) end
local webhook = read('HGET', webhooks_key(tenant), ref_id(ref)) or ''
local event = read_event(tenant, string.sub(row, 41, 56), now, read_swept()) or ''
return reply({ now, row, event, state, webhook })
