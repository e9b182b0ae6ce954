#!lua flags=allow-oom
-- last_ended.lua gives the id of the last entry of the requests that ended. If there
-- is none, it makes one with no requests: whoever begins to follow the log has a place
-- to come back to.
--
-- KEYS[1]  the partition
-- Result   now in ms, id of the entry

local last = redis.call('XREVRANGE', ended_key(), '+', '-', 'COUNT', 1)[1]
return { now_ms(), last and last[1] or redis.call('XADD', ended_key(), '*', '', '') }
