#!lua flags=allow-oom
-- aside.lua sets aside what could not be read, unless somebody has changed it since. A
-- webhook whose record is set aside is paused: nothing is sent to it.
--
-- KEYS[1]  the partition
-- ARGV     for each: key, field or '' for a key as a whole, the value that was read or ''
--          for a key of the wrong type, why
-- Result   now in ms

local kinds = {
  due = 'zset', leases = 'zset', leased = 'set', paused = 'zset', pending = 'zset', state = 'hash', webhooks = 'hash',
  event = 'string', events = 'hash', deliveries = 'hash', requests = 'hash', bodies = 'hash', log = 'zset',
  types = 'hash', freetypes = 'set', typesof = 'zset', logs = 'set',
  arrived = 'string', arrivals = 'zset', hours = 'zset', days = 'zset', swept = 'string', gone = 'zset', ended = 'stream', clock = 'string',
  stats = 'hash', changes = 'zset', aside = 'stream', audit = 'zset', audits = 'zset', auditbytes = 'hash', rates = 'hash',
  queue = 'zset', ordered = 'hash', declared = 'set', replays = 'hash', replaying = 'zset', erasing = 'set',
  stored = 'hash', received = 'string',
}
local now = now_ms()

local function pause(key, id)
  local tenant = string.sub(key, #webhooks_key('') + 1)
  local ref = tenant .. ':' .. id
  raise_version(tenant, id)
  if read_state(ref) or read('EXISTS', pending_key(ref)) == 1 then
    local state = 'p' .. queue_mark(ref)
    write('HSET', state_key(), ref, state)
    move(ref, state, read_clock(now).now)
  end
end

-- The value of a field, as its readers see it.
local function value_of(kind, key, field)
  local value = read('HGET', key, field)
  return kind == 'events' and value and string.sub(value, expiry_size + 1) or value
end

-- Whether the value of a key is still the one that was read. Of a chunk, a part was read.
local function is_same(kind, key, value)
  local is = read('GET', key)
  return is == value or is and kind == 'arrived' and string.find(is, value, 1, true)
end

for i = 1, #ARGV, 4 do
  local key, field, value, why = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local kind = string.match(key, '^%a+', #base + 1)
  local is = read('TYPE', key).ok
  if is ~= 'none' and is ~= kinds[kind] then
    set_key_aside(key, 'it is a ' .. is)
  elseif field ~= '' then
    if value_of(kind, key, field) == value then
      set_field_aside(key, field, value, why)
      if kind == 'webhooks' and field ~= 'version' then pause(key, field) end
    end
  elseif value ~= '' and is_same(kind, key, value) then
    set_key_aside(key, why)
  end
end
return reply({ now })
