#!lua flags=no-writes
-- event_requests.lua finds the requests of an event: each delivery refers to its last
-- request, and each request to the one before it. When it has done as much as one script may,
-- it says where to go on.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id, type, when it was received in ms, bucket of its deliveries,
--          most requests of the first delivery, of the others, how much to do, request to go
--          on with of the first delivery or '';
--          then of each webhook: the 16 bytes of its id, what follows the time in the id of
--          the delivery's first request, '' for a test
-- Result   now in ms, how many deliveries are done, request to go on with of the next or '', how
--          many of its requests may follow; then for each request: id, '1' if it was a success
--          else '0'

local most, most_others, work, go_on = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local results = { now_ms(), 0, '', most_others }
local work_per_delivery = 50 -- more than most take
local read_delivery = delivery_reader(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5],
  10, math.min(#ARGV, 10 + 2 * math.ceil(work / work_per_delivery)))
for i = 10, #ARGV, 2 do
  local id = go_on
  if id == '' then
    local state = read_delivery(ARGV[i], ARGV[i + 1])
    id = state and string.sub(state, 12) or no_request
    work = work - work_per_delivery
  end
  for left = most, 1, -1 do
    if id == no_request then break end
    if work <= 0 then
      results[3], results[4] = id, left
      return reply(results)
    end
    local row = read_rows({ id })[id]
    work = work - 4
    -- Either it is older than the retention, as are those before it, or it cannot be read.
    if not row or #row < row_head then break end
    results[#results + 1] = id
    results[#results + 1] = string.sub(row, 57, 57)
    id = string.sub(row, 1, 16)
  end
  results[2] = results[2] + 1
  most, go_on = most_others, ''
  if work <= 0 then break end
end
return reply(results)
