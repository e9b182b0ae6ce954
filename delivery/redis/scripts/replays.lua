-- replays.lua continues common.lua: how replays are stored. One is its state, when it ended (8), its
-- holder (16) and its record, under its id. The field running has the id of the one that is running.

local replay_head = 25

local function replays_key(tenant) return base .. 'replays:' .. tenant end
local function replaying_key() return base .. 'replaying' end

-- Reads a replay; nil if there is none.
local function read_replay(tenant, id)
  local key = replays_key(tenant)
  local value = #id == 16 and read('HGET', key, id) or nil
  if value and #value < replay_head then
    set_field_aside(key, id, value, 'no replay')
    return nil
  end
  return value
end

-- Finds the replay that is running: its id and its value.
local function running_replay(tenant)
  local id = read('HGET', replays_key(tenant), 'running')
  local value = id and read_replay(tenant, id)
  if value and string.sub(value, 1, 1) == 'r' then return id, value end
end

-- Must follow what ends a replay, unless another one is running.
local function end_replay(tenant, id)
  local running = read('HGET', replays_key(tenant), 'running')
  if running ~= id then return end
  write('ZREM', replaying_key(), tenant)
  write('HDEL', replays_key(tenant), 'running')
end

-- Keeps the replays of a tenant for a while from now on. They are small, so that they may expire.
local function keep_replays(key, now, kept)
  show('EXPIREAT', key, math.floor((now + kept) / 1000))
end
