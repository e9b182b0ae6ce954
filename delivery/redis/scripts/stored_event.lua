#!lua flags=no-writes
-- stored_event.lua reads an event.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id
-- Result   now in ms, then the event's record, unless it has expired

local now = now_ms()
return reply({ now, (read_event(ARGV[1], ARGV[2], now, read_swept())) })
