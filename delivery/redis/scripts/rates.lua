-- rates.lua continues common.lua: the starts of webhooks that have a rate. See delivery.Starts.
-- Times are microseconds of the schedule's clock.

local starts_ahead = 100000 -- delivery.StartsAhead

-- How long n starts take.
local function starts_span(n, requests, per) return math.ceil(n * per / requests) end

-- How many starts there are to take.
local function free_starts(now, start, requests, per)
  local ahead = now + starts_ahead - math.max(start, now)
  return ahead < 0 and 0 or 1 + math.floor(ahead * requests / per)
end

local function write_rate(ref, start, requests, per)
  write('HSET', rates_key(), ref, struct.pack(rate_format, start, requests, per))
end

-- Takes the next starts, and returns the first one.
local function take_starts(ref, n, now, start, requests, per)
  local first = math.max(start, now)
  write_rate(ref, first + starts_span(n, requests, per), requests, per)
  return first
end

-- Plans the rate that a webhook's record asks for, which is without the next start; nil for ''. A new
-- one counts at once: what it allows does not wait for what the one before did not. The second result
-- says whether there is another one now.
local function plan_rate(ref, rate, now)
  if rate == '' then return nil, false end
  local _, requests, per = struct.unpack(rate_format, rate)
  local start, before, before_per = read_rate(ref)
  local other = start and (before ~= requests or before_per ~= per) or false
  if other then start = math.min(start, now + starts_span(1, requests, per)) end
  return struct.pack(rate_format, start or 0, requests, per), other
end

-- Gives a webhook that rate.
local function set_rate(ref, rate, now)
  rate = plan_rate(ref, rate, now)
  if rate then write('HSET', rates_key(), ref, rate) end
end
