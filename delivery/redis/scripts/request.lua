#!lua flags=no-writes
-- request.lua reads one row of the log.
--
-- KEYS[1]  the partition
-- ARGV     tenant, request's id
-- Result   now in ms, then, if the row exists and its webhook is this tenant's:
--          row, response body, event's record ('' if it has expired)

local tenant, id = ARGV[1], ARGV[2]
local now = now_ms()
local rows, keys = read_rows({ id })
local row, key = rows[id], keys[id]
if not row then return reply({ now }) end
if #row < row_head then
  set_field_aside(key, id, row, 'no row of the log')
  return reply({ now })
end
if read('HEXISTS', state_key(), raw_ref(tenant, string.sub(row, 25, 40))) == 0 then return reply({ now }) end
local body = read('HGET', bodies_key(string.sub(key, #requests_key('') + 1)), id) or ''
local event = read_event(tenant, string.sub(row, 41, 56), now, read_swept())
return reply({ now, row, body, event or '' })
