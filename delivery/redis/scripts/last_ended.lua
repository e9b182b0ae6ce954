#!lua flags=allow-oom
-- last_ended.lua returns the id of the last entry in the stream of requests that ended. If
-- there is none, it adds one without requests, so that a new follower has a position to
-- come back to.
--
-- KEYS[1]  the partition
-- Result   now in ms, id of the entry

local last = read('XREVRANGE', ended_key(), '+', '-', 'COUNT', 1)[1]
return reply({ now_ms(), last and last[1] or write('XADD', ended_key(), '*', '', '') })
