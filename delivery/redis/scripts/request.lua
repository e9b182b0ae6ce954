#!lua flags=no-writes
-- request.lua reads one row of the log.
--
-- KEYS[1]  the partition
-- ARGV     tenant, request's id
-- Result   now in ms, then, if the row exists and its webhook is this tenant's:
--          row, response body, event's record ('' if it has expired)

local tenant, id = ARGV[1], ARGV[2]
local now = now_ms()
local row = redis.call('HGET', requests_key(id_bucket(id)), id)
if not row then return { now } end
if redis.call('HEXISTS', state_key(), raw_ref(tenant, string.sub(row, 25, 40))) == 0 then return { now } end
local body = redis.call('HGET', bodies_key(id_bucket(id)), id) or ''
local event = redis.call('GET', event_key(tenant, string.sub(row, 41, 56))) or ''
if event ~= '' and is_dropped(event, read_swept()) then event = '' end
return { now, row, body, event }
