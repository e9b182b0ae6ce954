#!lua
-- add_delivery.lua adds a delivery of a webhook to an event that was accepted without it. It has failed,
-- without an attempt. First it gets its state, since one that is in the event and has none counts as a
-- success.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id; of the event as it was read, all but the payload at its end, and its
--          length; what is before the payload with the webhook, '' if it has it already; bucket of the
--          event's deliveries, the 16 bytes of the webhook's id
-- Result   now in ms, then 'added', or 'there' if it was; 'changed' if the event is not as it was read,
--          '' if there is no such event or webhook

local tenant, id, seen, length, changed, of, raw = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
local now = now_ms()
local event, _, expiry = read_event(tenant, id, now, read_swept())
if not event or not read_state(raw_ref(tenant, raw)) then return reply({ now, '' }) end
if #event ~= length or string.sub(event, 1, #seen) ~= seen then return reply({ now, 'changed' }) end
if changed == '' then return reply({ now, 'there' }) end

-- As complete.lua does it: what is in no hour would never be swept.
local hour = bucket_hour(of)
write('ZADD', hours_key(), hour + 1, 'deliveries:' .. hour)
write('HSET', deliveries_key(of), id .. raw, 'f' .. string.rep('\0', delivery_size - 1))
rewrite_event(tenant, id, changed .. string.sub(event, #seen + 1), expiry)
return reply({ now, 'added' })
