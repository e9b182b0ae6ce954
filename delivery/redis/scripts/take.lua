#!lua flags=allow-oom
-- take.lua leases one pending delivery, unless a request of it is in flight: then it has a lease
-- that has not ended. A time in the future that is not that of the next attempt is such a lease.
-- Earlier versions did not mark the times of next attempts: one of theirs is told from a lease by
-- its record, or, if Redis's clock was set back meanwhile, once it is later than any lease.
--
-- KEYS[1]  the partition
-- ARGV     tenant, webhook's reference, the 16 bytes of its id, event's id, length of the lease in ms
-- Result   now in ms, then 'gone' if there is no such event or webhook, 'ended' if the delivery is not
--          pending, 'held', or 'taken'; event's record; then if it is taken: end of the lease, how many
--          attempts were made, webhook's state and record ('' if lost), 1 if it is not the head of its
--          order key else 0

local longest_lease = 900000 -- timeouts have 10 minutes at most
local tenant, ref, raw, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
local clock = read_clock(now)
local state = read_state(ref)
local event = state and read_event(tenant, id, now, read_swept())
if not event then return reply({ now, 'gone', '' }) end
local key, name = pending_key(ref), leased_delivery(id, ref)
local due = tonumber(read('ZSCORE', key, id) or nil)
local leased = not due and find_leases({ name })[name]
due = due or tonumber(leased or nil)
if not due then return reply({ now, 'ended', event }) end
local attempted, attempts, retry_at = read_attempted(tenant, id, raw), 0, 0
if attempted then attempts, retry_at = struct.unpack('>I2I8', attempted, 2) end
local ahead = due - retry_at
local is_retry = is_next_attempt(due) or attempts > 0 and (ahead == clock.ahead or
  due > clock.now + longest_lease and ahead > -least_step and ahead < clock.ahead + least_step)
local place = has_queue(state) and read_places(ref, { id })[1]
local behind = place and head_of(ref, string.sub(place, 1, 16)) ~= id
if due > clock.now and due < waits and (leased or not is_retry) then
  return reply({ now, 'held', event })
end
local webhook = read('HGET', webhooks_key(tenant), ref_id(ref)) or ''
local lease_end = clock.now + tonumber(ARGV[5])
if lease_end == due then lease_end = lease_end + 1 end -- or it would look like an earlier version's next attempt
keep_clock(clock)
write('ZADD', key, lease_end, id)
reschedule(ref, state, clock.now)
if leased then end_leases({ [leased] = { name } }) end
return reply({ now, 'taken', event, lease_end, attempts, state, webhook, behind and 1 or 0 })
